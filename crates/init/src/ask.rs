//! Posting to the server what is this machine's alone to say or to ask for.

use std::thread;
use std::time::Duration;

use model::{BootArguments, ClientRequest};

use crate::http::{self, Patience};

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(2),
    read: Duration::from_secs(5),
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
    let request = ClientRequest {
        token: arguments.token.clone(),
        value,
    };
    post(arguments, place, &request.render(name), TRIES)
}

/// Posts a text to that place of this client's, `tries` times at most, and returns the answer's text, which may be
/// empty, or why there is none.
pub(crate) fn post(
    arguments: &BootArguments,
    place: &str,
    body: &str,
    tries: u32,
) -> Result<String, String> {
    let path = format!("/client/{}/{place}", arguments.mac.hyphenated());
    let mut reason = String::new();
    for attempt in 0..tries {
        thread::sleep(Duration::from_millis(200) * attempt);
        let answer = http::post(arguments.http(), &path, body, PATIENCE);
        reason = match answer.map(|answer| (answer.head.status, answer.into_body(MAX_ANSWER))) {
            Ok((200..=299, Ok(body))) => {
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
