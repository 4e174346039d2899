//! What a machine's loader is told, in whichever loader's language.

use std::net::{Ipv4Addr, SocketAddrV4};

use boot::loader::MEMTEST;
use boot::script::Menu;
use boot::{BootPlan, Plan, TRIES, Tried};
use model::{
    BootArguments, BootChoice, ClientArch, GenerationId, ImageName, MacAddr, RootMode, Stage,
};

use crate::daemon::{Daemon, unix_seconds};

/// A loader asks what to do.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Whom it asks.
    pub daemon: &'a Daemon,
    /// On which machine it runs.
    pub client: MacAddr,
    /// From which address.
    pub peer: Ipv4Addr,
    /// Where our HTTP is for this client.
    pub http: SocketAddrV4,
}

impl Asked<'_> {
    /// The loader was told what to boot and could not.
    pub fn loader_failed(&self, message: &str) {
        self.daemon.failed(self.client, Stage::Kernel, message);
    }

    /// What it boots: what was picked in the menu, else what its ticket says, else what is configured.
    /// With `counts` this is a use of the ticket.
    pub fn plan(&self, picked: Option<&BootChoice>, counts: bool) -> Plan {
        let (daemon, client) = (self.daemon, self.client);
        if counts {
            daemon.firmware.worked(client);
        }
        if let Some(picked) = picked {
            return daemon.images.load().site.plan(client, Some(picked));
        }
        if counts && daemon.tickets.tried(client, unix_seconds()) == Tried::Void {
            let message = format!(
                "the machine was given this boot {TRIES} times and never mounted its root: its ticket is void, and \
                 it boots what it always boots"
            );
            daemon.failed(client, Stage::Script, &message);
        }
        daemon.plan(client)
    }

    /// The words for `init`, without the network. With `is_told` this is what the machine boots now.
    pub fn arguments(&self, plan: &BootPlan, is_told: bool) -> BootArguments {
        let (daemon, client) = (self.daemon, self.client);
        let token = daemon
            .site_key
            .boot_token(client, self.peer, unix_seconds());
        let images = daemon.images.load();
        let generation = images.generation(&plan.image, plan.generation);
        // Who reads the file piece by piece over NFS has nothing to hold against the digest.
        let digest = generation
            .filter(|_| plan.root == RootMode::Ram)
            .and_then(|generation| generation.digest);
        let settings = daemon.config.images.get(&plan.image);
        let checks = settings.and_then(|image| image.verity) != Some(false);
        // The files of a tree are not the image's blocks.
        let verity = generation
            .filter(|_| checks && plan.root != RootMode::Tree)
            .and_then(|generation| generation.verity);
        if is_told {
            let detail = format!(
                "{}@{} as {}",
                plan.image,
                plan.generation.short(),
                plan.root.as_str()
            );
            daemon.reached(client, Stage::Script, &detail);
            let (hostname, token) = (daemon.hostname(client), token.clone());
            daemon.learn(client, |facts| {
                facts.address = Some(self.peer);
                facts.image = Some((plan.image.clone(), plan.generation));
                facts.root = Some(plan.root);
                facts.token = Some(token);
                facts.hostname = Some(hostname);
            });
        }
        BootArguments {
            server: *self.http.ip(),
            http_port: self.http.port(),
            nfs_port: daemon.config.nfs.port,
            mac: client,
            network: None,
            hostname: plan.hostname.clone(),
            image: plan.image.clone(),
            generation: plan.generation,
            root: plan.root,
            read_ahead: daemon.config.boot.read_ahead,
            changes: plan.changes,
            digest,
            verity,
            token,
        }
    }

    /// The menu, rendered by `render`; `loaders` is where the loaders' folder is for this loader.
    pub fn menu(
        &self,
        url: &str,
        loaders: &str,
        render: impl FnOnce(&Menu<'_>) -> String,
    ) -> String {
        let daemon = self.daemon;
        let images = daemon.images.load();
        let offered: Vec<(&ImageName, &[GenerationId])> = images
            .site
            .images
            .iter()
            .map(|(name, image)| (name, &*image.older))
            .collect();
        let (stem, _) = MEMTEST[0].rsplit_once('.').unwrap_or((MEMTEST[0], ""));
        let arch = daemon
            .timelines()
            .current(self.client)
            .and_then(|attempt| attempt.facts.arch);
        let has = |file: &&str| daemon.loaders.find(file).is_some();
        let memtest = match memory_tests(arch) {
            [] => String::new(),
            tests if tests.iter().all(has) => format!("{loaders}{stem}."),
            _ => String::new(),
        };
        let boot = &daemon.config.boot;
        render(&Menu {
            url,
            memtest: &memtest,
            words: &consoles(&images.site.kernel_arguments),
            hostname: &images.site.hostname(self.client),
            images: &offered,
            default: boot.menu_default.as_ref().unwrap_or(&BootChoice::LocalDisk),
            timeout: boot.menu_timeout,
        })
    }
}

/// The memory tests of which this machine will ask for one. What asks without having been heard of since the
/// daemon's start may be any PC.
fn memory_tests(arch: Option<ClientArch>) -> &'static [&'static str] {
    match arch {
        None => &MEMTEST,
        Some(ClientArch::BiosX86 | ClientArch::HttpBios) => &MEMTEST[..1],
        Some(ClientArch::UefiX64 | ClientArch::UefiEbc | ClientArch::HttpX64) => &MEMTEST[1..],
        Some(_) => &[],
    }
}

/// The serial consoles among the kernel's words, as memtest86+ reads them: with a speed.
fn consoles(words: &str) -> String {
    let serial = words
        .split_ascii_whitespace()
        .filter(|word| word.starts_with("console=ttyS"));
    let with_speed = serial.map(|word| match word.contains(',') {
        true => word.to_owned(),
        false => format!("{word},115200"),
    });
    with_speed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_test_is_for_the_machine_that_it_runs_on() {
        assert_eq!(memory_tests(Some(ClientArch::BiosX86)), [MEMTEST[0]]);
        assert_eq!(memory_tests(Some(ClientArch::UefiX64)), [MEMTEST[1]]);
        assert_eq!(memory_tests(Some(ClientArch::UefiArm64)), [""; 0]);
    }

    #[test]
    fn a_memory_test_is_told_the_serial_console_and_nothing_else() {
        assert_eq!(
            consoles("quiet console=tty0 console=ttyS0 console=ttyS1,9600n8"),
            "console=ttyS0,115200 console=ttyS1,9600n8"
        );
    }
}
