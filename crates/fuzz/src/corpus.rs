//! Seeds as text: one a line, a name and its bytes in hexadecimal.

use std::fmt::Write;

/// The seeds in a text. Words of bytes may be set apart by spaces; `#` begins a comment.
///
/// # Panics
///
/// When a line is not a name followed by hexadecimal bytes.
pub fn corpus(text: &str) -> Vec<Vec<u8>> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, bytes) = line.split_once(' ').unwrap_or((line, ""));
            let digits: Vec<u8> = bytes.bytes().filter(|byte| *byte != b' ').collect();
            let pairs = digits.chunks(2);
            let byte = |pair: &[u8]| {
                let pair = std::str::from_utf8(pair).ok()?;
                u8::from_str_radix(pair, 16)
                    .ok()
                    .filter(|_| pair.len() == 2)
            };
            let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
            bytes.unwrap_or_else(|| panic!("seed {name} is not in hexadecimal"))
        })
        .collect()
}

/// Bytes as a corpus has them, in words of four.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 && at % 4 == 0 {
            text.push(' ');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_lines_of_text() {
        let seeds = corpus("# two\nempty\n\nwords 00010203 ff\n");
        assert_eq!(seeds, [vec![], vec![0, 1, 2, 3, 0xff]]);
        assert_eq!(hex(&seeds[1]), "00010203 ff");
    }
}
