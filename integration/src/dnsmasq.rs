//! dnsmasq, wherever the lab needs one.

/// What each is told: to stay our child and log to us, and to read and write nothing of this
/// machine's own. More configuration may be named beside it.
pub const ALONE: [&str; 5] = [
    "--keep-in-foreground",
    "--log-facility=-",
    "--user=root",
    "--pid-file=",
    "--conf-file=/dev/null",
];
