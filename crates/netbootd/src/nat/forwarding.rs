//! Whether this machine sends on packets that are not for it.

const SWITCH: &str = "/proc/sys/net/ipv4/ip_forward";

/// Whether it does.
pub fn is_on() -> Result<bool, String> {
    let text = std::fs::read_to_string(SWITCH).map_err(|error| format!("{SWITCH}: {error}"))?;
    Ok(text.trim() != "0")
}

/// Makes it so. Needs `CAP_NET_ADMIN`, and a unit that does not protect it.
pub fn switch(on: bool) -> Result<(), String> {
    let text = if on { "1\n" } else { "0\n" };
    std::fs::write(SWITCH, text).map_err(|error| {
        format!("{SWITCH} cannot be written: {error} (the unit's drop-in nat.conf allows it)")
    })
}
