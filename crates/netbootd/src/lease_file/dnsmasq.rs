//! dnsmasq's leases file: one line for each lease, `ENDS MAC ADDRESS NAME CLIENT-ID`, `*` for none,
//! 0 for a lease without end (dnsmasq(8), lease.c). From the line `duid …` on it is IPv6.

use super::{ForeignLease, Parsed, from_colons};

pub(super) fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.split_whitespace().next() == Some("duid") {
            break;
        }
        match lease(line) {
            Ok(lease) => {
                parsed.leases.insert(lease.address, Some(lease));
            }
            Err(why) => parsed.unreadable.push((number + 1, why.to_owned())),
        }
    }
    parsed
}

fn lease(line: &str) -> Result<ForeignLease, &'static str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [ends, mac, address, rest @ ..] = words.as_slice() else {
        return Err("a lease has a time, a MAC address and an address");
    };
    let ends: u64 = ends.parse().map_err(|_| "the time is no number")?;
    let named = |at: usize| rest.get(at).copied().filter(|word| *word != "*");
    Ok(ForeignLease {
        address: address.parse().map_err(|_| "no IPv4 address")?,
        // Other hardware than Ethernet has its kind before a hyphen, and is none that we serve.
        mac: mac.parse().map_err(|_| "no MAC address of Ethernet")?,
        client_id: named(1).and_then(from_colons),
        hostname: named(0).map(str::to_owned),
        expires: if ends == 0 { u64::MAX } else { ends },
    })
}
