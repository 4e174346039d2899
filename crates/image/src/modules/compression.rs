//! Unpacks modules and firmware, which many distributions install compressed.

use std::io::{self, Read};

/// `bytes` of the file `path`, unpacked if its name ends in `.xz`, `.zst` or `.gz`. What unpacks
/// to more than `limit` bytes is `FileTooLarge`.
pub fn decompress(path: &str, bytes: Vec<u8>, limit: u64) -> io::Result<Vec<u8>> {
    let input = &bytes[..];
    let mut reader: Box<dyn Read + '_> = match path.rsplit_once('.') {
        Some((_, "xz")) => Box::new(liblzma::read::XzDecoder::new_multi_decoder(input)),
        Some((_, "zst")) => Box::new(zstd::Decoder::with_buffer(input)?),
        Some((_, "gz")) => Box::new(flate2::read::MultiGzDecoder::new(input)),
        _ => return Ok(bytes),
    };
    let mut unpacked = Vec::new();
    let longest = limit.saturating_add(1);
    (&mut reader).take(longest).read_to_end(&mut unpacked)?;
    if unpacked.len() as u64 > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    drop(reader);
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_cannot_fill_the_memory() {
        let bomb = zstd::encode_all(io::repeat(0).take(1 << 20), 1).unwrap();
        let error = decompress("a.ko.zst", bomb, 1000).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(decompress("a.ko.xz", b"not xz".to_vec(), 1000).is_err());
    }
}
