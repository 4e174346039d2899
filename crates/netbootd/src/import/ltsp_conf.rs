//! The syntax of ltsp.conf: sections of shell assignments. Read as text and never run.

/// What stands in a file.
#[derive(Debug, Default)]
pub struct LtspConf {
    /// In the order of the file. The first has no header, and what stands above all others.
    pub sections: Vec<Section>,
    /// Lines that are no assignments.
    pub bad: Vec<BadLine>,
}

/// What stands below one header.
#[derive(Debug, Default)]
pub struct Section {
    /// Line of the header, from 1; 0 for what stands above all headers.
    pub line: usize,
    /// As LTSP reads it: lower case, without brackets, comment and odd characters.
    pub header: String,
    /// In the order of the file.
    pub parameters: Vec<Parameter>,
}

/// One assignment.
#[derive(Debug)]
pub struct Parameter {
    /// Line of its name, from 1.
    pub line: usize,
    /// As it is written.
    pub name: String,
    /// Without its quotes; may have more than one line.
    pub value: String,
    /// As it is written, with its quotes.
    pub raw: String,
    /// Whether a shell would run a command to know it: `$(…)` or backquotes, wherever they stand.
    pub runs: bool,
    /// The first variable that a shell would put in.
    pub variable: Option<String>,
}

/// A line that was skipped.
#[derive(Debug)]
pub struct BadLine {
    /// From 1.
    pub line: usize,
    /// As it is written.
    pub text: String,
    /// Why.
    pub why: &'static str,
}

const NO_ASSIGNMENT: &str =
    "no assignment and no section; the file is a shell script, and is never run";

/// Reads the text of an ltsp.conf.
pub fn parse(text: &str) -> LtspConf {
    let mut conf = LtspConf::default();
    conf.sections.push(Section::default());
    let (mut rest, mut line) = (text, 1);
    while !rest.is_empty() {
        let end = rest.find('\n').unwrap_or(rest.len());
        let here = &rest[..end];
        let mut consumed = end;
        let trimmed = here.trim();
        let mut bad = |why| {
            let text = trimmed.to_owned();
            conf.bad.push(BadLine { line, text, why });
        };
        if trimmed.is_empty() || trimmed.starts_with('#') {
        } else if let Some(header) = header(trimmed) {
            conf.sections.push(Section {
                line,
                header,
                parameters: Vec::new(),
            });
        } else if let Some((name, at)) = assignment(here) {
            match word(&rest[at..]) {
                Ok(word) => {
                    let tail_at = at + word.length;
                    let tail_end = rest[tail_at..]
                        .find('\n')
                        .map_or(rest.len(), |n| tail_at + n);
                    let tail = rest[tail_at..tail_end].trim_start();
                    if tail.is_empty() || tail.starts_with(['#', ';']) {
                        let raw = rest[at..tail_at].to_owned();
                        let parameter = parameter(line, name, word, raw);
                        consumed = match tail.starts_with(';') {
                            true => tail_end - tail.len() + 1,
                            false => tail_end,
                        };
                        if let Some(section) = conf.sections.last_mut() {
                            section.parameters.push(parameter);
                        }
                    } else {
                        bad(
                            "a value of several words needs quotes; as it stands, the shell would run the second as a command",
                        );
                    }
                }
                Err(Unclosed) => bad("a quote is opened and never closed"),
            }
        } else {
            bad(NO_ASSIGNMENT);
        }
        line += rest[..consumed].matches('\n').count();
        rest = &rest[consumed..];
        if let Some(next) = rest.strip_prefix('\n') {
            rest = next;
            line += 1;
        }
    }
    conf
}

fn header(trimmed: &str) -> Option<String> {
    let inner = trimmed.strip_prefix('[')?;
    inner.contains(']').then(|| clean(trimmed))
}

/// As LTSP cleans the names of sections.
fn clean(text: &str) -> String {
    let before = text.split('#').next().unwrap_or_default();
    let kept = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-*./:?@_|".contains(*c);
    before.to_ascii_lowercase().chars().filter(kept).collect()
}

/// The name of an assignment, and where its value begins. LTSP allows blanks around the `=`.
fn assignment(line: &str) -> Option<(&str, usize)> {
    let equals = line.find('=')?;
    let name = line[..equals].trim();
    let name = name.strip_prefix("export ").map_or(name, str::trim_start);
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let good = name.bytes().all(word) && name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    let blanks =
        line[equals + 1..].len() - line[equals + 1..].trim_start_matches([' ', '\t']).len();
    good.then_some((name, equals + 1 + blanks))
}

fn parameter(line: usize, name: &str, word: Word, raw: String) -> Parameter {
    let include = name.eq_ignore_ascii_case("include");
    Parameter {
        line,
        name: if include {
            "INCLUDE".to_owned()
        } else {
            name.to_owned()
        },
        value: if include { clean(&raw) } else { word.value },
        runs: raw.contains("$(") || raw.contains('`'),
        variable: word.variable,
        raw,
    }
}

struct Unclosed;

struct Word {
    value: String,
    variable: Option<String>,
    /// In bytes.
    length: usize,
}

/// One word of the shell: quoted and plain parts up to a blank.
fn word(text: &str) -> Result<Word, Unclosed> {
    let mut word = Word {
        value: String::new(),
        variable: None,
        length: 0,
    };
    let mut quote = None;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        word.length = at + letter.len_utf8();
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (Some('\''), _) => word.value.push(letter),
            (_, '\\') => {
                let Some((next_at, next)) = letters.next() else {
                    word.value.push('\\');
                    break;
                };
                word.length = next_at + next.len_utf8();
                match next {
                    '\n' => {}
                    _ if quote.is_some() && !"$`\"\\".contains(next) => {
                        word.value.extend(['\\', next]);
                    }
                    _ => word.value.push(next),
                }
            }
            (None, ' ' | '\t' | '\r' | '\n' | ';') => {
                word.length = at;
                return Ok(word);
            }
            _ => {
                if letter == '$' && word.variable.is_none() {
                    word.variable = variable(&text[at + 1..]);
                }
                word.value.push(letter);
            }
        }
    }
    if quote.is_some() {
        Err(Unclosed)
    } else {
        Ok(word)
    }
}

/// The name after a `$`.
fn variable(text: &str) -> Option<String> {
    let bare = text.strip_prefix('{').unwrap_or(text);
    let name: String = bare
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .take(40)
        .collect();
    (!name.is_empty() || text.starts_with(['{', '*', '@', '#', '?', '!', '$'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(usize, String, String)> {
        let sections = parse(text).sections.into_iter();
        sections
            .flat_map(|section| section.parameters)
            .map(|p| (p.line, p.name, p.value))
            .collect()
    }

    fn value(text: &str) -> String {
        values(text).remove(0).2
    }

    #[test]
    fn quotes_are_those_of_the_shell() {
        assert_eq!(value("A=plain # why"), "plain");
        assert_eq!(value("A = 'one two'"), "one two");
        assert_eq!(value(r#"A="say \"hi\" \n""#), r#"say "hi" \n"#);
        assert_eq!(
            value(r#"A='"1024x768" "800x600"'"#),
            r#""1024x768" "800x600""#
        );
        assert_eq!(value("A=a'b c'\"d\""), "ab cd");
        assert_eq!(value("  export A=x\r\n"), "x");
    }

    #[test]
    fn a_value_may_have_many_lines_and_the_next_one_keeps_its_number() {
        let text = "A=\"one\ntwo\"\nB=x\\\ny; C=z\nD=1\n";
        let found: Vec<_> = values(text)
            .into_iter()
            .map(|(line, name, value)| format!("{line}{name}{value}"))
            .collect();
        assert_eq!(found, ["1Aone\ntwo", "3Bxy", "4Cz", "5D1"]);
    }

    #[test]
    fn a_line_that_is_wrong_costs_that_line_only() {
        let conf = parse("A=one two\nif true; then\nB=1\nC='open\nD=2\n");
        let bad: Vec<usize> = conf.bad.iter().map(|bad| bad.line).collect();
        assert_eq!(bad, [1, 2, 4]);
        assert_eq!(conf.sections[0].parameters.len(), 2);
    }

    #[test]
    fn what_only_a_shell_could_know_is_marked() {
        let conf = parse("A=$(date)\nB='`id`'\nC=\"$SERVER:/x\"\nD='$SERVER'\nE=${X#pc}\n");
        let marks: Vec<_> = conf.sections[0]
            .parameters
            .iter()
            .map(|p| (p.runs, p.variable.as_deref().unwrap_or("-").to_owned()))
            .collect();
        let mark = |runs, name: &str| (runs, name.to_owned());
        assert_eq!(
            marks[1..],
            [
                mark(true, "-"),
                mark(false, "SERVER"),
                mark(false, "-"),
                mark(false, "X")
            ]
        );
        assert!(marks[0].0);
    }

    #[test]
    fn headers_are_read_as_ltsp_reads_them() {
        let conf = parse("[ PC*|B8:27:eb:* ] # Pis\nInclude = \"Crt_Monitor\"  # old\n");
        assert_eq!(conf.sections[1].header, "pc*|b8:27:eb:*");
        assert_eq!(conf.sections[1].parameters[0].value, "crt_monitor");
        assert_eq!(conf.sections[1].parameters[0].name, "INCLUDE");
    }
}
