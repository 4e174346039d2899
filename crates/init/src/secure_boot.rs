//! Whether the machine's firmware enforces Secure Boot: the server sends such a machine what is signed.

use std::fs::File;
use std::io::{ErrorKind, Read};

use crate::modules::Modules;
use crate::mount;

/// UEFI 2.10 section 3.3, global variables.
const VARIABLE: &str = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// What the firmware says; `None`: it is no UEFI, or cannot be asked.
pub(crate) fn read(modules: &Modules) -> Option<bool> {
    let folder = mount::firmware_variables(modules).ok()?;
    let mut content = Vec::new();
    let file = match File::open(folder.join(VARIABLE)) {
        Ok(file) => file,
        // A firmware that has no Secure Boot.
        Err(error) if error.kind() == ErrorKind::NotFound => return Some(false),
        Err(_) => return None,
    };
    file.take(16).read_to_end(&mut content).ok()?;
    parse(&content)
}

/// The variable as efivarfs shows it: four bytes of attributes, and one of content.
fn parse(content: &[u8]) -> Option<bool> {
    match content {
        [_, _, _, _, is_on @ 0..=1] => Some(*is_on == 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_what_the_firmware_says_counts() {
        assert_eq!(parse(&[6, 0, 0, 0, 1]), Some(true));
        assert_eq!(parse(&[6, 0, 0, 0, 0]), Some(false));
        for other in [
            &[][..],
            &[6, 0, 0, 0],
            &[6, 0, 0, 0, 2],
            &[6, 0, 0, 0, 1, 1],
        ] {
            assert_eq!(parse(other), None);
        }
    }
}
