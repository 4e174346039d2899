//! MOUNT, versions 1 and 3 (RFC 1813 appendix I; RFC 1094 appendix A).
//!
//! No list of mounts is kept: DUMP is always empty, and 5000 MNT calls cost nothing.

use crate::rpc::{Call, Refusal};
use crate::xdr::{Reader, Writer};
use crate::{Endpoint, Event, Export, FileHandle, ReadOnlyFs, Status};

pub(crate) const PROGRAM: u32 = 100_005;

pub(crate) const NAMES: [&str; 6] = [
    "mount null",
    "mount mnt",
    "mount dump",
    "mount umnt",
    "mount umntall",
    "mount export",
];

/// Longest path, in bytes (MNTPATHLEN).
const MAX_PATH: usize = 1024;
/// EXPORT's list ends before it is longer than this, in bytes.
const MAX_EXPORTS: usize = 256 * 1024;
/// Length of a handle in version 1, in bytes.
const HANDLE_V1: usize = 32;

pub(crate) fn serve(
    call: &Call<'_>,
    endpoint: &Endpoint,
    fs: &dyn ReadOnlyFs,
    out: &mut Writer<'_>,
) -> Result<Option<Event>, Refusal> {
    let mut arguments = call.arguments.clone();
    match call.procedure.number {
        0 => Ok(None),
        1 => {
            let path = tidy(arguments.string()?);
            let mounted = path.and_then(|path| Ok((fs.mount(endpoint.peer, &path)?, path)));
            Ok(mnt(call.procedure.version, mounted, out))
        }
        2 => {
            out.bool(false);
            Ok(None)
        }
        3 => umnt(&mut arguments),
        4 => Ok(Some(Event::Unmounted { path: b"/".into() })),
        5 => {
            export(&fs.exports(endpoint.peer), out);
            Ok(None)
        }
        _ => Err(Refusal::ProcedureUnavailable),
    }
}

fn mnt(
    version: u32,
    mounted: Result<(FileHandle, Vec<u8>), Status>,
    out: &mut Writer<'_>,
) -> Option<Event> {
    match mounted {
        Ok((handle, path)) => {
            out.u32(0);
            if version == 1 {
                let mut padded = [0; HANDLE_V1];
                padded[..handle.as_bytes().len()].copy_from_slice(handle.as_bytes());
                out.out.extend_from_slice(&padded);
            } else {
                out.opaque(handle.as_bytes());
                // Flavours: AUTH_SYS first, because clients take the first they know; then AUTH_NONE.
                for word in [2, 1, 0] {
                    out.u32(word);
                }
            }
            Some(Event::Mounted { path })
        }
        Err(status) => {
            out.u32(mount_status(status) as u32);
            None
        }
    }
}

fn umnt(arguments: &mut Reader<'_>) -> Result<Option<Event>, Refusal> {
    let path = tidy(arguments.string()?);
    Ok(path.ok().map(|path| Event::Unmounted { path }))
}

fn export(exports: &[Export], out: &mut Writer<'_>) {
    let end = out.position() + MAX_EXPORTS;
    for export in exports {
        let before = out.position();
        out.bool(true);
        out.opaque(export.path.as_bytes());
        for network in &export.networks {
            out.bool(true);
            out.opaque(network.as_bytes());
        }
        out.bool(false);
        if out.position() > end {
            out.truncate(before);
            break;
        }
    }
    out.bool(false);
}

/// The path without doubled and trailing slashes and `.`. `..` is refused: it would have to be
/// resolved before the export is known.
fn tidy(path: &[u8]) -> Result<Vec<u8>, Status> {
    if path.len() > MAX_PATH {
        return Err(Status::NameTooLong);
    }
    if path.first() != Some(&b'/') {
        return Err(Status::NoEnt);
    }
    if path.contains(&0) {
        return Err(Status::Inval);
    }
    let mut tidied = Vec::with_capacity(path.len());
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => return Err(Status::Access),
            name => {
                tidied.push(b'/');
                tidied.extend_from_slice(name);
            }
        }
    }
    if tidied.is_empty() {
        tidied.push(b'/');
    }
    Ok(tidied)
}

/// The nearest status that MOUNT has a number for (`mountstat3`).
fn mount_status(status: Status) -> Status {
    match status {
        Status::Perm
        | Status::NoEnt
        | Status::Io
        | Status::Access
        | Status::NotDir
        | Status::Inval
        | Status::NameTooLong
        | Status::NotSupp => status,
        Status::Stale | Status::BadHandle => Status::NoEnt,
        _ => Status::ServerFault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Client, opaque, word};

    fn mnt_status(path: &[u8]) -> u32 {
        word(&Client::new().call(PROGRAM, 3, 1, &opaque(path)), 0)
    }

    #[test]
    fn mnt_gives_handle_and_flavours() {
        let mut expected = vec![0, 0, 0, 0];
        expected.extend(opaque(b"/export"));
        expected.extend([2_u32, 1, 0].map(u32::to_be_bytes).concat());
        for path in ["/export", "/export/", "//export", "/./export/."] {
            let mut client = Client::new();
            assert_eq!(
                client.call(PROGRAM, 3, 1, &opaque(path.as_bytes())),
                expected
            );
            let event = Event::Mounted {
                path: b"/export".into(),
            };
            assert_eq!(client.reply.unwrap().event, Some(event));
        }
    }

    #[test]
    fn version_1_has_a_handle_of_32_bytes() {
        let results = Client::new().call(PROGRAM, 1, 1, &opaque(b"/export"));
        assert_eq!(results.len(), 4 + 32);
        assert_eq!(&results[4..11], b"/export");
    }

    #[test]
    fn other_paths_are_refused() {
        assert_eq!(mnt_status(b"/exportx"), 2);
        assert_eq!(mnt_status(b"/expor"), 2);
        assert_eq!(mnt_status(b""), 2);
        assert_eq!(mnt_status(b"export"), 2);
        assert_eq!(mnt_status(b"/export\0"), 22);
        assert_eq!(mnt_status(b"/export/../export"), 13);
        assert_eq!(mnt_status(&[b'/'; 1025]), 63);
        assert_eq!(mnt_status(&[b'/'; 5000]), 63);
        let mut client = Client::new();
        assert_eq!(client.accept_status(PROGRAM, 3, 1, &[0xff; 4]), 4);
        assert_eq!(client.accept_status(PROGRAM, 3, 1, &[]), 4);
    }

    #[test]
    fn a_client_outside_is_refused_at_mnt_and_at_every_call() {
        let mut client = Client::outside();
        assert_eq!(
            word(&client.call(PROGRAM, 3, 1, &opaque(b"/export")), 0),
            13
        );
        assert_eq!(word(&client.nfs(1, &opaque(b"/export")), 0), 13);
        assert_eq!(client.call(PROGRAM, 3, 5, &[]), [0; 4], "no exports for it");
    }

    #[test]
    fn export_lists_and_the_rest_is_empty() {
        let list = Client::new().call(PROGRAM, 3, 5, &[]);
        let mut expected = vec![0, 0, 0, 1];
        expected.extend(opaque(b"/export"));
        expected.extend([0, 0, 0, 1]);
        expected.extend(opaque(b"192.168.67.0/24"));
        expected.extend([0; 8]);
        assert_eq!(list, expected);
        assert!(Client::new().call(PROGRAM, 3, 0, &[]).is_empty());
        assert_eq!(Client::new().call(PROGRAM, 3, 2, &[]), [0; 4]);
        assert!(Client::new().call(PROGRAM, 3, 3, &opaque(b"/x")).is_empty());
        assert!(Client::new().call(PROGRAM, 3, 4, &[]).is_empty());
    }

    #[test]
    fn a_long_list_of_exports_is_cut() {
        let export = Export {
            path: "/x".repeat(500),
            networks: vec!["10.0.0.0/8".into(); 20],
        };
        let mut bytes = Vec::new();
        super::export(&vec![export; 1000], &mut Writer { out: &mut bytes });
        assert!(bytes.len() <= MAX_EXPORTS + 4);
        assert!(bytes.len() > MAX_EXPORTS - 2000);
    }
}
