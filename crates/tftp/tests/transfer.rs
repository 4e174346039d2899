//! Whole transfers in virtual time, over a link that loses what the test says.

use std::io::{self, IoSliceMut, Read};
use std::time::Duration;

use tftp::{FileSource, Limits, Outcome, Request, Transfer};

struct Bytes(Vec<u8>);

impl FileSource for Bytes {
    fn read_at(&self, offset: u64, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&self.0[offset as usize..]).read_vectored(buffers)
    }
}

/// A client that follows RFC 7440, and the link to it.
struct Link {
    file: Bytes,
    transfer: Transfer,
    now: Duration,
    received: Vec<u8>,
    sent: usize,
}

impl Link {
    fn new(size: usize, options: &str) -> Self {
        let file = Bytes((0..size).map(|i| (i * 7 + i / 512) as u8).collect());
        let mut rrq = b"\0\x01loader\0octet\0".to_vec();
        rrq.extend(options.bytes().map(|b| if b == b' ' { 0 } else { b }));
        let request = Request::decode(&rrq).unwrap();
        let transfer = Transfer::new(
            Duration::ZERO,
            &request,
            file.0.len() as u64,
            &Limits::default(),
        );
        Self {
            file,
            transfer,
            now: Duration::ZERO,
            received: Vec::new(),
            sent: 0,
        }
    }

    fn transmit(&mut self) -> Vec<Vec<u8>> {
        let (mut datagrams, mut buffer) = (Vec::new(), Vec::new());
        while let Some(transmit) = self.transfer.poll_transmit(&self.file, &mut buffer) {
            datagrams.extend(
                buffer[..transmit.len]
                    .chunks(transmit.segment)
                    .map(<[u8]>::to_vec),
            );
        }
        self.sent += datagrams.len();
        datagrams
    }

    /// Runs until the transfer ends; `lost(n)` says whether the n-th datagram (either way) is lost.
    fn run(&mut self, window: u64, block: usize, mut lost: impl FnMut(usize) -> bool) -> Outcome {
        let (mut counter, mut have, mut in_window) = (0, 0u64, 0);
        let mut gap_reported = false;
        loop {
            let datagrams = self.transmit();
            let quiet = datagrams.is_empty();
            for datagram in datagrams {
                counter += 1;
                if lost(counter) {
                    continue;
                }
                let ack = match datagram[1] {
                    6 => Some(0),
                    3 => {
                        let number = u16::from_be_bytes([datagram[2], datagram[3]]);
                        if number == (have + 1) as u16 {
                            have += 1;
                            gap_reported = false;
                            self.received.extend_from_slice(&datagram[4..]);
                            in_window += 1;
                            let last = datagram.len() - 4 < block;
                            (last || in_window == window).then_some(number)
                        } else if gap_reported {
                            None
                        } else {
                            gap_reported = true;
                            Some(have as u16)
                        }
                    }
                    other => panic!("opcode {other}"),
                };
                if let Some(number) = ack {
                    in_window = 0;
                    counter += 1;
                    if !lost(counter) {
                        let [high, low] = number.to_be_bytes();
                        self.transfer.handle(self.now, &[0, 4, high, low]);
                    }
                }
            }
            if let Some(outcome) = self.transfer.outcome() {
                return outcome.clone();
            }
            if quiet {
                self.now = self.transfer.poll_timeout().unwrap();
                self.transfer.handle_timeout(self.now);
                (in_window, gap_reported) = (0, false);
            }
        }
    }
}

#[test]
fn every_size_around_a_block_arrives_whole() {
    for size in [0, 1, 511, 512, 513, 1024, 5000] {
        let mut link = Link::new(size, "");
        assert_eq!(link.run(1, 512, |_| false), Outcome::Done(size as u64));
        assert_eq!(link.received, link.file.0);
        assert_eq!(link.sent, size / 512 + 1);
    }
}

#[test]
fn a_window_sends_every_block_once() {
    let mut link = Link::new(1 << 20, "blksize 1468 windowsize 16 tsize 0 ");
    assert_eq!(link.run(16, 1468, |_| false), Outcome::Done(1 << 20));
    assert_eq!(link.received, link.file.0);
    assert_eq!(link.sent, 1 + (1 << 20) / 1468 + 1);
}

#[test]
fn block_numbers_roll_over_to_zero() {
    let mut link = Link::new(65_536 * 512 + 700, "windowsize 64 ");
    assert_eq!(
        link.run(64, 512, |_| false),
        Outcome::Done(65_536 * 512 + 700)
    );
    assert!(link.received == link.file.0);
}

#[test]
fn losses_cost_time_and_not_bytes() {
    for (window, options) in [
        (1, ""),
        (4, "windowsize 4 "),
        (16, "windowsize 16 blksize 1024 "),
    ] {
        for seed in 1..20 {
            let mut link = Link::new(100_000, options);
            let block = if options.contains("1024") { 1024 } else { 512 };
            let outcome = link.run(window, block, |n| (n * 2_654_435_761 + seed * 97) % 11 == 0);
            assert_eq!(
                outcome,
                Outcome::Done(100_000),
                "window {window} seed {seed}"
            );
            assert_eq!(link.received, link.file.0);
        }
    }
}

#[test]
fn a_second_ack_in_lock_step_is_not_answered() {
    let mut link = Link::new(5000, "");
    assert_eq!(link.transmit().len(), 1);
    link.transfer.handle(link.now, &[0, 4, 0, 1]);
    assert_eq!(link.transmit().len(), 1);
    link.transfer.handle(link.now, &[0, 4, 0, 1]);
    assert_eq!(link.transmit().len(), 0);
    link.transfer.handle(link.now, &[0, 4, 0, 9]); // a block from the future
    assert_eq!(link.transmit().len(), 0);
}

#[test]
fn a_probe_of_the_size_is_told_from_a_failed_transfer() {
    let mut link = Link::new(5000, "tsize 0 blksize 1468 ");
    let oack = link.transmit();
    assert_eq!(oack, [b"\0\x06blksize\x001468\0tsize\x005000\0".to_vec()]);
    link.transfer.handle(link.now, &[0, 5, 0, 8, 0]);
    assert_eq!(link.transfer.outcome(), Some(&Outcome::Probed));
    assert_eq!(link.transfer.poll_timeout(), None);
}

#[test]
fn a_silent_client_gets_five_packets_and_no_more() {
    for options in ["", "tsize 0 "] {
        let mut link = Link::new(600, options);
        assert_eq!(link.run(1, 512, |n| n > 0), Outcome::TimedOut(0));
        assert_eq!(link.sent, 5, "{options:?}");
    }
}

#[test]
fn senseless_options_are_as_if_not_sent() {
    for options in [
        "blksize 7 ",
        "blksize 65465 ",
        "blksize 4294967808 ",
        "blksize -1 ",
        "blksize abc ",
        "windowsize 0 ",
        "windowsize 65536 ",
        "timeout 0 ",
        "timeout 256 ",
        "multicast x ",
    ] {
        let mut link = Link::new(600, options);
        assert_eq!(link.transmit()[0][..4], [0, 3, 0, 1], "{options}");
        assert_eq!(link.transfer.block_size(), 512);
    }
    let link = Link::new(600, "blksize 65464 ");
    assert_eq!(
        link.transfer.block_size(),
        1468,
        "lowered to what fits an Ethernet frame"
    );
}
