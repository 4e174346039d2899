//! File names as firmware sends them.

/// Turns a requested name into a relative path without `..`, or `None` if it has no such form.
///
/// Leading slashes and doubled ones are dropped (shim asks for `//grubx64.efi`), backslashes are
/// separators (some UEFI firmware sends them), `.` components vanish. Any `..` is refused, also one
/// that would not leave the folder: no loader needs it. Percent signs mean themselves.
pub fn confined(name: &str) -> Option<String> {
    let mut path = String::with_capacity(name.len());
    for component in name.split(['/', '\\']) {
        match component {
            "" | "." => {}
            ".." => return None,
            _ if component.contains(|c: char| c.is_control()) => return None,
            _ => {
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(component);
            }
        }
    }
    (!path.is_empty()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::confined;

    #[test]
    fn spellings_of_real_firmware_are_understood() {
        for name in [
            "grub/grub.cfg",
            "/grub/grub.cfg",
            "//grub//grub.cfg",
            "\\grub\\grub.cfg",
            "./grub/./grub.cfg",
        ] {
            assert_eq!(confined(name).as_deref(), Some("grub/grub.cfg"), "{name}");
        }
    }

    #[test]
    fn nothing_leads_out() {
        for name in [
            "..",
            "../x",
            "x/../../y",
            "x/../y",
            "\\..\\x",
            "/",
            "",
            "a\0b",
            "a\nb",
        ] {
            assert_eq!(confined(name), None, "{name:?}");
        }
        assert_eq!(confined("%2e%2e/x").as_deref(), Some("%2e%2e/x"));
    }
}
