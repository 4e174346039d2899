//! File handles: what they say, and the check that tells ours from forged ones.

use model::GenerationId;
use nfs::{FileHandle, Status};
use siphasher::sip::SipHasher24;
use squashfs::InodeRef;

/// What a file handle names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Handle {
    /// The `root.squashfs` of a generation.
    ImageFile(GenerationId),
    /// An inode inside a generation.
    TreeInode(GenerationId, InodeRef),
    /// A directory of the namespace, by the hash of its path.
    Directory(PathHash),
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
///   0      kind: 1 image file, 2 tree inode, 3 directory
///   1..17  generation, or hash of the path
///   17..23 inode reference, 48 bits, big-endian; else 0
///   23     0
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
        let (kind, id, place) = match handle {
            Handle::ImageFile(id) => (1, id.0, 0),
            Handle::TreeInode(id, inode) => (2, id.0, inode.0),
            Handle::Directory(path) => (3, path.0, 0),
        };
        let mut bytes = [0; LEN];
        bytes[0] = kind;
        bytes[1..17].copy_from_slice(&id);
        bytes[17..23].copy_from_slice(&place.to_be_bytes()[2..]);
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
        let [kind, rest @ ..] = bytes;
        let mut id = [0; 16];
        id.copy_from_slice(&rest[..16]);
        let mut place = [0; 8];
        place[2..].copy_from_slice(&rest[16..22]);
        match kind {
            1 => Ok(Handle::ImageFile(GenerationId(id))),
            2 => Ok(Handle::TreeInode(
                GenerationId(id),
                InodeRef(u64::from_be_bytes(place)),
            )),
            3 => Ok(Handle::Directory(PathHash(id))),
            // Made by a later version of this program: not ours to understand.
            _ => Err(Status::Stale),
        }
    }

    fn check(&self, bytes: &[u8]) -> [u8; 8] {
        SipHasher24::new_with_key(&self.0).hash(bytes).to_be_bytes()
    }
}
