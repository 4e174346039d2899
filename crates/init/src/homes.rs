//! The certificate with which this machine has people's homes from the server, with its own ssh host key.

use std::convert::Infallible;
use std::fs;
use std::thread;
use std::time::Duration;

use model::BootArguments;

use crate::http::{self, Patience};

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(2),
    read: Duration::from_secs(5),
};
/// Where ssh finds it.
const CERTIFICATE: &str = "/run/netbootd/homes-cert.pub";
/// A fraction of what it is good for.
const RENEWAL: Duration = Duration::from_secs(3600);
const AGAIN: Duration = Duration::from_secs(60);
const MAX_ANSWER: usize = 16 * 1024;

/// Asks for a certificate again and again, for ever.
pub(crate) fn keep(arguments: &BootArguments) -> Infallible {
    loop {
        match renew(arguments) {
            Ok(()) => thread::sleep(RENEWAL),
            Err(reason) => {
                eprintln!("no certificate for homes: {reason}");
                thread::sleep(AGAIN);
            }
        }
    }
}

/// Asks for one. It is of no use without the private key, so no proof is needed to ask.
pub(crate) fn renew(arguments: &BootArguments) -> Result<(), String> {
    let path = format!("/client/{}/homes-certificate", arguments.mac.hyphenated());
    let text = |error: http::HttpError| error.to_string();
    let answer = http::get(arguments.http(), &path, 0, PATIENCE).map_err(text)?;
    let status = answer.head.status;
    let body = answer.into_body(MAX_ANSWER).map_err(text)?;
    let said = String::from_utf8_lossy(&body);
    if status != 200 || !said.starts_with("ssh-ed25519-cert-v01@openssh.com ") {
        return Err(format!("the server answered {status}: {}", said.trim()));
    }
    let fresh = format!("{CERTIFICATE}.new");
    fs::write(&fresh, &body)
        .and_then(|()| fs::rename(&fresh, CERTIFICATE))
        .map_err(|error| format!("{CERTIFICATE}: {error}"))
}
