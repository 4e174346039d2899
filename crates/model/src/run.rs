//! What a client tells the server about a run that is to be measured.

use std::fmt;

use crate::Report;

/// `POST /client/<mac>/run`: a run begins or has ended.
///
/// The body is lines of `key=value` (`token`, `run`, and one line for each fact), at most
/// [`RunReport::MAX_LEN`] bytes. The answer to the end is a line in words, the run's record, and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunReport {
    /// The boot token from the kernel command line.
    pub token: String,
    /// Whether the run has ended; else it begins.
    pub ended: bool,
    /// What the client says of itself: a name of lower-case letters, and one line of text.
    pub facts: Vec<(String, String)>,
}

/// Why a report of a run was refused: it is too long, not UTF-8, or no lines of `key=value` with a token and
/// `run=begins` or `run=ended`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunReportError;

impl fmt::Display for RunReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a report of a run is lines of key=value with token= and run=begins or run=ended, at most 4096 bytes",
        )
    }
}

impl std::error::Error for RunReportError {}

impl RunReport {
    /// Longest body, in bytes.
    pub const MAX_LEN: usize = Report::MAX_LEN;
    /// Longest text of a fact, in bytes; the rest is cut off.
    pub const MAX_FACT: usize = 700;

    /// The body of the request. Facts that do not fit any more are left out.
    pub fn render(&self) -> String {
        let step = if self.ended { "ended" } else { "begins" };
        let mut text = format!("token={}\nrun={step}\n", self.token);
        for (key, value) in &self.facts {
            let value = value.replace(char::is_control, " ");
            let line = format!("{key}={}\n", cut(value.trim()));
            if text.len() + line.len() <= Self::MAX_LEN {
                text.push_str(&line);
            }
        }
        text
    }

    /// Reads a body. Facts whose names are not lower-case letters are left out.
    pub fn parse(body: &[u8]) -> Result<Self, RunReportError> {
        if body.len() > Self::MAX_LEN {
            return Err(RunReportError);
        }
        let text = std::str::from_utf8(body).map_err(|_| RunReportError)?;
        let (mut token, mut ended, mut facts) = (None, None, Vec::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (key, value) = line.split_once('=').ok_or(RunReportError)?;
            match (key, value) {
                ("token", value) => token = Some(value.to_owned()),
                ("run", "begins") => ended = Some(false),
                ("run", "ended") => ended = Some(true),
                ("run", _) => return Err(RunReportError),
                (key, value) if (1..=32).contains(&key.len()) && key.bytes().all(is_letter) => {
                    let value = value.replace(char::is_control, " ");
                    facts.push((key.to_owned(), cut(&value).to_owned()));
                }
                _ => {}
            }
        }
        Ok(Self {
            token: token.ok_or(RunReportError)?,
            ended: ended.ok_or(RunReportError)?,
            facts,
        })
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte == b'_'
}

fn cut(value: &str) -> &str {
    &value[..value.floor_char_boundary(RunReport::MAX_FACT)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(facts: &[(&str, &str)]) -> RunReport {
        let facts = facts
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()));
        RunReport {
            token: "00ff".into(),
            ended: true,
            facts: facts.collect(),
        }
    }

    #[test]
    fn what_is_rendered_is_read_back() {
        let report = report(&[("cpu", "A = B"), ("command", "sh -c 'sleep 1'")]);
        assert_eq!(RunReport::parse(report.render().as_bytes()), Ok(report));
    }

    #[test]
    fn what_is_too_long_is_cut_and_what_does_not_fit_is_left_out() {
        let long = "ä".repeat(500);
        let many: Vec<(&str, &str)> = (0..9).map(|_| ("fact", &*long)).collect();
        let body = report(&many).render();
        assert!(body.len() <= RunReport::MAX_LEN);
        let read = RunReport::parse(body.as_bytes()).unwrap();
        assert_eq!(read.facts.len(), 5);
        assert_eq!(read.facts[0].1.len(), RunReport::MAX_FACT);
    }

    #[test]
    fn strange_bodies_are_refused_and_strange_facts_left_out() {
        for body in [
            &b""[..],
            b"token=1",
            b"run=ended",
            b"token=1\nrun=maybe",
            b"\xff=1",
            &[b'x'; 5000],
        ] {
            assert_eq!(RunReport::parse(body), Err(RunReportError));
        }
        let read = RunReport::parse(b"token=1\nrun=begins\nA=1\n=2\nb=\x1b[1m").unwrap();
        assert_eq!(read.facts, [("b".to_owned(), " [1m".to_owned())]);
    }
}
