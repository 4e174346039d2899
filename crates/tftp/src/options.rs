//! Option negotiation: what was asked for, what we agree to.

use std::time::Duration;

/// What a request asked for. Values outside their RFC's range count as not asked for, so the
/// transfer goes on with the default: old ROMs send nonsense and still boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `blksize`, bytes of data in a block, 8 to 65464 (RFC 2348).
    pub block_size: Option<u16>,
    /// `tsize` was sent with value 0: the client wants to know the file's size (RFC 2349).
    pub wants_size: bool,
    /// `timeout`, seconds before we send again, 1 to 255 (RFC 2349).
    pub timeout: Option<u8>,
    /// `windowsize`, blocks sent before an acknowledgement is awaited, 1 to 65535 (RFC 7440).
    pub window: Option<u16>,
}

impl Options {
    /// Reads one name and value. The first of two equal names counts.
    pub(crate) fn read(&mut self, name: &str, value: &str) {
        let number = value.parse::<u64>().ok();
        let within = |low: u64, high: u64| number.filter(|n| (low..=high).contains(n));
        match name.to_ascii_lowercase().as_str() {
            "blksize" => self.block_size = self.block_size.or(within(8, 65464).map(|n| n as u16)),
            "tsize" => self.wants_size |= number == Some(0),
            "timeout" => self.timeout = self.timeout.or(within(1, 255).map(|n| n as u8)),
            "windowsize" => self.window = self.window.or(within(1, 65535).map(|n| n as u16)),
            _ => {}
        }
    }
}

/// The most that we agree to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest block, in bytes: what fits the path's MTU with 32 bytes of IP, UDP and TFTP headers,
    /// since a fragmented DATA packet is what firmware loses first.
    pub block_size: u16,
    /// Largest window, in blocks.
    pub window: u16,
    /// Wait before the first repetition when the client named no `timeout`.
    pub timeout: Duration,
    /// How often one packet is sent, the first time included.
    pub attempts: u8,
}

impl Default for Limits {
    /// For an Ethernet with an MTU of 1500 bytes.
    fn default() -> Self {
        Self {
            block_size: 1468,
            window: 64,
            timeout: Duration::from_secs(1),
            attempts: 5,
        }
    }
}

/// What both sides go by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agreed {
    pub(crate) block_size: u16,
    pub(crate) window: u16,
    pub(crate) timeout: Duration,
}

impl Agreed {
    /// The terms, and the OACK packet that says so if any option was accepted.
    pub(crate) fn negotiate(
        options: &Options,
        limits: &Limits,
        len: u64,
    ) -> (Self, Option<Vec<u8>>) {
        let mut agreed = Self {
            block_size: 512,
            window: 1,
            timeout: limits.timeout,
        };
        let mut oack = vec![0, 6];
        let mut accept = |name: &str, value: u64| {
            oack.extend_from_slice(name.as_bytes());
            oack.push(0);
            oack.extend_from_slice(value.to_string().as_bytes());
            oack.push(0);
        };
        if let Some(asked) = options.block_size {
            agreed.block_size = asked.min(limits.block_size);
            accept("blksize", agreed.block_size.into());
        }
        if options.wants_size {
            accept("tsize", len);
        }
        if let Some(seconds) = options.timeout {
            agreed.timeout = Duration::from_secs(seconds.into());
            accept("timeout", seconds.into());
        }
        if let Some(asked) = options.window {
            agreed.window = asked.min(limits.window);
            accept("windowsize", agreed.window.into());
        }
        let accepted = oack.len() > 2;
        (agreed, accepted.then_some(oack))
    }
}
