//! What a client asks of the server, or tells it, for itself alone: a host certificate, its next boot, a damaged block.

use std::fmt;

/// What is posted to `/client/<mac>/host-key` (lines of `token=…` and `key=…`), `/boot-next` (`token=…`
/// and `boot=…`) and `/damage` (`token=…` and `block=…`), at most [`ClientRequest::MAX_LEN`] bytes. The answer is text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRequest {
    /// The boot token from the kernel command line.
    pub token: String,
    /// What it is about: the public key as the one line of `ssh_host_ed25519_key.pub`, what is to be booted, or the
    /// number of a block of the root.
    pub value: String,
}

/// Why a request was refused: it is too long, not UTF-8, or one of its lines is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientRequestError;

impl fmt::Display for ClientRequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request is a line token=… and a line that says what for, at most 1024 bytes together")
    }
}

impl std::error::Error for ClientRequestError {}

impl ClientRequest {
    /// Longest body, in bytes. A token is 40 and an ed25519 key 80, without its comment.
    pub const MAX_LEN: usize = 1024;

    /// The body of the request; `name` is that of the value.
    pub fn render(&self, name: &str) -> String {
        format!("token={}\n{name}={}\n", self.token, self.value.trim())
    }

    /// Reads a body. Unknown keys are ignored, so that an older server serves a newer client.
    pub fn parse(name: &str, body: &[u8]) -> Result<Self, ClientRequestError> {
        if body.len() > Self::MAX_LEN {
            return Err(ClientRequestError);
        }
        let text = std::str::from_utf8(body).map_err(|_| ClientRequestError)?;
        let value = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
        };
        Ok(Self {
            token: value("token").ok_or(ClientRequestError)?,
            value: value(name).ok_or(ClientRequestError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rendered_is_read_back() {
        let request = ClientRequest {
            token: "00ff".into(),
            value: "ssh-ed25519 AAAA root@pc1".into(),
        };
        assert_eq!(
            ClientRequest::parse("key", request.render("key").as_bytes()),
            Ok(request)
        );
    }

    #[test]
    fn strange_bodies_are_refused() {
        for body in [
            &b""[..],
            b"token=1",
            b"key=ssh-ed25519 AAAA",
            b"token=1\nkey=\xff",
            &[b'x'; ClientRequest::MAX_LEN + 1],
        ] {
            assert_eq!(ClientRequest::parse("key", body), Err(ClientRequestError));
        }
    }
}
