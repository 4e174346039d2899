//! FSSTAT, FSINFO and PATHCONF (RFC 1813 sections 3.3.18 to 3.3.20).

use super::Context;
use super::lookup::MAX_NAME;
use super::read::MAX_READ;
use super::read_dir::MAX_LISTING;
use crate::xdr::{Malformed, Reader, Writer};

/// What a WRITE may carry: nothing is ever written, but the call must fit in a record so that it
/// is answered with ROFS, and some clients refuse a server that says 0.
const MAX_WRITE: u32 = 32 * 1024;
/// FSF3_LINK, FSF3_SYMLINK and FSF3_HOMOGENEOUS; not FSF3_CANSETTIME.
const PROPERTIES: u32 = 0x01 | 0x02 | 0x08;
/// Most names of one file.
const MAX_LINKS: u32 = 65_535;

pub(super) fn fsstat(
    arguments: &mut Reader<'_>,
    context: &Context<'_>,
    out: &mut Writer<'_>,
) -> Result<(), Malformed> {
    let (handle, attributes) = match context.open(arguments.handle()?) {
        Ok(opened) => opened,
        Err(status) => {
            out.failure(status, None);
            return Ok(());
        }
    };
    match context.fs.fs_stat(&handle) {
        Ok(size) => {
            out.ok();
            out.post_op(Some(&attributes));
            for count in [size.bytes, 0, 0, size.files, 0, 0] {
                out.u64(count);
            }
            // How long this will hold, in seconds: as long as a client can say.
            out.u32(u32::MAX);
        }
        Err(status) => out.failure(status, Some(&attributes)),
    }
    Ok(())
}

pub(super) fn fsinfo(
    arguments: &mut Reader<'_>,
    context: &Context<'_>,
    out: &mut Writer<'_>,
) -> Result<(), Malformed> {
    match context.open(arguments.handle()?) {
        Ok((_, attributes)) => {
            out.ok();
            out.post_op(Some(&attributes));
            for (most, preferred, multiple) in
                [(MAX_READ, MAX_READ, 4096), (MAX_WRITE, MAX_WRITE, 4096)]
            {
                out.u32(most);
                out.u32(preferred);
                out.u32(multiple);
            }
            out.u32(MAX_LISTING);
            out.u64(i64::MAX as u64);
            // Times are exact to one nanosecond.
            out.u32(0);
            out.u32(1);
            out.u32(PROPERTIES);
        }
        Err(status) => out.failure(status, None),
    }
    Ok(())
}

pub(super) fn pathconf(
    arguments: &mut Reader<'_>,
    context: &Context<'_>,
    out: &mut Writer<'_>,
) -> Result<(), Malformed> {
    match context.open(arguments.handle()?) {
        Ok((_, attributes)) => {
            out.ok();
            out.post_op(Some(&attributes));
            out.u32(MAX_LINKS);
            out.u32(MAX_NAME as u32);
            // no_trunc, chown_restricted, not case_insensitive, case_preserving.
            for flag in [true, true, false, true] {
                out.bool(flag);
            }
        }
        Err(status) => out.failure(status, None),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{Client, opaque, word};

    fn results(procedure: u32) -> Vec<u8> {
        let results = Client::new().nfs(procedure, &opaque(b"/export"));
        assert_eq!(word(&results, 0), 0);
        results[92..].to_vec()
    }

    #[test]
    fn fsinfo_says_one_mebibyte_reads_and_no_setting_of_times() {
        let results = results(19);
        let words: Vec<u32> = (0..12).map(|at| word(&results, at * 4)).collect();
        let read = [1 << 20, 1 << 20, 4096];
        let write = [32768, 32768, 4096];
        assert_eq!(words[..3], read);
        assert_eq!(words[3..6], write);
        assert_eq!(words[6..], [65536, 0x7fff_ffff, u32::MAX, 0, 1, 0x0b]);
        assert_eq!(results.len(), 48);
    }

    #[test]
    fn fsstat_tells_the_size_and_that_nothing_is_free() {
        let results = results(18);
        let words: Vec<u32> = (0..13).map(|at| word(&results, at * 4)).collect();
        assert_eq!(words[..12], [0, 4096, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0]);
        assert_eq!(results.len(), 52);
    }

    #[test]
    fn pathconf_allows_names_of_255_bytes() {
        let results = results(20);
        let words: Vec<u32> = (0..6).map(|at| word(&results, at * 4)).collect();
        assert_eq!(words, [65535, 255, 1, 1, 0, 1]);
    }

    #[test]
    fn a_bad_handle_has_no_attributes() {
        for procedure in [18, 19, 20] {
            let results = Client::new().nfs(procedure, &opaque(b"?"));
            assert_eq!((word(&results, 0), results.len()), (10001, 8));
        }
    }
}
