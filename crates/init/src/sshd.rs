//! Telling the image's ssh server something, however its configuration is kept.

use std::path::Path;

use crate::say;
use crate::unpack::{self, small_text};

const DROP_IN: &str = "etc/ssh/sshd_config.d/10-netbootd.conf";
/// Where sshd looks for keys unless it is told (sshd_config(5)).
const DEFAULT_KEYS: &str = ".ssh/authorized_keys .ssh/authorized_keys2";
/// The server's configuration, and where distributions that keep `/etc` empty have theirs.
const CONFIG: [&str; 2] = ["etc/ssh/sshd_config", "usr/etc/ssh/sshd_config"];

/// Adds directives of sshd_config(5), whole lines, that hold for all connections.
pub(crate) fn tell(root: &Path, directives: &str) -> Result<(), String> {
    let config = CONFIG
        .into_iter()
        .find_map(|path| Some((path, small_text(root, path)?)));
    match config {
        // In front: behind a Match block it would belong to that, and the server would not start.
        Some((path, config)) if !reads_drop_ins(&config) => {
            unpack::text(root, path, &format!("{directives}{config}"))
        }
        _ => {
            let before = small_text(root, DROP_IN).unwrap_or_default();
            unpack::text(root, DROP_IN, &format!("{before}{directives}"))
        }
    }
}

/// Has sshd look for people's keys where the overlay has some, besides where it does.
pub(crate) fn trust_our_keys(root: &Path) {
    let config = CONFIG.into_iter().find_map(|path| small_text(root, path));
    let files = config
        .as_deref()
        .and_then(|config| value(config, "authorizedkeysfile"));
    let files = files
        .filter(|files| *files != "none")
        .unwrap_or(DEFAULT_KEYS);
    let directive = format!("AuthorizedKeysFile {files} /etc/netbootd/keys/%u\n");
    if let Err(reason) = tell(root, &directive) {
        say!("keys outside of homes are not known to sshd: {reason}");
    }
}

/// What an sshd_config(5) says in its own text, for all connections; the first line of a name counts.
fn value<'a>(config: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = lines(config).take_while(|(keyword, _)| keyword != "match");
    let found = lines.find_map(|(keyword, value)| (keyword == name).then_some(value.trim()));
    found.filter(|value| !value.is_empty())
}

fn lines(config: &str) -> impl Iterator<Item = (String, &str)> {
    config.lines().map(|line| {
        let mut words = line.trim().splitn(2, [' ', '\t', '=']);
        let keyword = words.next().unwrap_or_default().to_ascii_lowercase();
        (keyword, words.next().unwrap_or_default())
    })
}

/// Whether an sshd_config(5) reads the files of `sshd_config.d`, for all connections.
fn reads_drop_ins(config: &str) -> bool {
    lines(config)
        .take_while(|(keyword, _)| keyword != "match")
        .any(|(keyword, value)| {
            keyword == "include" && value.contains("/etc/ssh/sshd_config.d/*.conf")
        })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn told(config: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("etc/ssh");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("sshd_config"), config).unwrap();
        tell(root.path(), "A b\n").unwrap();
        tell(root.path(), "C d\n").unwrap();
        root
    }

    fn read(root: &tempfile::TempDir, path: &str) -> Option<String> {
        fs::read_to_string(root.path().join(path)).ok()
    }

    #[test]
    fn our_keys_stand_beside_those_that_the_image_names() {
        for (config, wanted) in [
            ("Include /etc/ssh/sshd_config.d/*.conf\n", DEFAULT_KEYS),
            (
                "Include /etc/ssh/sshd_config.d/*.conf\nAuthorizedKeysFile /etc/keys/%u\n",
                "/etc/keys/%u",
            ),
            (
                "Include /etc/ssh/sshd_config.d/*.conf\nMatch all\nAuthorizedKeysFile /x\n",
                DEFAULT_KEYS,
            ),
        ] {
            let root = told(config);
            trust_our_keys(root.path());
            let drop_in = read(&root, DROP_IN).unwrap();
            let line = format!("AuthorizedKeysFile {wanted} /etc/netbootd/keys/%u\n");
            assert!(drop_in.ends_with(&line), "{drop_in}");
        }
    }

    #[test]
    fn the_ssh_server_is_told_in_a_file_of_its_own() {
        let config = "# x\nInclude /etc/ssh/sshd_config.d/*.conf\nMatch User bob\n";
        let root = told(config);
        assert_eq!(read(&root, DROP_IN).as_deref(), Some("A b\nC d\n"));
        assert_eq!(read(&root, CONFIG[0]).as_deref(), Some(config));
    }

    #[test]
    fn a_configuration_without_drop_ins_gets_the_lines_in_front() {
        for config in [
            "Port 22\nMatch User bob\n",
            "#Include /etc/ssh/sshd_config.d/*.conf\n",
            "Match all\nInclude /etc/ssh/sshd_config.d/*.conf\n",
        ] {
            let root = told(config);
            assert_eq!(read(&root, CONFIG[0]), Some(format!("C d\nA b\n{config}")));
            assert_eq!(read(&root, DROP_IN), None);
        }
    }
}
