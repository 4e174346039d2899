//! Restarting clients: by a command of the operator's, or by their management controllers (Redfish).

use std::io::Read;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use config::Power;
use model::MacAddr;
use serde_json::{Value, json};
use tracing::info;

use crate::daemon::Daemon;
use crate::find;
use crate::orders::{MachineOrder, done, parse};
use crate::program::run;
use crate::services::dhcp::Shared;

/// How long a command may take, and each request to a management controller.
const LIMIT: Duration = Duration::from_secs(60);

/// Restarts a machine; the answer's JSON, or why it could not be done.
pub fn reboot(daemon: &Daemon, shared: &Shared, body: &[u8]) -> Result<Vec<u8>, String> {
    let order: MachineOrder = parse(body)?;
    let client = find::client(daemon, shared, &order.client)?;
    let hostname = daemon.hostname(client);
    let images = daemon.images.load();
    let layers = images.site.layers(client);
    let power = &daemon.config.power;
    let filled = |text: &str| filled(text, &hostname, client, address(daemon, client));
    let said = match (layers.redfish(), layers.reboot()) {
        (Some(url), _) => {
            let url = filled(url)?;
            let said = Redfish::new(power, &url)?.reset();
            said.map_err(|reason| format!("{url}: {reason}"))?
        }
        (None, command) => {
            let words = command.unwrap_or(&power.reboot);
            let words: Vec<String> = words
                .iter()
                .map(|word| filled(word))
                .collect::<Result<_, _>>()?;
            let Some((program, words)) = words.split_first() else {
                return Err(format!(
                    "nothing is configured that restarts {hostname}: set reboot in [power], or redfish in its own table"
                ));
            };
            let mut command = Command::new(program);
            command.args(words);
            let ran = run(command, "", LIMIT).map_err(|reason| format!("{program}: {reason}"))?;
            // ssh ends with an error when the machine goes down under it; what it said tells.
            info!(%client, program, ended = ran.ended, output = ran.output.trim(), "told to restart");
            if !ran.good {
                return Err(format!(
                    "{program} ended with {}: {}",
                    ran.ended,
                    ran.output.trim()
                ));
            }
            format!("by {program}")
        }
    };
    let said = format!("told {hostname} to restart, {said}");
    info!(%client, "{said}");
    daemon.note(client, "power", &said);
    done(client, hostname, said)
}

fn address(daemon: &Daemon, client: MacAddr) -> Option<Ipv4Addr> {
    let booted = daemon
        .timelines()
        .current(client)
        .and_then(|now| now.facts.address);
    let configured = || {
        let known_by = daemon.images.load().site.known_by(client);
        daemon.config.clients.get(&known_by)?.address
    };
    booted.or_else(configured)
}

/// A word of the configuration with the client's own in it.
fn filled(
    text: &str,
    hostname: &str,
    client: MacAddr,
    address: Option<Ipv4Addr>,
) -> Result<String, String> {
    let text = text
        .replace("{name}", hostname)
        .replace("{mac}", &client.to_string());
    match address {
        Some(address) => Ok(text.replace("{address}", &address.to_string())),
        None if text.contains("{address}") => Err(format!("no address of {hostname} is known")),
        None => Ok(text),
    }
}

/// A management controller (DMTF DSP0266), asked by curl(1): TLS is not ours to do.
struct Redfish<'a> {
    base: &'a str,
    /// The path of the one system that is meant, where the URL names it.
    system: &'a str,
    /// Options of every request, with the password: curl reads them from its input.
    options: String,
}

impl<'a> Redfish<'a> {
    fn new(power: &Power, url: &'a str) -> Result<Self, String> {
        let host = url.strip_prefix("https://").ok_or("it is no https URL")?;
        let (base, system) = match host.find('/') {
            Some(at) => url.split_at("https://".len() + at),
            None => (url, ""),
        };
        let mut options = "silent\nshow-error\nfail\nproto = \"=https\"\nmax-time = 30\n\
            header = \"Content-Type: application/json\"\n"
            .to_owned();
        if let Some(ca) = &power.redfish_ca {
            options += &format!("cacert = {}\n", quoted(&ca.display().to_string()));
        }
        if let Some(user) = &power.redfish_user {
            let password = match &power.redfish_password_file {
                Some(path) => password(path)?,
                None => return Err("redfish_password_file is not set".to_owned()),
            };
            options += &format!("user = {}\n", quoted(&format!("{user}:{password}")));
        }
        Ok(Self {
            base,
            system,
            options,
        })
    }

    /// One start over the network, and a restart now. Says what was done.
    fn reset(&self) -> Result<String, String> {
        let system = self.system()?;
        let state = self.ask("GET", &system, None)?;
        let once = json!({"Boot": {
            "BootSourceOverrideEnabled": "Once",
            "BootSourceOverrideTarget": "Pxe",
        }});
        self.ask("PATCH", &system, Some(&once))?;
        let kind = match state["PowerState"].as_str() {
            Some("Off") => "On",
            _ => "ForceRestart",
        };
        let target = state["Actions"]["#ComputerSystem.Reset"]["target"].as_str();
        let usual = format!("{system}/Actions/ComputerSystem.Reset");
        let target = target.unwrap_or(&usual);
        self.ask("POST", target, Some(&json!({"ResetType": kind})))?;
        Ok(format!("by Redfish ({kind}, over the network once)"))
    }

    fn system(&self) -> Result<String, String> {
        if !self.system.is_empty() {
            return Ok(self.system.to_owned());
        }
        let systems = self.ask("GET", "/redfish/v1/Systems", None)?;
        let members = systems["Members"].as_array().map_or(&[][..], Vec::as_slice);
        match members {
            [one] => one["@odata.id"]
                .as_str()
                .map(str::to_owned)
                .ok_or("its system has no name".to_owned()),
            several => Err(format!(
                "it has {} systems; write the path of the one that is meant, /redfish/v1/Systems/1 perhaps",
                several.len()
            )),
        }
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        if !path.starts_with('/')
            || path
                .chars()
                .any(|c| !c.is_ascii_graphic() || c == '"' || c == '\\')
        {
            return Err(format!("it names a strange place: {path:?}"));
        }
        let mut options = self.options.clone();
        options += &format!("request = {method}\nurl = \"{}{path}\"\n", self.base);
        if let Some(body) = body {
            options += &format!("data = {}\n", quoted(&body.to_string()));
        }
        let mut curl = Command::new("curl");
        // -q: nobody's own configuration. Braces of a URL are letters.
        curl.args(["-q", "--globoff", "--config", "-"]);
        let ran = run(curl, &options, LIMIT).map_err(|reason| format!("curl(1): {reason}"))?;
        if !ran.good {
            return Err(format!("{method} {path}: {}", ran.output.trim()));
        }
        if ran.output.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&ran.output).map_err(|error| format!("{method} {path}: {error}"))
    }
}

/// A text in a configuration of curl's.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn password(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
        return Err(format!(
            "{} can be read by others; chmod 600 it",
            path.display()
        ));
    }
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).map_err(failed)?;
    match text.trim_end_matches(['\r', '\n']) {
        password if password.contains(['\r', '\n', '\0']) => {
            Err(format!("{} has more than one line", path.display()))
        }
        password => Ok(password.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PC: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);

    #[test]
    fn a_command_has_the_clients_own_words() {
        let address = Some(Ipv4Addr::new(10, 0, 0, 7));
        let text = filled("{name}/{mac}/{address}", "pc7", PC, address).unwrap();
        assert_eq!(text, "pc7/02:00:00:00:00:07/10.0.0.7");
        assert!(filled("{address}", "pc7", PC, None).is_err());
        assert_eq!(filled("{name}", "pc7", PC, None).as_deref(), Ok("pc7"));
    }

    #[test]
    fn a_password_that_others_can_read_is_not_used() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "se\"cret\n").unwrap();
        assert_eq!(password(file.path()).as_deref(), Ok("se\"cret"));
        assert_eq!(quoted("a\"b\\"), r#""a\"b\\""#);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(file.path(), mode).unwrap();
        assert!(password(file.path()).is_err());
    }

    #[test]
    fn a_url_may_name_the_system() {
        let power = Power::default();
        let of = |url| {
            let redfish = Redfish::new(&power, url).ok()?;
            Some((redfish.base.to_owned(), redfish.system.to_owned()))
        };
        assert_eq!(
            of("https://bmc"),
            Some(("https://bmc".into(), String::new()))
        );
        let one = "/redfish/v1/Systems/1";
        let long = format!("https://bmc:8443{one}");
        assert_eq!(of(&long), Some(("https://bmc:8443".into(), one.into())));
        assert_eq!(of("http://bmc"), None);
    }
}
