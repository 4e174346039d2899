//! What a module says about itself: the section `.modinfo` of its object file.

/// The `key=value` words of a module's `.modinfo` section, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modinfo {
    words: Vec<(String, String)>,
}

/// When a soft dependency is loaded: before or after the module that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before.
    Pre,
    /// After.
    Post,
}

impl Modinfo {
    /// From the bytes of an ELF object, little-endian, 32 or 64 bits. `None` when it is something
    /// else, is cut short or has no such section.
    pub fn of_object(object: &[u8]) -> Option<Self> {
        let section = section(object, b".modinfo")?;
        let words = section
            .split(|byte| *byte == 0)
            .filter_map(|word| {
                let word = String::from_utf8_lossy(word);
                let (key, value) = word.split_once('=')?;
                Some((key.to_owned(), value.to_owned()))
            })
            .collect();
        Some(Self { words })
    }

    /// All values of `key`.
    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let of_key = self.words.iter().filter(move |(k, _)| k == key);
        of_key.map(|(_, value)| value.as_str())
    }

    /// Modules that the kernel links this one to; they have to be loaded before.
    pub fn depends(&self) -> impl Iterator<Item = String> {
        self.values("depends")
            .flat_map(|list| list.split(','))
            .filter(|name| !name.is_empty())
            .map(|name| name.replace('-', "_"))
    }

    /// Names by which the kernel asks for this module: hardware patterns and plain names.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.values("alias")
    }

    /// Files below `lib/firmware` that the module may ask for; some have `*` in them.
    pub fn firmware(&self) -> impl Iterator<Item = &str> {
        self.values("firmware")
    }

    /// The text of each `softdep`, as in `modules.softdep` after the module's name.
    pub fn softdeps(&self) -> impl Iterator<Item = &str> {
        self.values("softdep")
    }

    /// Modules or aliases that this module works better with, and when they are loaded.
    pub fn soft_depends(&self) -> Vec<(When, String)> {
        let mut found = Vec::new();
        for text in self.softdeps() {
            let mut when = When::Pre;
            for word in text.split_ascii_whitespace() {
                match word {
                    "pre:" => when = When::Pre,
                    "post:" => when = When::Post,
                    name => found.push((when, name.to_owned())),
                }
            }
        }
        found
    }
}

fn section<'a>(object: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let wide = match object.get(..6)? {
        [0x7f, b'E', b'L', b'F', 1, 1] => false,
        [0x7f, b'E', b'L', b'F', 2, 1] => true,
        _ => return None,
    };
    // Where the fields are in a file header: 64 bits, 32 bits.
    let (table, entry_len, count, names) = match wide {
        true => (number(object, 0x28, 8)?, 0x3a, 0x3c, 0x3e),
        false => (number(object, 0x20, 4)?, 0x2e, 0x30, 0x32),
    };
    let table = object.get(usize::try_from(table).ok()?..)?;
    let entry_len = number(object, entry_len, 2)? as usize;
    let (count, names) = (number(object, count, 2)?, number(object, names, 2)?);
    let header = |index: u64| {
        let at = (index as usize).checked_mul(entry_len)?;
        table.get(at..at.checked_add(entry_len)?)
    };
    let content = |header: &[u8]| {
        let (offset, len) = match wide {
            true => (number(header, 0x18, 8)?, number(header, 0x20, 8)?),
            false => (number(header, 0x10, 4)?, number(header, 0x14, 4)?),
        };
        let end = usize::try_from(offset.checked_add(len)?).ok()?;
        object.get(offset as usize..end)
    };
    let names = content(header(names)?)?;
    for index in 0..count {
        let header = header(index)?;
        let name = names.get(number(header, 0, 4)? as usize..)?;
        let rest = name.strip_prefix(wanted);
        if rest.is_some_and(|rest| rest.first() == Some(&0)) {
            return content(header);
        }
    }
    None
}

/// The little-endian number of `len` bytes, 8 at most, at `at`.
fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let mut word = [0; 8];
    word.get_mut(..len)?
        .copy_from_slice(bytes.get(at..at.checked_add(len)?)?);
    Some(u64::from_le_bytes(word))
}

/// The least that is an object with these words in `.modinfo`.
#[cfg(test)]
pub(crate) fn object(modinfo: &[&str]) -> Vec<u8> {
    let modinfo: Vec<u8> = modinfo
        .iter()
        .flat_map(|word| word.bytes().chain([0]))
        .collect();
    let names = b"\0.modinfo\0.shstrtab\0";
    let mut bytes = vec![0; 0x40];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[0x3a..0x40].copy_from_slice(&[0x40, 0, 3, 0, 2, 0]);
    bytes.extend_from_slice(&modinfo);
    bytes.extend_from_slice(names);
    let table = bytes.len() as u64;
    bytes[0x28..0x30].copy_from_slice(&table.to_le_bytes());
    let names_at = 0x40 + modinfo.len();
    for (name, at, len) in [
        (0u32, 0, 0),
        (1, 0x40, modinfo.len()),
        (10, names_at, names.len()),
    ] {
        let mut header = [0; 0x40];
        header[..4].copy_from_slice(&name.to_le_bytes());
        header[0x18..0x20].copy_from_slice(&(at as u64).to_le_bytes());
        header[0x20..0x28].copy_from_slice(&(len as u64).to_le_bytes());
        bytes.extend_from_slice(&header);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_needs_is_read_from_it() {
        let modinfo = Modinfo::of_object(&object(&[
            "firmware=rtl_nic/rtl8168h-2.fw",
            "softdep=pre: realtek a-b post: c",
            "alias=pci:v000010ECd00008168sv*sd*bc*sc*i*",
            "depends=libphy,mdio-devres",
            "depends=",
        ]))
        .unwrap();
        let depends: Vec<_> = modinfo.depends().collect();
        assert_eq!(depends, ["libphy", "mdio_devres"]);
        assert_eq!(
            modinfo.soft_depends(),
            [
                (When::Pre, "realtek".into()),
                (When::Pre, "a-b".into()),
                (When::Post, "c".into())
            ]
        );
        assert_eq!(modinfo.firmware().next(), Some("rtl_nic/rtl8168h-2.fw"));
        assert_eq!(modinfo.aliases().count(), 1);
    }

    #[test]
    fn a_cut_or_lying_object_is_refused_without_a_panic() {
        let good = object(&["depends=a"]);
        for len in 0..good.len() {
            assert_eq!(Modinfo::of_object(&good[..len]), None, "{len}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] = 0xff;
            let _ = Modinfo::of_object(&bad);
        }
    }
}
