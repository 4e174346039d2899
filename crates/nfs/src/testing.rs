//! The one door of the tests: a client that calls [`serve`](crate::serve()) on a small file system.

use std::net::SocketAddr;

use crate::xdr::padding;
use crate::{
    Attributes, Body, DirEntry, Discard, Endpoint, Export, FileHandle, FileKind, FileRange,
    FileToken, FsStat, Ports, ReadOnlyFs, Reply, Status, Time, Transport, serve,
};

pub(crate) const HELLO: &[u8] = b"hello, world\n";

/// The word at a byte offset.
pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// `opaque<>`.
pub(crate) fn opaque(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = (bytes.len() as u32).to_be_bytes().to_vec();
    encoded.extend(bytes);
    encoded.extend(vec![0; padding(bytes.len())]);
    encoded
}

/// An AUTH_SYS credential.
pub(crate) fn sys(uid: u32, gid: u32, groups: &[u32]) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(opaque(b"client"));
    for word in [uid, gid, groups.len() as u32].iter().chain(groups) {
        body.extend(word.to_be_bytes());
    }
    [vec![0, 0, 0, 1], opaque(&body)].concat()
}

pub(crate) fn attributes(kind: FileKind, fileid: u64, size: u64) -> Attributes {
    Attributes {
        kind,
        mode: 0o755,
        nlink: 1,
        uid: 0,
        gid: 0,
        size,
        used: size,
        rdev: (0, 0),
        fsid: 1,
        fileid,
        atime: Time::default(),
        mtime: Time::default(),
        ctime: Time::default(),
    }
}

pub(crate) struct Client {
    pub(crate) endpoint: Endpoint,
    /// Flavour and body.
    pub(crate) credential: Vec<u8>,
    /// The last reply.
    pub(crate) reply: Option<Reply>,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self {
            endpoint: Endpoint {
                peer: "192.168.67.20:40000".parse().unwrap(),
                local: "192.168.67.1:2049".parse().unwrap(),
                transport: Transport::Tcp,
                ports: Ports {
                    nfs: 2049,
                    mount: 20048,
                },
            },
            credential: sys(0, 0, &[]),
            reply: None,
        }
    }

    /// From a network that may not mount anything.
    pub(crate) fn outside() -> Self {
        let mut client = Self::new();
        client.endpoint.peer = "203.0.113.9:700".parse().unwrap();
        client
    }

    /// The message of a call with transaction number 7.
    pub(crate) fn message(&self, procedure: [u32; 3], arguments: &[u8]) -> Vec<u8> {
        let [program, version, number] = procedure;
        let mut message = [7, 0, 2, program, version, number]
            .map(u32::to_be_bytes)
            .concat();
        message.extend(&self.credential);
        message.extend([0; 8]);
        message.extend(arguments);
        message
    }

    /// The whole reply to a message, its mark checked and taken off.
    pub(crate) fn send(&mut self, message: &[u8]) -> Result<Vec<u8>, Discard> {
        let mut out = b"before".to_vec();
        let reply = serve(message, &self.endpoint, &TestFs, &mut out);
        let mut sent = out.split_off(6);
        assert_eq!(out, b"before", "what was there is left alone");
        if reply.is_err() {
            assert!(sent.is_empty(), "nothing is sent for what is discarded");
        }
        let reply = reply?;
        if self.endpoint.transport == Transport::Tcp {
            let len = sent.len() - 4 + reply.body.len_outside();
            assert_eq!(word(&sent, 0), 1 << 31 | len as u32);
            assert!(len <= crate::MAX_REPLY);
            sent.drain(..4);
        }
        self.reply = Some(reply);
        Ok(sent)
    }

    /// The results of a call that must be accepted and succeed as an RPC.
    pub(crate) fn call(
        &mut self,
        program: u32,
        version: u32,
        number: u32,
        arguments: &[u8],
    ) -> Vec<u8> {
        let message = self.message([program, version, number], arguments);
        let mut reply = self.send(&message).unwrap();
        let head = [7_u32, 1, 0, 0, 0, 0].map(u32::to_be_bytes).concat();
        assert_eq!(reply[..24], head);
        reply.split_off(24)
    }

    pub(crate) fn nfs(&mut self, number: u32, arguments: &[u8]) -> Vec<u8> {
        self.call(100_003, 3, number, arguments)
    }

    /// `accept_stat` of a call that is not denied.
    pub(crate) fn accept_status(
        &mut self,
        program: u32,
        version: u32,
        number: u32,
        arguments: &[u8],
    ) -> u32 {
        let message = self.message([program, version, number], arguments);
        let reply = self.send(&message).unwrap();
        assert_eq!(word(&reply, 8), 0, "accepted");
        assert!(self.reply.as_ref().unwrap().body == Body::Bytes);
        word(&reply, 20)
    }
}

/// `/export`; a handle is a path.
pub(crate) struct TestFs;

const FILES: [(&[u8], FileKind, u64); 10] = [
    (b"/export", FileKind::Directory, 0),
    (b"/export/hello", FileKind::Regular, HELLO.len() as u64),
    (b"/export/tool", FileKind::Regular, 1),
    (b"/export/secret", FileKind::Regular, 1),
    (b"/export/link", FileKind::Symlink, 5),
    (b"/export/fifo", FileKind::Fifo, 0),
    (b"/export/big", FileKind::Regular, 3 << 20),
    (b"/export/image", FileKind::Regular, 100),
    (b"/export/damaged", FileKind::Regular, 100),
    (b"/export/overlong", FileKind::Regular, 100),
];
const DIRECTORY: &[u8] = b"/export/dir";

fn handle(path: &[u8]) -> FileHandle {
    FileHandle::new(path).unwrap()
}

impl ReadOnlyFs for TestFs {
    fn mount(&self, client: SocketAddr, path: &[u8]) -> Result<FileHandle, Status> {
        let root = handle(b"/export");
        match path {
            b"/export" if self.allowed(client, &root) => Ok(root),
            b"/export" => Err(Status::Access),
            _ => Err(Status::NoEnt),
        }
    }

    fn exports(&self, client: SocketAddr) -> Vec<Export> {
        let export = Export {
            path: "/export".into(),
            networks: vec!["192.168.67.0/24".into()],
        };
        let allowed = self.allowed(client, &handle(b"/export"));
        allowed.then_some(export).into_iter().collect()
    }

    fn allowed(&self, client: SocketAddr, _: &FileHandle) -> bool {
        client.ip().to_string().starts_with("192.168.67.")
    }

    fn attributes(&self, handle: &FileHandle) -> Result<Attributes, Status> {
        let path = handle.as_bytes();
        let mode = match path {
            b"gone" => return Err(Status::Stale),
            DIRECTORY => return Ok(attributes(FileKind::Directory, 50, 0)),
            b"/export/secret" => 0o600,
            _ => 0o755,
        };
        let at = FILES.iter().position(|file| file.0 == path);
        let at = at.ok_or(Status::BadHandle)?;
        Ok(Attributes {
            mode,
            ..attributes(FILES[at].1, at as u64 + 1, FILES[at].2)
        })
    }

    fn lookup(
        &self,
        directory: &FileHandle,
        name: &[u8],
    ) -> Result<(FileHandle, Attributes), Status> {
        let path = match (directory.as_bytes(), name) {
            (path, b".") => path.to_vec(),
            (_, b"..") => b"/export".to_vec(),
            (path, name) => [path, b"/", name].concat(),
        };
        let found = FileHandle::new(&path).ok_or(Status::NoEnt)?;
        let attributes = self.attributes(&found).map_err(|_| Status::NoEnt)?;
        Ok((found, attributes))
    }

    fn read_link(&self, _: &FileHandle) -> Result<Vec<u8>, Status> {
        Ok(b"hello".to_vec())
    }

    fn read_dir(
        &self,
        directory: &FileHandle,
        cookie: u64,
        visit: &mut dyn FnMut(DirEntry<'_>) -> bool,
        plus: bool,
    ) -> Result<bool, Status> {
        let count = if directory.as_bytes() == DIRECTORY {
            5002
        } else {
            2
        };
        if cookie > count {
            return Err(Status::BadCookie);
        }
        for at in cookie..count {
            let name = match at {
                0 => b".".to_vec(),
                1 => b"..".to_vec(),
                _ => format!("name-{:04}", at - 2).into_bytes(),
            };
            let entry = DirEntry {
                fileid: at + 1,
                name: &name,
                cookie: at + 1,
                handle: plus.then(|| handle(b"/export/hello")),
                attributes: plus.then(|| attributes(FileKind::Regular, at + 1, 0)),
            };
            if !visit(entry) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn read(
        &self,
        handle: &FileHandle,
        offset: u64,
        count: u32,
        out: &mut Vec<u8>,
    ) -> Result<bool, Status> {
        let (from, count) = (offset as usize, count as usize);
        match handle.as_bytes() {
            b"/export/hello" => out.extend(&HELLO[from..from + count]),
            b"/export/damaged" => {
                out.extend([0; 10]);
                return Err(Status::Io);
            }
            b"/export/overlong" => out.extend(vec![0; count + 1]),
            _ => out.extend((from..from + count).map(|at| at as u8)),
        }
        Ok(false)
    }

    fn file_range(
        &self,
        handle: &FileHandle,
        offset: u64,
        len: u32,
    ) -> Option<Result<FileRange, Status>> {
        let range = FileRange {
            file: FileToken(1),
            offset,
            len,
            eof: offset + u64::from(len) == 100,
        };
        (handle.as_bytes() == b"/export/image").then_some(Ok(range))
    }

    fn fs_stat(&self, _: &FileHandle) -> Result<FsStat, Status> {
        Ok(FsStat {
            bytes: 4096,
            files: 9,
        })
    }
}
