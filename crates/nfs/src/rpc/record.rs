//! Record marking: RPC messages on a stream (RFC 5531 section 11).

use std::ops::Range;

use crate::Discard;

/// Longest record we take, in bytes. A read-only server is never sent much.
pub const MAX_RECORD: usize = 64 * 1024;

/// Length of a fragment's header, in bytes.
const HEADER: usize = 4;
/// A whole record of one fragment fits, so that there is always room to read on.
const MAX_BUFFER: usize = MAX_RECORD + HEADER;
/// What a connection that sends small calls keeps.
const MIN_BUFFER: usize = 1024;
const LAST_FRAGMENT: u32 = 1 << 31;

/// Cuts a stream into records. The shell reads into [`Records::space`], says how much with
/// [`Records::filled`], then takes records with [`Records::next_record`] until there is none.
///
/// ```text
///  buffer: │ given out │ record so far │ consumed headers │ received, not yet looked at │ space │
///          0         start        record_end           parsed                      received
/// ```
///
/// Fragments are joined in place. The buffer grows with what really arrives, never with what a
/// header claims, to 64 KiB at most.
#[derive(Debug, Default)]
pub struct Records {
    buffer: Vec<u8>,
    start: usize,
    record_end: usize,
    parsed: usize,
    received: usize,
    latest: Range<usize>,
}

impl Records {
    /// Before the first byte of a connection. Allocates nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where to read the next bytes into. Never empty once [`Records::next_record`] has said `None`.
    /// What was given out before may be overwritten.
    pub fn space(&mut self) -> &mut [u8] {
        self.latest = 0..0;
        self.compact();
        if self.received == self.buffer.len() {
            let len = (self.buffer.len() * 2).clamp(MIN_BUFFER, MAX_BUFFER);
            self.buffer.resize(len, 0);
        }
        &mut self.buffer[self.received..]
    }

    /// So many bytes of [`Records::space`] have been filled.
    pub fn filled(&mut self, count: usize) {
        self.received = (self.received + count).min(self.buffer.len());
    }

    /// The next whole record, or `None` when more bytes are needed. After an error the stream has
    /// lost its meaning: close it.
    pub fn next_record(&mut self) -> Result<Option<&[u8]>, Discard> {
        loop {
            let pending = &self.buffer[self.parsed..self.received];
            let Some((header, body)) = pending.split_first_chunk() else {
                return Ok(None);
            };
            let header = u32::from_be_bytes(*header);
            let len = (header & !LAST_FRAGMENT) as usize;
            if self.record_end - self.start + len > MAX_RECORD {
                return Err(Discard::RecordTooLong);
            }
            if body.len() < len {
                return Ok(None);
            }
            let fragment = self.parsed + HEADER..self.parsed + HEADER + len;
            self.parsed = fragment.end;
            if self.record_end == self.start {
                // The first fragment stays where it is, and is usually the whole record.
                (self.start, self.record_end) = (fragment.start, fragment.end);
            } else {
                let end = self.record_end + len;
                self.buffer.copy_within(fragment, self.record_end);
                self.record_end = end;
            }
            if header & LAST_FRAGMENT != 0 {
                let record = self.start..self.record_end;
                (self.start, self.record_end) = (self.parsed, self.parsed);
                self.latest = record.clone();
                return Ok(Some(&self.buffer[record]));
            }
        }
    }

    /// The record that [`Records::next_record`] gave last, for a second look; empty once
    /// [`Records::space`] has been called.
    pub fn latest(&self) -> &[u8] {
        &self.buffer[self.latest.clone()]
    }

    /// Whether a record has begun and not ended. A peer that leaves it so is cut off in time.
    pub fn is_partial(&self) -> bool {
        self.received > self.start
    }

    /// Gives all memory back unless a record has begun; for connections that have fallen silent.
    pub fn shrink(&mut self) {
        if !self.is_partial() {
            *self = Self::default();
        }
    }

    /// Moves what is still needed to the front.
    fn compact(&mut self) {
        if self.parsed > self.record_end {
            self.buffer
                .copy_within(self.parsed..self.received, self.record_end);
            self.received -= self.parsed - self.record_end;
            self.parsed = self.record_end;
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.received, 0);
            self.record_end -= self.start;
            self.parsed -= self.start;
            self.received -= self.start;
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All records of a stream that arrives in pieces of `piece` bytes.
    fn cut(stream: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, Discard> {
        let (mut records, mut found, mut rest) = (Records::new(), Vec::new(), stream);
        while !rest.is_empty() {
            let space = records.space();
            let count = space.len().min(piece).min(rest.len());
            assert!(count > 0, "no room to read on");
            space[..count].copy_from_slice(&rest[..count]);
            records.filled(count);
            rest = &rest[count..];
            while let Some(record) = records.next_record()? {
                found.push(record.to_vec());
            }
            assert!(records.buffer.len() <= MAX_BUFFER);
        }
        Ok(found)
    }

    fn fragment(bytes: &[u8], last: bool) -> Vec<u8> {
        let mark = bytes.len() as u32 | if last { LAST_FRAGMENT } else { 0 };
        [&mark.to_be_bytes(), bytes].concat()
    }

    #[test]
    fn records_come_out_however_the_stream_is_cut() {
        let stream = [
            fragment(b"one", true),
            fragment(b"", true),
            fragment(b"tw", false),
            fragment(b"", false),
            fragment(b"o", true),
            fragment(&[7; MAX_RECORD], true),
            fragment(&[8; MAX_RECORD - 1], false),
            fragment(&[9; 1], true),
        ]
        .concat();
        for piece in [1, 3, 4, 5, 1000, usize::MAX] {
            let records = cut(&stream, piece).unwrap();
            assert_eq!(records[0], b"one");
            assert_eq!(records[1], b"");
            assert_eq!(records[2], b"two");
            assert_eq!(records[3], [7; MAX_RECORD]);
            assert_eq!(records[4].len(), MAX_RECORD);
            assert_eq!(records.len(), 5, "{piece}");
        }
    }

    #[test]
    fn a_record_over_the_cap_is_refused_before_it_is_stored() {
        let long = Err(Discard::RecordTooLong);
        assert_eq!(cut(&[0xff; 4], 4), long);
        assert_eq!(cut(&[0x7f, 0xff, 0xff, 0xff], 4), long);
        let endless = fragment(&[0; 4096], false).repeat(17);
        assert_eq!(cut(&endless, 1000), long);
    }

    #[test]
    fn empty_fragments_cost_nothing() {
        let mut stream = fragment(b"", false).repeat(20_000);
        stream.extend(fragment(b"call", true));
        assert_eq!(cut(&stream, 4096), Ok(vec![b"call".to_vec()]));
        let mut stream = fragment(b"a", false);
        stream.extend(fragment(b"", false).repeat(20_000));
        stream.extend(fragment(b"b", true));
        assert_eq!(cut(&stream, 7), Ok(vec![b"ab".to_vec()]));
    }

    #[test]
    fn a_call_in_fragments_of_four_bytes_is_whole() {
        let call: Vec<u8> = (0..200).collect();
        let mut stream = Vec::new();
        for (index, piece) in call.chunks(4).enumerate() {
            stream.extend(fragment(piece, index == 49));
        }
        assert_eq!(cut(&stream, 11), Ok(vec![call]));
    }

    #[test]
    fn a_silent_connection_keeps_nothing() {
        let mut records = Records::new();
        assert_eq!(records.buffer.len(), 0);
        let stream = fragment(&[0; 60_000], true);
        let mut sent = 0;
        while sent < stream.len() {
            let space = records.space();
            let count = space.len().min(stream.len() - sent);
            space[..count].copy_from_slice(&stream[sent..sent + count]);
            records.filled(count);
            sent += count;
            assert!(records.is_partial());
            records.shrink();
        }
        assert_eq!(records.next_record(), Ok(Some(&[0; 60_000][..])));
        assert_eq!(records.latest(), [0; 60_000]);
        assert!(!records.is_partial());
        records.shrink();
        assert_eq!((records.buffer.len(), records.latest().len()), (0, 0));
    }
}
