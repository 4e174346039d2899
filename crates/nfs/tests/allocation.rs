//! The promise that the busy procedures allocate nothing, kept by counting.
#![allow(
    unsafe_code,
    reason = "an allocator that counts cannot be written without"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;

use nfs::{
    Attributes, Body, DirEntry, Endpoint, Export, FileHandle, FileKind, FileRange, FileToken,
    FsStat, Ports, ReadOnlyFs, Status, Time, Transport, serve,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator; counting touches no memory of its.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// One directory, which holds itself and two files: handle `i` is an image, `t` part of a tree.
struct Files;

impl ReadOnlyFs for Files {
    fn mount(&self, _: SocketAddr, _: &[u8]) -> Result<FileHandle, Status> {
        FileHandle::new(b"d").ok_or(Status::NoEnt)
    }
    fn exports(&self, _: SocketAddr) -> Vec<Export> {
        Vec::new()
    }
    fn allowed(&self, _: SocketAddr, _: &FileHandle) -> bool {
        true
    }
    fn attributes(&self, handle: &FileHandle) -> Result<Attributes, Status> {
        let kind = if handle.as_bytes() == b"d" {
            FileKind::Directory
        } else {
            FileKind::Regular
        };
        Ok(Attributes {
            kind,
            mode: 0o755,
            nlink: 1,
            uid: 0,
            gid: 0,
            size: 1 << 30,
            used: 1 << 30,
            rdev: (0, 0),
            fsid: 1,
            fileid: 1,
            atime: Time::default(),
            mtime: Time::default(),
            ctime: Time::default(),
        })
    }
    fn lookup(&self, _: &FileHandle, name: &[u8]) -> Result<(FileHandle, Attributes), Status> {
        let handle = FileHandle::new(name).ok_or(Status::NoEnt)?;
        Ok((handle, self.attributes(&handle)?))
    }
    fn read_link(&self, _: &FileHandle) -> Result<Vec<u8>, Status> {
        Err(Status::Inval)
    }
    fn read_dir(
        &self,
        _: &FileHandle,
        cookie: u64,
        visit: &mut dyn FnMut(DirEntry<'_>) -> bool,
        _: bool,
    ) -> Result<bool, Status> {
        for cookie in cookie + 1..200 {
            let entry = DirEntry {
                fileid: cookie,
                name: b"t",
                cookie,
                handle: FileHandle::new(b"t"),
                attributes: self
                    .attributes(&FileHandle::new(b"t").ok_or(Status::Io)?)
                    .ok(),
            };
            if !visit(entry) {
                return Ok(false);
            }
        }
        Ok(true)
    }
    fn read(&self, _: &FileHandle, _: u64, count: u32, out: &mut Vec<u8>) -> Result<bool, Status> {
        out.resize(out.len() + count as usize, 7);
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
            eof: false,
        };
        (handle.as_bytes() == b"i").then_some(Ok(range))
    }
    fn fs_stat(&self, _: &FileHandle) -> Result<FsStat, Status> {
        Ok(FsStat::default())
    }
}

fn call(number: u32, arguments: &[u32]) -> Vec<u8> {
    let head = [7, 0, 2, 100_003, 3, number, 1, 20, 0, 0, 0, 0, 0, 0, 0];
    let words = head.iter().chain(arguments);
    words.flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn the_busy_procedures_allocate_nothing_in_a_buffer_that_has_been_used() {
    let handle = |letter: u8| u32::from(letter) << 24;
    let calls = [
        call(1, &[1, handle(b'd')]),
        call(3, &[1, handle(b'd'), 1, handle(b't')]),
        call(4, &[1, handle(b'd'), 0x3f]),
        call(6, &[1, handle(b'i'), 0, 0, 1 << 20]),
        call(6, &[1, handle(b't'), 0, 0, 1 << 20]),
        call(17, &[1, handle(b'd'), 0, 0, 0, 0, 8192, 65536]),
    ];
    let endpoint = Endpoint {
        peer: "192.168.67.20:700".parse().unwrap(),
        local: "192.168.67.1:2049".parse().unwrap(),
        transport: Transport::Tcp,
        ports: Ports {
            nfs: 2049,
            mount: 2049,
        },
    };
    let mut out = Vec::new();
    let mut ranges = 0;
    for round in 0..3 {
        let before = ALLOCATIONS.get();
        for call in &calls {
            out.clear();
            let reply = serve(call, &endpoint, &Files, &mut out).unwrap();
            assert_eq!(out[28..32], [0; 4], "NFS3_OK");
            ranges += usize::from(matches!(reply.body, Body::Range { .. }));
        }
        if round > 0 {
            assert_eq!(ALLOCATIONS.get() - before, 0, "allocations");
        }
    }
    assert_eq!(ranges, 3);
}
