//! Where the changes to a client's root are kept: in its memory, and how much of it they may take.

use std::fmt;
use std::str::FromStr;

/// An upper bound of the changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Of the machine's memory, 1 to 100 (with zram to 200).
    Percent(u8),
    /// MiB, at least 1.
    Mib(u32),
}

/// How changes to the root are kept until the machine is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Under pressure they are compressed (a swap device in memory), so that they may be larger.
    pub zram: bool,
    /// How large they may become, before compression.
    pub share: Share,
}

/// As the kernel's own tmpfs without a size.
impl Default for Changes {
    fn default() -> Self {
        Self {
            zram: false,
            share: Share::Percent(50),
        }
    }
}

impl Changes {
    /// The bound in bytes on a machine with so much memory.
    pub fn bytes(&self, memory: u64) -> u64 {
        match self.share {
            Share::Percent(percent) => memory / 100 * u64::from(percent),
            Share::Mib(mib) => u64::from(mib) << 20,
        }
    }
}

/// Writes `50%`, `4096M`, `zram:100%`.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.zram {
            f.write_str("zram:")?;
        }
        match self.share {
            Share::Percent(percent) => write!(f, "{percent}%"),
            Share::Mib(mib) => write!(f, "{mib}M"),
        }
    }
}

/// Neither a share nor `zram`, or a share that no machine can give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseChangesError;

/// Reads `25%`, `512M`, `4G`, `zram` (as much as there is memory), `zram:150%`.
impl FromStr for Changes {
    type Err = ParseChangesError;

    fn from_str(text: &str) -> Result<Self, ParseChangesError> {
        let (zram, share) = match text.strip_prefix("zram") {
            Some("") => (true, "100%"),
            Some(rest) => (true, rest.strip_prefix(':').ok_or(ParseChangesError)?),
            None => (false, text),
        };
        let number = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits
                .parse()
                .ok()
                .filter(|number: &u32| plain && *number > 0)
        };
        let most = if zram { 200 } else { 100 };
        let share = if let Some(percent) = share.strip_suffix('%') {
            let percent = number(percent).filter(|percent| *percent <= most);
            percent
                .and_then(|percent| u8::try_from(percent).ok())
                .map(Share::Percent)
        } else if let Some(mib) = share.strip_suffix('M') {
            number(mib).map(Share::Mib)
        } else {
            let gib = share.strip_suffix('G').and_then(number);
            gib.and_then(|gib| gib.checked_mul(1024)).map(Share::Mib)
        };
        let share = share.ok_or(ParseChangesError)?;
        Ok(Self { zram, share })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_and_written() {
        for (text, written) in [
            ("50%", "50%"),
            ("4G", "4096M"),
            ("512M", "512M"),
            ("zram", "zram:100%"),
            ("zram:2G", "zram:2048M"),
            ("zram:200%", "zram:200%"),
        ] {
            let changes: Changes = text.parse().unwrap();
            assert_eq!(changes.to_string(), written);
            assert_eq!(written.parse(), Ok(changes));
        }
    }

    #[test]
    fn what_no_machine_can_give_is_refused() {
        for bad in [
            "",
            "%",
            "0%",
            "101%",
            "+5%",
            "5",
            "0G",
            "4294967295G",
            "zram4G",
            "zram:",
            "zram:201%",
            "1.5G",
        ] {
            assert_eq!(bad.parse::<Changes>(), Err(ParseChangesError), "{bad}");
        }
    }

    #[test]
    fn a_share_becomes_bytes() {
        let bytes = |text: &str| text.parse::<Changes>().unwrap().bytes(1000);
        assert_eq!(bytes("25%"), 250);
        assert_eq!(bytes("zram:3M"), 3 << 20);
    }
}
