//! The syntax of dnsmasq's configuration.

/// One line: `key`, or `key=value,value…`.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// From 1.
    pub line: usize,
    /// Without leading hyphens.
    pub key: String,
    /// Trimmed; none without `=`.
    pub values: Vec<String>,
}

/// Reads the text of a file.
pub fn parse(text: &str) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = uncommented(line).trim();
        if line.is_empty() {
            continue;
        }
        let (key, values) = match line.split_once('=') {
            Some((key, values)) => (key, values.split(',').map(value).collect()),
            None => (line, Vec::new()),
        };
        settings.push(Setting {
            line: at + 1,
            key: key.trim().trim_start_matches("--").to_owned(),
            values,
        });
    }
    settings
}

/// A comment begins at the start of the line or after a blank.
fn uncommented(line: &str) -> &str {
    let starts = line.match_indices('#').map(|(at, _)| at);
    let comment = starts.into_iter().find(|at| {
        line[..*at]
            .chars()
            .next_back()
            .is_none_or(char::is_whitespace)
    });
    &line[..comment.unwrap_or(line.len())]
}

fn value(text: &str) -> String {
    text.trim().trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_keys_and_values() {
        let text = "# a comment\nenable-tftp\ndhcp-range = set:p, 10.0.0.0,proxy # why\n\naddress=/a#b/1.2.3.4\n";
        let found: Vec<String> = parse(text)
            .into_iter()
            .map(|s| format!("{} {} {}", s.line, s.key, s.values.join("|")))
            .collect();
        assert_eq!(
            found,
            [
                "2 enable-tftp ",
                "3 dhcp-range set:p|10.0.0.0|proxy",
                "5 address /a#b/1.2.3.4"
            ]
        );
    }
}
