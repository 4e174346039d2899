//! File handles: what they say, and the check that tells ours from forged ones.

use model::GenerationId;
use nfs::{FileHandle, Status};
use siphasher::sip::SipHasher24;
use squashfs::InodeRef;

use super::folder::{FileId, FolderId};

/// What a file handle names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Handle {
    /// The `root.squashfs` of a generation.
    ImageFile(GenerationId),
    /// An inode inside a generation.
    TreeInode(GenerationId, InodeRef),
    /// A directory of the namespace, by the hash of its path.
    Directory(PathHash),
    /// A file of a folder.
    File(FolderId, FileId),
}

/// Names a directory of the namespace: 128 bits of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PathHash(pub(super) [u8; 16]);

/// The secret behind the check on file handles. Servers that share it accept each other's handles.
#[derive(Clone)]
pub struct HandleKey([u8; 16]);

impl std::fmt::Debug for HandleKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HandleKey(..)")
    }
}

/// All handles have this length. What stands in them:
///
/// ```text
///   0      kind: 1 image file, 2 tree inode, 3 directory  │ 4 file of a folder
///   1..17  generation, or hash of the path                │ 1..8   folder
///   17..23 inode reference, 48 bits, big-endian; else 0   │ 8..16  inode, big-endian
///   23     0                                              │ 16..24 time of birth, big-endian
///   24..32 SipHash-2-4 of all that stands before, big-endian
/// ```
const LEN: usize = 32;
const CHECKED: usize = 24;

impl HandleKey {
    /// A key of 16 random bytes, the same on every start (`<state>/handle.key`).
    pub fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    pub(super) fn encode(&self, handle: Handle) -> FileHandle {
        let mut bytes = [0; LEN];
        match handle {
            Handle::ImageFile(id) => {
                bytes[0] = 1;
                bytes[1..17].copy_from_slice(&id.0);
            }
            Handle::TreeInode(id, inode) => {
                bytes[0] = 2;
                bytes[1..17].copy_from_slice(&id.0);
                bytes[17..23].copy_from_slice(&inode.0.to_be_bytes()[2..]);
            }
            Handle::Directory(path) => {
                bytes[0] = 3;
                bytes[1..17].copy_from_slice(&path.0);
            }
            Handle::File(folder, file) => {
                bytes[0] = 4;
                bytes[1..8].copy_from_slice(&folder.0);
                bytes[8..16].copy_from_slice(&file.inode.to_be_bytes());
                bytes[16..24].copy_from_slice(&file.born.to_be_bytes());
            }
        }
        let check = self.check(&bytes[..CHECKED]);
        bytes[CHECKED..].copy_from_slice(&check);
        FileHandle::new(&bytes).expect("32 bytes are a file handle")
    }

    /// What `handle` names, if this key made it.
    pub(super) fn decode(&self, handle: &FileHandle) -> Result<Handle, Status> {
        let bytes: &[u8; LEN] = handle
            .as_bytes()
            .try_into()
            .map_err(|_| Status::BadHandle)?;
        if self.check(&bytes[..CHECKED]) != bytes[CHECKED..] {
            return Err(Status::BadHandle);
        }
        let id = piece::<16>(bytes, 1);
        match bytes[0] {
            1 => Ok(Handle::ImageFile(GenerationId(id))),
            2 => {
                let place = piece::<8>(bytes, 15).map(u64::from);
                let place = place[2..].iter().fold(0, |all, byte| all << 8 | byte);
                Ok(Handle::TreeInode(GenerationId(id), InodeRef(place)))
            }
            3 => Ok(Handle::Directory(PathHash(id))),
            4 => {
                let file = FileId {
                    inode: u64::from_be_bytes(piece(bytes, 8)),
                    born: u64::from_be_bytes(piece(bytes, 16)),
                };
                Ok(Handle::File(FolderId(piece(bytes, 1)), file))
            }
            // Made by a later version of this program: not ours to understand.
            _ => Err(Status::Stale),
        }
    }

    /// A handle that says `bytes`, with its check as it should be.
    #[cfg(test)]
    pub(super) fn sealed(&self, bytes: &[u8]) -> Option<FileHandle> {
        let said = bytes.get(..CHECKED)?;
        FileHandle::new(&[said, &self.check(said)].concat())
    }

    fn check(&self, bytes: &[u8]) -> [u8; 8] {
        SipHasher24::new_with_key(&self.0).hash(bytes).to_be_bytes()
    }
}

/// `N` bytes of a handle, from `at` on.
fn piece<const N: usize>(bytes: &[u8; LEN], at: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[at + index])
}
