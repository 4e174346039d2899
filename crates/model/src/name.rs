//! Names of images and of their generations.

use std::fmt;
use std::str::FromStr;

use crate::text::{bytes_from_hex, hex, travels_as_text};

/// The name of an image: 1 to 63 of `a-z 0-9 . _ -`, the first a letter or digit; not `menu`, `none`
/// or `local-disk`.
///
/// It is a folder name, a path component in URLs and exports, and a word on a kernel command line,
/// so it may hold nothing that any of those would have to quote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName(String);

impl ImageName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not an image name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseImageNameError;

impl fmt::Display for ParseImageNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an image name is 1 to 63 of a-z, 0-9, '.', '_' and '-', starts with a letter or digit, and is \
             none of menu, none and local-disk",
        )
    }
}

impl std::error::Error for ParseImageNameError {}

impl FromStr for ImageName {
    type Err = ParseImageNameError;

    fn from_str(text: &str) -> Result<Self, ParseImageNameError> {
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let good = (1..=63).contains(&text.len())
            && text.bytes().next().is_some_and(word)
            && text
                .bytes()
                .all(|byte| word(byte) || matches!(byte, b'.' | b'_' | b'-'));
        // What a client boots is an image's name or one of these words.
        if good && !matches!(text, "menu" | "none" | "local-disk") {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseImageNameError)
        }
    }
}

/// Names one generation of an image: 16 bytes derived from the content of its root, kernel and
/// initrd, so two servers that built the same bytes agree on it. 32 hexadecimal digits as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GenerationId(pub [u8; 16]);

impl GenerationId {
    /// The first 12 digits, for people.
    pub fn short(self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// The text is not 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseGenerationError;

impl fmt::Display for ParseGenerationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a generation is 32 hexadecimal digits")
    }
}

impl std::error::Error for ParseGenerationError {}

impl FromStr for GenerationId {
    type Err = ParseGenerationError;

    fn from_str(text: &str) -> Result<Self, ParseGenerationError> {
        bytes_from_hex(text).map(Self).ok_or(ParseGenerationError)
    }
}

travels_as_text!(ImageName, GenerationId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_names_are_safe_as_path_components() {
        for good in ["demo", "x86_64", "bench-2026.11", "0"] {
            assert_eq!(good.parse::<ImageName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            "-x",
            "a/b",
            "A",
            "a b",
            "a,b",
            "menu",
            "ä",
            &"a".repeat(64),
        ] {
            assert_eq!(bad.parse::<ImageName>(), Err(ParseImageNameError), "{bad}");
        }
    }

    #[test]
    fn generations_round_trip() {
        let id = GenerationId([0xab, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.short(), "ab0102030405");
        for bad in [
            "",
            "+b0102030405060708090a0b0c0d0e0f",
            "AB0102030405060708090a0b0c0d0e0f",
        ] {
            assert_eq!(
                bad.parse::<GenerationId>(),
                Err(ParseGenerationError),
                "{bad}"
            );
        }
    }
}
