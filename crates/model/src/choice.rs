//! What a client boots.

use std::fmt;
use std::str::FromStr;

use crate::{GenerationId, ImageName};

/// What a client boots, as the operator writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootChoice {
    /// `demo`: the current generation of this image. `demo@0123456789ab`: that generation, named by
    /// its first digits.
    Image {
        /// The image.
        name: ImageName,
        /// 4 to 32 hexadecimal digits in lower case.
        generation: Option<String>,
    },
    /// `local-disk`: its own disk. Firmware is told nothing, or to go on.
    LocalDisk,
    /// `menu`: whoever sits in front of it chooses.
    Menu,
    /// `none`: it is not answered at all, and gets no address either.
    Unanswered,
}

const LOCAL_DISK: &str = "local-disk";
const MENU: &str = "menu";
const UNANSWERED: &str = "none";

impl BootChoice {
    /// The current generation of an image.
    pub fn image(name: ImageName) -> Self {
        Self::Image {
            name,
            generation: None,
        }
    }

    /// Whether `id` is the generation that was asked for by `digits`.
    pub fn means(digits: &str, id: GenerationId) -> bool {
        id.to_string().starts_with(digits)
    }
}

impl fmt::Display for BootChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image {
                name,
                generation: Some(digits),
            } => write!(f, "{name}@{digits}"),
            Self::Image { name, .. } => name.fmt(f),
            Self::LocalDisk => f.write_str(LOCAL_DISK),
            Self::Menu => f.write_str(MENU),
            Self::Unanswered => f.write_str(UNANSWERED),
        }
    }
}

/// The text names nothing that can be booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseBootChoiceError;

impl fmt::Display for ParseBootChoiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a machine boots an image (`demo`), one of its generations (`demo@0123456789ab`, 4 to 32 \
             hexadecimal digits), `local-disk`, `menu` or `none`",
        )
    }
}

impl std::error::Error for ParseBootChoiceError {}

impl FromStr for BootChoice {
    type Err = ParseBootChoiceError;

    fn from_str(text: &str) -> Result<Self, ParseBootChoiceError> {
        let (name, generation) = match text {
            LOCAL_DISK => return Ok(Self::LocalDisk),
            MENU => return Ok(Self::Menu),
            UNANSWERED => return Ok(Self::Unanswered),
            _ => match text.split_once('@') {
                Some((name, digits)) => (name, Some(digits)),
                None => (text, None),
            },
        };
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let good = |digits: &str| (4..=32).contains(&digits.len()) && digits.bytes().all(hex);
        if !generation.is_none_or(good) {
            return Err(ParseBootChoiceError);
        }
        Ok(Self::Image {
            name: name.parse().map_err(|_| ParseBootChoiceError)?,
            generation: generation.map(str::to_owned),
        })
    }
}

crate::text::travels_as_text!(BootChoice);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_as_it_is_written() {
        for text in [
            "demo",
            "demo@0123",
            "demo@0123456789ab",
            "local-disk",
            "menu",
            "none",
        ] {
            assert_eq!(text.parse::<BootChoice>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "Demo",
            "demo@",
            "demo@12",
            "demo@xyz1",
            "demo@ABCD",
            "@1234",
        ] {
            assert_eq!(
                bad.parse::<BootChoice>(),
                Err(ParseBootChoiceError),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_generation_is_named_by_its_first_digits() {
        let id = GenerationId([0xab; 16]);
        assert!(BootChoice::means("abab", id));
        assert!(!BootChoice::means("abac", id));
    }
}
