//! What becomes a line of a client's own files: units, mounts, commands.

use model::{Changes, ParseChangesError, ParsePatternError, Pattern};

use super::short;
use crate::diagnostic::{Code, Fault};

/// Which clients a group has.
pub(crate) fn member(text: &str) -> Result<Pattern, Fault> {
    text.parse().map_err(|ParsePatternError| {
        Fault::new(
            Code::BadPattern,
            format!("`{}` matches no client", short(text)),
            "clients are matched by host name (letters, digits, `-`; without the domain) or by MAC address, \
             in which `*` stands for any text and `?` for one character",
        )
        .help("write \"pc*\" or \"52:54:00:*\", for example, instead")
    })
}

/// Where changes to the root are kept.
pub(crate) fn changes(text: &str) -> Result<Changes, Fault> {
    text.parse().map_err(|ParseChangesError| {
        Fault::new(
            Code::WrongWord,
            format!("`{}` is not a share of a client's memory", short(text)),
            "it is a percentage up to 100%, or a size in M or G; with `zram` before it, changes are compressed \
             when memory is short, and may be 200%",
        )
        .help("write \"50%\", \"4G\", \"zram\" or \"zram:4G\", for example, instead")
    })
}

/// The kinds of units that can be masked (systemd.unit(5)).
const UNIT_KINDS: [&str; 8] = [
    "service",
    "timer",
    "socket",
    "mount",
    "automount",
    "path",
    "target",
    "swap",
];

/// A unit of systemd.
pub(crate) fn unit(text: &str) -> Result<String, Fault> {
    let good =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '\\' | ':');
    let kind = text.rsplit_once('.').map(|(_, kind)| kind);
    if text.len() <= 255 && text.chars().all(good) && !text.starts_with('.') {
        if kind.is_some_and(|kind| UNIT_KINDS.contains(&kind)) {
            return Ok(text.to_owned());
        }
        return Err(Fault::new(
            Code::BadUnit,
            format!("`{}` is not a unit of systemd", short(text)),
            format!(
                "a unit's name ends with its kind: .{}",
                UNIT_KINDS.join(", .")
            ),
        )
        .help(format!("write \"{text}.service\" instead")));
    }
    Err(Fault::new(
        Code::BadUnit,
        format!("`{}` is not a unit of systemd", short(text)),
        "a unit's name is letters, digits and `.:_-@\\`, and ends with its kind",
    ))
}

/// A program or one of its words.
pub(crate) fn word(text: &str) -> Result<String, Fault> {
    if text.is_empty() || text.len() > 4096 || text.chars().any(char::is_control) {
        return Err(Fault::new(
            Code::BadCommand,
            format!("`{}` cannot be a word of a command", short(text)),
            "it is run without a shell, so each word is a text of its own, without line breaks",
        ));
    }
    Ok(text.to_owned())
}

/// Where a management controller answers.
pub(crate) fn redfish(text: &str) -> Result<String, Fault> {
    let rest = text
        .strip_prefix("https://")
        .filter(|rest| !rest.is_empty());
    let good = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '@' | '#' | '?');
    if rest.is_some_and(|rest| rest.chars().all(good)) {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err(Fault::new(
        Code::WrongWord,
        format!("`{}` is not where Redfish answers", short(text)),
        "the password goes there, so it is an https URL; the account stands in [power]",
    )
    .help("write \"https://pc1-bmc.example.net\", for example, instead"))
}

/// A line of fstab(5).
pub(crate) fn fstab_line(text: &str) -> Result<String, Fault> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let bad = |what: String, why: &str| {
        Fault::new(Code::BadFstab, what, why)
            .help("write \"nas:/data /data nfs ro,nofail 0 0\", for example, instead")
    };
    if text.contains(char::is_control) && !text.contains('\t') || text.contains('\n') {
        return Err(bad(
            "a line of fstab holds a control character".to_owned(),
            "each element of the array is one line",
        ));
    }
    if !(3..=6).contains(&fields.len()) {
        return Err(bad(
            format!("`{}` is not a line of fstab", short(text)),
            "it has three to six fields: what, where, its type, options, dump, pass",
        ));
    }
    if !fields[1].starts_with('/') && fields[1] != "none" && fields[1] != "swap" {
        return Err(bad(
            format!("`{}` is no place to mount at", short(fields[1])),
            "the second field is an absolute path, or none for swap",
        ));
    }
    if fields[1] == "/" {
        return Err(bad(
            "the root is mounted by netbootd".to_owned(),
            "a second line for `/` would mount something else over it",
        ));
    }
    Ok(fields.join(" "))
}

/// One line for a shell.
pub(crate) fn shell_command(text: &str) -> Result<String, Fault> {
    if text.trim().is_empty() || text.contains(['\n', '\0']) {
        return Err(Fault::new(
            Code::BadCommand,
            "a command is one line that is not empty".to_owned(),
            "each element of the array is run by itself, so that a failure names its line",
        )
        .help("write each line as its own element, or bring a script as an overlay file"));
    }
    Ok(text.trim().to_owned())
}
