//! A machine read a block of its root that is not what it must be: a line in its timeline, and who is at fault.

use std::net::Ipv4Addr;

use image::verity;
use model::{ClientRequest, MacAddr};
use tracing::error;

use crate::daemon::Daemon;
use crate::identity::vouched;

/// Takes a machine's word for a block, and looks at the block here. The answer is empty; or a status and the reason.
pub fn report(
    daemon: &Daemon,
    client: MacAddr,
    address: Ipv4Addr,
    body: &[u8],
) -> Result<String, (u16, String)> {
    let request = ClientRequest::parse("block", body).map_err(|error| (400, error.to_string()))?;
    let block: u64 = request
        .value
        .parse()
        .map_err(|_| (400, "a block has a number".to_owned()))?;
    // It runs as long as it likes.
    vouched(daemon, client, address, &request.token, u64::MAX, "damage")?;
    let booted = daemon
        .timelines()
        .current(client)
        .and_then(|attempt| attempt.facts.image.clone());
    let unknown = || (409, "what this machine booted is not known".to_owned());
    let (name, id) = booted.ok_or_else(unknown)?;
    let images = daemon.images.load();
    let generation = images.generation(&name, id).ok_or_else(unknown)?;
    let verity = generation.verity.ok_or_else(unknown)?;
    let image = format!("{name}@{}", id.short());
    let why = match verity::is_sound(&generation.root.file, &verity, block) {
        Ok(true) => "it is right on this server, so the network or the machine's memory changed it"
            .to_owned(),
        Ok(false) => format!(
            "it is damaged on this server's disk: see `netbootd image verify {image}`, and build or \
             import the image again"
        ),
        Err(error) => format!("this server cannot read it: {error}"),
    };
    let text = format!("block {block} of the root of {image} is not what it must be: {why}");
    error!(%client, block, image, "{text}; what reads it on the client fails");
    daemon.note(client, "verity", &format!("ALARM: {text}"));
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::unix_seconds;
    use crate::identity::tests::{ADDRESS, PC, daemon};

    #[test]
    fn damage_is_taken_from_a_machine_that_booted_with_its_own_token() {
        let folder = tempfile::tempdir().unwrap();
        let daemon = daemon(folder.path());
        let token = daemon
            .site_key
            .boot_token(PC, ADDRESS, unix_seconds() - 86_400);
        let told = |token: &str, block: &str| {
            let body = format!("token={token}\nblock={block}\n");
            let said = report(&daemon, PC, ADDRESS, body.as_bytes());
            said.map_err(|(status, _)| status)
        };
        assert_eq!(told("00ff", "7"), Err(403));
        for block in ["", "-1", "x", "99999999999999999999999"] {
            assert_eq!(told(&token, block), Err(400), "{block}");
        }
        assert_eq!(told(&token, "7"), Err(409), "it never booted");
        daemon.reached(PC, model::Stage::Script, "");
        daemon.learn(PC, |facts| {
            facts.image = Some(("gone".parse().unwrap(), model::GenerationId([7; 16])));
        });
        assert_eq!(told(&token, "7"), Err(409), "its image is gone");
    }
}
