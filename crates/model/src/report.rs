//! What a client tells the server about its boot.

use std::fmt;

use crate::Stage;

/// One message from `init` or the client program: `POST /client/<mac>/report`.
///
/// The body is lines of `key=value` (`token`, `stage` or `failed`, `secure-boot`, `message`), at most
/// [`Report::MAX_LEN`] bytes, so that the client needs no JSON and the server no trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The boot token from the kernel command line; tells this attempt from an earlier one.
    pub token: String,
    /// The stage reached, or the stage that could not be reached when `failed`.
    pub stage: Stage,
    /// Whether `stage` was tried and failed; `message` then says why.
    pub failed: bool,
    /// Whether the machine's firmware enforces Secure Boot, if `init` has found that out.
    pub secure_boot: Option<bool>,
    /// One line for people. May be empty. Control characters are replaced when it is read.
    pub message: String,
}

/// Why a report was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportError {
    /// Longer than [`Report::MAX_LEN`].
    TooLong,
    /// Not UTF-8, or a line without `=`.
    Malformed,
    /// No known `stage` or `failed` line.
    NoStage,
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the report is longer than 4096 bytes",
            Self::Malformed => "the report is not lines of key=value",
            Self::NoStage => "the report names no known stage",
        })
    }
}

impl std::error::Error for ReportError {}

impl Report {
    /// Longest body, in bytes.
    pub const MAX_LEN: usize = 4096;

    /// The body of the request. Line breaks in `message` become spaces.
    pub fn render(&self) -> String {
        let key = if self.failed { "failed" } else { "stage" };
        let secure_boot = match self.secure_boot {
            Some(true) => "secure-boot=on\n",
            Some(false) => "secure-boot=off\n",
            None => "",
        };
        let message = self.message.replace(['\n', '\r'], " ");
        let mut text = format!(
            "token={}\n{key}={}\n{secure_boot}message={message}\n",
            self.token, self.stage
        );
        if text.len() > Self::MAX_LEN {
            let mut end = Self::MAX_LEN - 1;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
        }
        text
    }

    /// Reads a body. Unknown keys are ignored, so that an older server serves a newer client.
    pub fn parse(body: &[u8]) -> Result<Self, ReportError> {
        if body.len() > Self::MAX_LEN {
            return Err(ReportError::TooLong);
        }
        let text = std::str::from_utf8(body).map_err(|_| ReportError::Malformed)?;
        let (mut token, mut stage, mut message) = (String::new(), None, String::new());
        let mut secure_boot = None;
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (key, value) = line.split_once('=').ok_or(ReportError::Malformed)?;
            match key {
                "token" => token = value.to_owned(),
                "stage" => stage = value.parse().ok().map(|stage| (stage, false)),
                "failed" => stage = value.parse().ok().map(|stage| (stage, true)),
                "secure-boot" => {
                    secure_boot = match value {
                        "on" => Some(true),
                        "off" => Some(false),
                        _ => None,
                    }
                }
                "message" => message = value.replace(char::is_control, " "),
                _ => {}
            }
        }
        let (stage, failed) = stage.ok_or(ReportError::NoStage)?;
        Ok(Self {
            token,
            stage,
            failed,
            secure_boot,
            message,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rendered_is_read_back() {
        for secure_boot in [None, Some(false), Some(true)] {
            let report = Report {
                token: "00ff".into(),
                stage: Stage::Mounted,
                failed: true,
                secure_boot,
                message: "NFS: connection refused by 192.168.67.1:2049 = no server".into(),
            };
            assert_eq!(Report::parse(report.render().as_bytes()), Ok(report));
        }
    }

    #[test]
    fn a_long_message_is_cut_and_still_a_report() {
        let report = Report {
            token: "1".into(),
            stage: Stage::Init,
            failed: false,
            secure_boot: None,
            message: "ä".repeat(9000),
        };
        let body = report.render();
        assert!(body.len() <= Report::MAX_LEN);
        assert_eq!(Report::parse(body.as_bytes()).unwrap().stage, Stage::Init);
    }

    #[test]
    fn strangers_are_refused_with_a_reason() {
        assert_eq!(Report::parse(&[b'x'; 5000]), Err(ReportError::TooLong));
        assert_eq!(Report::parse(b"\xff=1"), Err(ReportError::Malformed));
        assert_eq!(
            Report::parse(b"no equals sign"),
            Err(ReportError::Malformed)
        );
        assert_eq!(
            Report::parse(b"token=1\nstage=dancing\n"),
            Err(ReportError::NoStage)
        );
        let cleaned = Report::parse(b"stage=init\nmessage=a\x1b[31mb").unwrap();
        assert_eq!(cleaned.message, "a [31mb");
    }
}
