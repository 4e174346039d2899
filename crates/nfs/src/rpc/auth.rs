//! Who says they are calling (RFC 5531 sections 8.2, 9 and appendix A).

use crate::xdr::{Malformed, Reader};
use crate::{Attributes, FileKind};

/// Longest body of a credential or verifier, in bytes.
const MAX_BODY: usize = 400;
/// Longest machine name in an AUTH_SYS credential, in bytes.
const MAX_MACHINE_NAME: usize = 255;
/// Most supplementary groups in an AUTH_SYS credential.
const MAX_GROUPS: usize = 16;
/// User and group of whoever does not say who they are.
const NOBODY: u32 = 65534;

/// The caller as claimed. A LAN's AUTH_SYS proves nothing; it keeps the users of one honest client apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credential {
    uid: u32,
    gid: u32,
    groups: [u32; MAX_GROUPS],
    group_count: usize,
}

impl Credential {
    /// AUTH_NONE.
    pub(crate) const NOBODY: Self = Self {
        uid: NOBODY,
        gid: NOBODY,
        groups: [0; MAX_GROUPS],
        group_count: 0,
    };

    /// Reads flavour and body. AUTH_NONE and AUTH_SYS are accepted.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let flavour = reader.u32()?;
        let body = reader.opaque(MAX_BODY)?;
        match flavour {
            0 => Ok(Self::NOBODY),
            1 => Self::decode_sys(&mut Reader::new(body)),
            _ => Err(Malformed),
        }
    }

    fn decode_sys(body: &mut Reader<'_>) -> Result<Self, Malformed> {
        let _stamp = body.u32()?;
        let _machine_name = body.opaque(MAX_MACHINE_NAME)?;
        let mut credential = Self {
            uid: body.u32()?,
            gid: body.u32()?,
            ..Self::NOBODY
        };
        credential.group_count = usize::try_from(body.u32()?).map_err(|_| Malformed)?;
        let groups = credential
            .groups
            .get_mut(..credential.group_count)
            .ok_or(Malformed)?;
        for group in groups {
            *group = body.u32()?;
        }
        Ok(credential)
    }

    /// What the permission bits let this user do: 4 read, 2 write, 1 execute or search.
    pub(crate) fn permissions(&self, attributes: &Attributes) -> u32 {
        if self.uid == 0 {
            let execute = attributes.kind == FileKind::Directory || attributes.mode & 0o111 != 0;
            return 0o6 | u32::from(execute);
        }
        let shift = if self.uid == attributes.uid {
            6
        } else if self.is_member(attributes.gid) {
            3
        } else {
            0
        };
        attributes.mode >> shift & 0o7
    }

    /// Whether the file's contents may go to this user. Whoever may execute a file must be able to
    /// fetch it, and the owner may have opened it before they shut themselves out.
    pub(crate) fn may_fetch(&self, attributes: &Attributes) -> bool {
        self.permissions(attributes) & 0o5 != 0 || self.uid == attributes.uid
    }

    fn is_member(&self, gid: u32) -> bool {
        self.gid == gid || self.groups[..self.group_count].contains(&gid)
    }
}

/// Reads the verifier over; with AUTH_NONE and AUTH_SYS it says nothing.
pub(crate) fn skip_verifier(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    let _flavour = reader.u32()?;
    reader.opaque(MAX_BODY).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{attributes, sys};

    fn decode(bytes: &[u8]) -> Result<Credential, Malformed> {
        Credential::decode(&mut Reader::new(bytes))
    }

    #[test]
    fn a_user_has_the_bits_of_the_first_class_they_are_in() {
        let file = |mode| Attributes {
            mode,
            uid: 1000,
            gid: 50,
            ..attributes(FileKind::Regular, 7, 0)
        };
        let owner = decode(&sys(1000, 50, &[])).unwrap();
        let member = decode(&sys(1, 1, &[4, 50])).unwrap();
        let other = decode(&sys(1, 1, &[4])).unwrap();
        let root = decode(&sys(0, 0, &[])).unwrap();
        assert_eq!(owner.permissions(&file(0o751)), 7);
        assert_eq!(member.permissions(&file(0o751)), 5);
        assert_eq!(other.permissions(&file(0o751)), 1);
        assert_eq!(owner.permissions(&file(0o077)), 0);
        assert_eq!(root.permissions(&file(0o600)), 6);
        assert_eq!(root.permissions(&file(0o001)), 7);
        assert!(owner.may_fetch(&file(0o077)));
        assert!(other.may_fetch(&file(0o711)), "to execute it");
        assert!(!other.may_fetch(&file(0o600)));
        assert!(!Credential::NOBODY.may_fetch(&file(0o640)));
    }

    #[test]
    fn lying_credentials_are_malformed() {
        let with_groups = |count: u32| {
            let mut body = vec![0; 4];
            body.extend([0, 0, 0, 0]);
            body.extend([0; 8]);
            body.extend(count.to_be_bytes());
            let mut bytes = vec![0, 0, 0, 1];
            bytes.extend((body.len() as u32).to_be_bytes());
            bytes.extend(body);
            bytes
        };
        assert!(decode(&with_groups(0)).is_ok());
        for count in [1, 16, 17, u32::MAX] {
            assert_eq!(decode(&with_groups(count)), Err(Malformed), "{count}");
        }
        assert!(decode(&sys(0, 0, &[1; 16])).is_ok());
        assert_eq!(decode(&sys(0, 0, &[1; 17])), Err(Malformed));
        for claimed in [401_u32, 4000, 0x7fff_ffff] {
            let mut bytes = vec![0, 0, 0, 1];
            bytes.extend(claimed.to_be_bytes());
            bytes.extend([0; 5000]);
            assert_eq!(decode(&bytes), Err(Malformed), "{claimed}");
        }
    }
}
