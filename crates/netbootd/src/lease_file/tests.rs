//! Files as those servers write them, and what else may be in them.

use super::*;

const DNSMASQ: &str = "\
1795442512 52:54:00:67:00:01 192.168.67.20 pc1 01:52:54:00:67:00:01
1795442999 52:54:00:67:00:02 192.168.67.21 * *
0 52:54:00:67:00:03 192.168.67.22 for-ever ff:00:01
1795442512 06-52:54:00 192.168.67.23 token-ring *
yesterday 52:54:00:67:00:04 192.168.67.24 * *
duid 00:01:00:01:2a
1795442512 1 fd00::1 pc6 00:01
";

const ISC: &str = r#"
# The format of this file is documented in the dhcpd.leases(5) manual page.
authoring-byte-order little-endian;
server-duid "\000\001\000\001-\3364\356RT\000\022;";

lease 192.168.67.30 {
  starts 4 2026/11/19 10:00:00;
  ends 4 2026/11/19 22:00:00;
  tstp 4 2026/11/19 22:00:00;
  cltt 4 2026/11/19 10:00:00;
  binding state active;
  next binding state free;
  rewind binding state free;
  hardware ethernet 52:54:00:67:00:01;
  uid "\377\000g\000\001";
  set vendor-class-identifier = "PXEClient; } {";
  on expiry or release {
    log (info, "gone");
    execute ("/bin/true");
  }
  client-hostname "pc1";
}
host somebody {
  dynamic;
  hardware ethernet 52:54:00:00:00:09;
  fixed-address 192.168.67.99;
}
lease 192.168.67.31 {
  ends epoch 1795442512; # Thu Nov 23 10:00:00 2026
  hardware ethernet 52:54:00:67:00:02;
  uid 01:52:54:00:67:00:02;
}
lease 192.168.67.32 { ends never; hardware ethernet 52:54:00:67:00:03; binding state active; }
lease 192.168.67.30 {
  ends 5 2026/11/20 22:00:00;
  binding state active;
  hardware ethernet 52:54:00:67:00:04;
}
lease 192.168.67.31 {
  ends epoch 1795442512;
  binding state free;
  hardware ethernet 52:54:00:67:00:02;
}
lease 192.168.67.33 {
  ends never;
  binding state active;
}
lease 192.168.67.34 {
  ends ne"#;

fn of(parsed: &Parsed, last: u8) -> ForeignLease {
    let lease = &parsed.leases[&Ipv4Addr::new(192, 168, 67, last)];
    lease.clone().expect("somebody has it")
}

#[test]
fn dnsmasq_says_who_has_what_until_when() {
    let parsed = parse(DNSMASQ);
    let first = of(&parsed, 20);
    assert_eq!(first.mac.to_string(), "52:54:00:67:00:01");
    assert_eq!(first.hostname.as_deref(), Some("pc1"));
    assert_eq!(first.expires, 1_795_442_512);
    assert_eq!(first.client_id, Some(vec![1, 0x52, 0x54, 0, 0x67, 0, 1]));
    assert_eq!(of(&parsed, 21).hostname, None);
    assert_eq!(
        (of(&parsed, 22).expires, parsed.leases.len()),
        (u64::MAX, 3)
    );
    let lines: Vec<usize> = parsed.unreadable.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [4, 5]);
}

#[test]
fn of_several_entries_for_an_address_the_last_counts() {
    let parsed = parse(ISC);
    assert_eq!(of(&parsed, 30).mac.to_string(), "52:54:00:67:00:04");
    assert_eq!(parsed.leases[&Ipv4Addr::new(192, 168, 67, 31)], None);
    let twice =
        format!("{DNSMASQ}\n").replace("duid", "#") + DNSMASQ.replace("pc1", "pc2").as_str();
    assert_eq!(of(&parse(&twice), 20).hostname.as_deref(), Some("pc2"));
}

#[test]
fn isc_says_who_has_what_until_when() {
    let first = parse(&ISC[..ISC.find("host somebody").unwrap()]);
    let lease = of(&first, 30);
    assert_eq!(lease.expires, 1_795_125_600);
    assert_eq!(lease.client_id, Some(vec![0xff, 0, b'g', 0, 1]));
    assert_eq!(lease.hostname.as_deref(), Some("pc1"));
    let parsed = parse(ISC);
    assert_eq!(of(&parsed, 32).expires, u64::MAX);
    assert!(!parsed.leases.contains_key(&Ipv4Addr::new(192, 168, 67, 99)));
}

#[test]
fn a_torn_or_incomplete_entry_is_told_with_its_line() {
    let parsed = parse(ISC);
    let (lines, reasons): (Vec<usize>, Vec<String>) = parsed.unreadable.into_iter().unzip();
    assert_eq!(lines, [44, 48]);
    assert!(
        reasons[0].contains("192.168.67.33: no hardware address"),
        "{reasons:?}"
    );
    assert!(reasons[1].contains("no end"), "{reasons:?}");
}

#[test]
fn days_are_counted_over_leap_years() {
    for (text, expected) in [
        (
            "lease 1.1.1.1 {ends 4 1970/01/01 00:00:00; hardware ethernet 2:0:0:0:0:1;}",
            0,
        ),
        (
            "lease 1.1.1.1 {ends 2 2000/02/29 12:00:00; hardware ethernet 2:0:0:0:0:1;}",
            951_825_600,
        ),
        (
            "lease 1.1.1.1 {ends 2 2100/03/01 00:00:00; hardware ethernet 2:0:0:0:0:1;}",
            4_107_542_400,
        ),
    ] {
        let text = text.replace("2:0:0:0:0:1", "02:00:00:00:00:01");
        let parsed = parse(&text);
        let lease = parsed.leases.values().next().cloned().flatten();
        assert_eq!(
            lease.map(|lease| lease.expires),
            Some(expected),
            "{:?}",
            parsed.unreadable
        );
    }
}

/// Whatever stands in the file: no panic, and no more leases than it has entries.
#[test]
fn leases() {
    let seeds = [DNSMASQ, ISC].map(|text| text.as_bytes().to_vec());
    fuzz::run("leases", &seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let parsed = parse(&text);
        assert!(parsed.leases.len() + parsed.unreadable.len() <= text.len());
    });
}
