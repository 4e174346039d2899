//! Asking the server for something for this machine alone.

use std::thread;
use std::time::Duration;

use model::{BootArguments, ClientRequest};

use crate::http::{self, Patience};

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(2),
    read: Duration::from_secs(3),
};
const TRIES: u32 = 3;
/// Longest answer in bytes: a certificate, and a line with the names of a room.
const MAX_ANSWER: usize = 256 * 1024;

/// Posts `value` under this name to that place of this client's, and returns the answer's text, or
/// why there is none.
pub(crate) fn server(
    arguments: &BootArguments,
    (place, name): (&str, &str),
    value: String,
) -> Result<String, String> {
    let path = format!("/client/{}/{place}", arguments.mac.hyphenated());
    let request = ClientRequest {
        token: arguments.token.clone(),
        value,
    };
    let body = request.render(name);
    let mut reason = String::new();
    for attempt in 0..TRIES {
        thread::sleep(Duration::from_millis(200) * attempt);
        let answer = http::post(arguments.http(), &path, &body, PATIENCE);
        reason = match answer.map(|answer| (answer.head.status, answer.into_body(MAX_ANSWER))) {
            Ok((200, Ok(body))) => {
                return String::from_utf8(body).map_err(|_| "the answer is no text".to_owned());
            }
            // The server understood and does not want to: asking again changes nothing.
            Ok((status @ 400..=499, body)) => {
                let said = body.unwrap_or_default();
                let said = String::from_utf8_lossy(&said);
                return Err(format!("the server answered {status}: {}", said.trim()));
            }
            Ok((status, Ok(_))) => format!("the server answered {status}"),
            Ok((_, Err(error))) | Err(error) => error.to_string(),
        };
    }
    Err(format!("{}{path}: {reason}", arguments.http()))
}
