//! Lengths of time.

use std::time::Duration;

use super::short;
use crate::diagnostic::{Code, Fault};

const SHORTEST: u64 = 2 * 60;
const LONGEST: u64 = 30 * 24 * 3600;

/// `90s`, `15m`, `12h`, `7d`, or several of them together; 2 minutes to 30 days.
pub(crate) fn lease_time(text: &str) -> Result<Duration, Fault> {
    let Some(seconds) = seconds(text) else {
        let help = match text.trim().parse::<u64>() {
            Ok(number) => format!("write \"{number}s\" instead"),
            Err(_) => "write a time like \"12h\" instead".to_owned(),
        };
        return Err(Fault::new(
            Code::BadLeaseTime,
            format!("`{}` is not a time", short(text)),
            "a time is a number and its unit: s, m, h or d",
        )
        .help(help));
    };
    match seconds {
        ..SHORTEST => Err(Fault::new(
            Code::BadLeaseTime,
            format!("a lease of `{text}` is too short"),
            "a client renews after half of it, and an address must outlive a reboot; the shortest is 2m",
        )
        .help("write \"2m\" or more instead")),
        SHORTEST..=LONGEST => Ok(Duration::from_secs(seconds)),
        _ => Err(Fault::new(
            Code::BadLeaseTime,
            format!("a lease of `{text}` is too long"),
            "addresses of machines that left stay taken for so long; the longest is 30d",
        )
        .help("write \"30d\" or less instead")),
    }
}

fn seconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes()[digits] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 24 * 3600,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = rest[digits + 1..].trim_start();
    }
    (!text.trim().is_empty()).then_some(total)
}
