//! Extended headers: records of `LENGTH KEY=VALUE\n`.

use std::collections::BTreeMap;

use super::Error;
use crate::entry::Xattr;

/// What extended headers say of a member. A field that is not told is `None`.
#[derive(Clone, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<i64>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) sparse: Sparse,
}

/// What GNU tar says of a sparse file.
#[derive(Clone, Default)]
pub(super) struct Sparse {
    /// In version 1.0 the map stands in front of the content.
    pub(super) major: Option<u64>,
    name: Option<Vec<u8>>,
    size: Option<u64>,
    /// Versions 0.0 and 0.1: offset, length, offset, length, …
    pub(super) map: Vec<u64>,
}

impl Records {
    /// These records, and where `newer` says otherwise, those.
    pub(super) fn update(&mut self, newer: Self) {
        let Self {
            path,
            link,
            size,
            uid,
            gid,
            mtime,
            xattrs,
            sparse,
        } = newer;
        self.path = path.or(self.path.take());
        self.link = link.or(self.link.take());
        self.size = size.or(self.size);
        self.uid = uid.or(self.uid);
        self.gid = gid.or(self.gid);
        self.mtime = mtime.or(self.mtime);
        self.xattrs.extend(xattrs);
        self.sparse = sparse;
    }

    pub(super) fn sparse_name(&self) -> Option<Vec<u8>> {
        self.sparse.name.clone()
    }

    pub(super) fn sparse_size(&self) -> Option<u64> {
        self.sparse.size
    }

    pub(super) fn xattrs(self) -> Vec<Xattr> {
        let xattrs = self.xattrs.into_iter();
        xattrs.map(|(name, value)| Xattr { name, value }).collect()
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let text = || str::from_utf8(value).map_err(|_| "a pax number is not text");
        let number = || -> Result<u64, &'static str> {
            let number = text()?.parse();
            number.map_err(|_| "a pax number is not a number")
        };
        match key {
            b"path" => self.path = Some(name(value)?),
            b"linkpath" => self.link = Some(name(value)?),
            b"size" => self.size = Some(number()?),
            b"uid" => self.uid = Some(number()?),
            b"gid" => self.gid = Some(number()?),
            b"mtime" => self.mtime = Some(seconds(text()?)?),
            b"RHT.security.selinux" => {
                self.xattrs
                    .insert(b"security.selinux".to_vec(), value.to_vec());
            }
            b"GNU.sparse.major" => self.sparse.major = Some(number()?),
            b"GNU.sparse.name" => self.sparse.name = Some(name(value)?),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.sparse.size = Some(number()?),
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => self.sparse.map.push(number()?),
            b"GNU.sparse.map" => {
                let numbers = text()?.split(',').map(str::parse);
                let map: Result<_, _> = numbers.collect();
                self.sparse.map = map.map_err(|_| "a sparse map is not numbers")?;
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.insert(name.to_vec(), value.to_vec());
                }
            }
        }
        Ok(())
    }
}

/// The records of a header that began at `offset`.
pub(super) fn parse(mut bytes: &[u8], offset: u64) -> Result<Records, Error> {
    let mut records = Records::default();
    while !bytes.is_empty() {
        let record;
        (record, bytes) = split(bytes).ok_or_else(|| Error::at(offset, "a broken pax header"))?;
        let (key, value) = record;
        // An empty value says that an earlier one is void.
        if !value.is_empty() || key.starts_with(b"SCHILY.xattr.") {
            let set = records.set(key, value);
            set.map_err(|what| Error::at(offset, what))?;
        }
    }
    Ok(records)
}

/// The key and value of the first record, and the others.
#[expect(clippy::type_complexity, reason = "two slices and the rest")]
fn split(bytes: &[u8]) -> Option<((&[u8], &[u8]), &[u8])> {
    let blank = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = str::from_utf8(&bytes[..blank]).ok()?.parse().ok()?;
    if length <= blank + 1 || length > bytes.len() {
        return None;
    }
    let (record, rest) = bytes.split_at(length);
    let record = record[blank + 1..].strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some(((&record[..equals], &record[equals + 1..]), rest))
}

fn name(value: &[u8]) -> Result<Vec<u8>, &'static str> {
    if value.contains(&0) {
        return Err("a name with a zero byte");
    }
    Ok(value.to_vec())
}

/// Seconds since 1970 of a time such as `1700000000.25` or `-1.5`, rounded down.
fn seconds(text: &str) -> Result<i64, &'static str> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    match whole.parse::<i64>() {
        Ok(whole) if digits => {
            let down = text.starts_with('-') && fraction.bytes().any(|byte| byte != b'0');
            Ok(whole.saturating_sub(down.into()))
        }
        _ => Err("a pax time is not a number"),
    }
}
