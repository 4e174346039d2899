//! Tells a kernel from other files by its first bytes.

use serde::{Deserialize, Serialize};

/// How a kernel is packed, which says what can start it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// x86: the Linux boot protocol (`HdrS`), usually an EFI program as well.
    BzImage,
    /// ARM64 uncompressed, usually an EFI program as well.
    Arm64Image,
    /// An EFI program that unpacks the kernel (`zimg`).
    EfiZboot,
    /// A gzip file with an ARM64 image in it.
    Gzip,
}

impl Format {
    /// From the first bytes of the file; else why it is not a kernel that can be booted.
    pub(super) fn of(head: &[u8]) -> Result<Self, String> {
        let at = |offset: usize, magic: &[u8]| {
            head.get(offset..)
                .is_some_and(|bytes| bytes.starts_with(magic))
        };
        if at(0x202, b"HdrS") {
            Ok(Self::BzImage)
        } else if at(0x38, b"ARM\x64") {
            Ok(Self::Arm64Image)
        } else if at(0, b"MZ") && at(4, b"zimg") {
            Ok(Self::EfiZboot)
        } else if at(0, b"\x1f\x8b") {
            Ok(Self::Gzip)
        } else if at(0, b"\x7fELF") {
            Err("an unpacked kernel (ELF), which no loader starts".into())
        } else {
            Err("not a kernel".into())
        }
    }
}

/// The version that a bzImage says it is: the first word of the text that `kernel_version` points
/// to (Linux, `Documentation/arch/x86/boot.rst`, offset 020Eh).
pub(super) fn version(head: &[u8]) -> Option<String> {
    Format::of(head)
        .ok()
        .filter(|format| *format == Format::BzImage)?;
    let pointer: [u8; 2] = head.get(0x20e..0x210)?.try_into().ok()?;
    let text = head.get(0x200 + usize::from(u16::from_le_bytes(pointer))..)?;
    let word = text
        .split(|byte| *byte == 0 || *byte == b' ')
        .next()
        .filter(|word| (1..=128).contains(&word.len()))?;
    // It becomes part of paths.
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_+~".contains(byte);
    if !word.iter().all(good) || word.starts_with(b".") {
        return None;
    }
    String::from_utf8(word.to_vec()).ok()
}

/// The least that is taken for a bzImage of `version`.
#[cfg(test)]
pub(crate) fn bz_image(version: &str) -> Vec<u8> {
    let mut bytes = vec![0; 0x400];
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x20e..0x210].copy_from_slice(&0x200u16.to_le_bytes());
    bytes.extend_from_slice(format!("{version} (someone@somewhere) #1 SMP\0").as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernels_first_bytes_tell_its_kind_and_version() {
        let head = bz_image("6.1.0-56-amd64");
        assert_eq!(Format::of(&head), Ok(Format::BzImage));
        assert_eq!(version(&head).as_deref(), Some("6.1.0-56-amd64"));
        assert_eq!(Format::of(b"MZ\0\0zimg"), Ok(Format::EfiZboot));
        assert!(Format::of(b"\x7fELF").unwrap_err().contains("ELF"));
        assert!(Format::of(b"").is_err());
    }

    #[test]
    fn a_version_that_would_be_a_path_is_not_believed() {
        for hostile in ["../../etc", "a/b", "", ".."] {
            assert_eq!(version(&bz_image(hostile)), None, "{hostile}");
        }
        assert_eq!(version(&bz_image("6.1")[..0x400]), None);
    }
}
