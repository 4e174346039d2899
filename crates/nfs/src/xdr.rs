//! The External Data Representation (RFC 4506), bounded: a length is believed only as far as there
//! are bytes behind it.

/// The bytes were not what the procedure's arguments should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads words and byte strings from the front of a message.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.fixed().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.fixed().map(u64::from_be_bytes)
    }

    /// `opaque[N]`; N is a multiple of four wherever we use it.
    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*head)
    }

    /// `opaque<max>` or `string<max>`. Padding must be there; it need not be zero.
    pub(crate) fn opaque(&mut self, max: usize) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        if len > max || len > self.rest.len() {
            return Err(Malformed);
        }
        let (bytes, rest) = self.rest.split_at(len);
        self.rest = rest.get(padding(len)..).ok_or(Malformed)?;
        Ok(bytes)
    }

    /// A byte string bounded by the message alone; what is too long is for the procedure to say.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], Malformed> {
        self.opaque(usize::MAX)
    }
}

/// Zero bytes that follow `len` bytes of opaque data, 0 to 3.
pub(crate) const fn padding(len: usize) -> usize {
    len.wrapping_neg() & 3
}

/// Appends words and byte strings to the caller's reply buffer.
pub(crate) struct Writer<'a> {
    pub(crate) out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    pub(crate) fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.u32(u32::from(value));
    }

    /// `opaque<>`; what we send is far below the 4 GiB that a length can say.
    pub(crate) fn opaque(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.out.extend_from_slice(bytes);
        self.pad(bytes.len());
    }

    /// The zero bytes after `len` bytes of opaque data.
    pub(crate) fn pad(&mut self, len: usize) {
        self.out.extend_from_slice(&[0; 3][..padding(len)]);
    }

    /// How far the buffer is filled, for [`Writer::patch`] and [`Writer::truncate`].
    pub(crate) fn position(&self) -> usize {
        self.out.len()
    }

    /// Overwrites the word at `position`, where a word was written before.
    pub(crate) fn patch(&mut self, position: usize, value: u32) {
        if let Some(word) = self.out.get_mut(position..position + 4) {
            word.copy_from_slice(&value.to_be_bytes());
        }
    }

    /// Takes back everything written since `position`.
    pub(crate) fn truncate(&mut self, position: usize) {
        self.out.truncate(position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut bytes = Vec::new();
        let mut writer = Writer { out: &mut bytes };
        writer.u32(7);
        writer.u64(1 << 40);
        writer.opaque(b"hello");
        writer.bool(true);
        assert_eq!(bytes.len(), 4 + 8 + 4 + 8 + 4);
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u32(), Ok(7));
        assert_eq!(reader.u64(), Ok(1 << 40));
        assert_eq!(reader.string(), Ok(&b"hello"[..]));
        assert_eq!(reader.u32(), Ok(1));
        assert_eq!(reader.u32(), Err(Malformed));
    }

    #[test]
    fn a_lying_length_is_malformed() {
        for claimed in [1_u32, 5, 400, 0x7fff_ffff, 0xffff_fff0, u32::MAX] {
            let bytes = claimed.to_be_bytes();
            assert_eq!(Reader::new(&bytes).string(), Err(Malformed), "{claimed}");
        }
        assert_eq!(
            Reader::new(b"\0\0\0\x05hello\0\0").string(),
            Err(Malformed),
            "padding cut off"
        );
        assert_eq!(Reader::new(b"\0\0\0\x04abcd").opaque(3), Err(Malformed));
    }
}
