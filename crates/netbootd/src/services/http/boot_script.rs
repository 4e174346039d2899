//! The iPXE script of a client: an image, a menu, its own disk, or why there is nothing.

use std::net::SocketAddrV4;

use boot::{BootPlan, Drivers, Plan, TRIES, Tried, script};
use model::{BootArguments, BootChoice, GenerationId, ImageName, MacAddr, RootMode, Stage};

use super::answer::Answer;
use super::request::{Method, Request};
use super::routes::Routes;
use crate::daemon::unix_seconds;

/// Where a script is asked for.
struct Asked<'a> {
    client: MacAddr,
    peer: SocketAddrV4,
    local: SocketAddrV4,
    request: &'a Request,
}

impl Routes<'_> {
    pub(super) fn script(
        &self,
        client: MacAddr,
        peer: SocketAddrV4,
        local: SocketAddrV4,
        request: &Request,
    ) -> Answer {
        let daemon = self.daemon;
        if let Some(error) = request.query_value("failed") {
            daemon.failed(
                client,
                Stage::Kernel,
                &format!("iPXE could not load kernel or initrd: error {error}"),
            );
        }
        let picked: Option<BootChoice> = match request.query_value("pick") {
            None => None,
            Some(text) => match text.parse() {
                Ok(choice) => Some(choice),
                Err(_) => return Answer::text(400, "this cannot be picked"),
            },
        };
        if request.method == Method::Get && picked.is_none() {
            self.try_ticket(client);
        }
        let plan = match &picked {
            Some(picked) => daemon.images.load().site.plan(client, Some(picked)),
            None => daemon.plan(client),
        };
        let asked = Asked {
            client,
            peer,
            local,
            request,
        };
        let text = match plan {
            Plan::Boot(plan) => self.boot(&asked, &plan),
            Plan::Menu => self.menu(&asked),
            Plan::LocalDisk | Plan::Unanswered => script::local_disk().to_owned(),
            Plan::Nothing(reason) => {
                daemon.failed(client, Stage::Kernel, &reason);
                script::nothing(&reason, &asked.url())
            }
        };
        Answer::generated("text/plain", text.into_bytes())
    }

    fn try_ticket(&self, client: MacAddr) {
        if self.daemon.tickets.tried(client, unix_seconds()) == Tried::Void {
            let message = format!(
                "the machine was given this boot {TRIES} times and never mounted its root: its ticket is void, and \
                 it boots what it always boots"
            );
            self.daemon.failed(client, Stage::Script, &message);
        }
    }

    fn boot(&self, asked: &Asked<'_>, plan: &BootPlan) -> String {
        let (daemon, client, peer) = (self.daemon, asked.client, asked.peer);
        let token = daemon
            .site_key
            .boot_token(client, *peer.ip(), unix_seconds());
        let images = daemon.images.load();
        let generation = images.generation(&plan.image, plan.generation);
        // Who reads the file piece by piece over NFS has nothing to hold against the digest.
        let digest = generation
            .filter(|_| plan.root == RootMode::Ram)
            .and_then(|generation| generation.digest);
        let arguments = BootArguments {
            server: *asked.local.ip(),
            http_port: asked.local.port(),
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
            token: token.clone(),
        };
        if asked.request.method == Method::Get {
            let detail = format!(
                "{}@{} as {}",
                plan.image,
                plan.generation.short(),
                plan.root.as_str()
            );
            daemon.reached(client, Stage::Script, &detail);
            let hostname = daemon.hostname(client);
            daemon.learn(client, |facts| {
                facts.address = Some(*peer.ip());
                facts.image = Some((plan.image.clone(), plan.generation));
                facts.root = Some(plan.root);
                facts.token = Some(token);
                facts.hostname = Some(hostname);
            });
        }
        let drivers = daemon
            .timelines()
            .current(client)
            .map(|now| now.facts.drivers);
        script::Script {
            arguments: &arguments,
            kernel_arguments: &plan.kernel_arguments,
            all_drivers: drivers == Some(Drivers::All),
        }
        .render()
    }

    fn menu(&self, asked: &Asked<'_>) -> String {
        let images = self.daemon.images.load();
        let offered: Vec<(&ImageName, &[GenerationId])> = images
            .site
            .images
            .iter()
            .map(|(name, image)| (name, &*image.older))
            .collect();
        let boot = &self.daemon.config.boot;
        script::Menu {
            url: &asked.url(),
            hostname: &images.site.hostname(asked.client),
            images: &offered,
            default: boot.menu_default.as_ref().unwrap_or(&BootChoice::LocalDisk),
            timeout: boot.menu_timeout,
        }
        .render()
    }
}

impl Asked<'_> {
    fn url(&self) -> String {
        format!("http://{}/{}", self.local, self.request.path)
    }
}
