//! A client's request for a certificate of its ssh host key.

use std::fmt;

/// What `init` posts to `/client/<mac>/host-key`: lines of `token=…` and `key=…`, at most
/// [`HostKeyRequest::MAX_LEN`] bytes. The answer is one line, the host certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKeyRequest {
    /// The boot token from the kernel command line.
    pub token: String,
    /// The public key, as the one line of `ssh_host_ed25519_key.pub`. The private key stays on the
    /// client.
    pub key: String,
}

/// Why a request was refused: it is too long, not UTF-8, or one of its lines is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostKeyRequestError;

impl fmt::Display for HostKeyRequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request for a host certificate is a line token=… and a line key=…, at most 1024 bytes together")
    }
}

impl std::error::Error for HostKeyRequestError {}

impl HostKeyRequest {
    /// Longest body, in bytes. A token is 40 and an ed25519 key 80, without its comment.
    pub const MAX_LEN: usize = 1024;

    /// The body of the request.
    pub fn render(&self) -> String {
        format!("token={}\nkey={}\n", self.token, self.key.trim())
    }

    /// Reads a body. Unknown keys are ignored, so that an older server serves a newer client.
    pub fn parse(body: &[u8]) -> Result<Self, HostKeyRequestError> {
        if body.len() > Self::MAX_LEN {
            return Err(HostKeyRequestError);
        }
        let text = std::str::from_utf8(body).map_err(|_| HostKeyRequestError)?;
        let value = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
        };
        Ok(Self {
            token: value("token").ok_or(HostKeyRequestError)?,
            key: value("key").ok_or(HostKeyRequestError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rendered_is_read_back() {
        let request = HostKeyRequest {
            token: "00ff".into(),
            key: "ssh-ed25519 AAAA root@pc1".into(),
        };
        assert_eq!(
            HostKeyRequest::parse(request.render().as_bytes()),
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
            &[b'x'; HostKeyRequest::MAX_LEN + 1],
        ] {
            assert_eq!(HostKeyRequest::parse(body), Err(HostKeyRequestError));
        }
    }
}
