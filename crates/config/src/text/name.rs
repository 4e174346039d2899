//! Names: of machines, domains, users, images, files and network cards.

use std::path::PathBuf;

use model::{BootChoice, ImageName, KnownBy, MacAddr, NamePattern};

use super::short;
use crate::diagnostic::{Code, Fault};

/// One DNS label (RFC 1123 section 2.1), in lower case.
pub(crate) fn hostname(text: &str) -> Result<String, Fault> {
    if is_label(text) {
        return Ok(text.to_ascii_lowercase());
    }
    let fault = Fault::new(
        Code::BadHostname,
        format!("`{}` is not a host name", short(text)),
        "a host name is 1 to 63 letters, digits and hyphens, with no hyphen at either end; the domain is added by netbootd",
    );
    let first = text.split('.').next().unwrap_or_default();
    Err(near(fault, &label_from(first)))
}

/// What clients are called that nobody named.
pub(crate) fn name_pattern(text: &str) -> Result<NamePattern, Fault> {
    text.parse().map_err(|error| {
        Fault::new(
            Code::BadHostname,
            format!("`{}` makes no host names", short(text)),
            format!("{error}, so that no two machines have the same"),
        )
        .help("write \"pc-{mac6}\" instead")
    })
}

/// A name of one or more labels, in lower case.
pub(crate) fn dns_name(text: &str) -> Result<String, Fault> {
    let bare = text.strip_suffix('.').unwrap_or(text);
    if bare.len() <= 253 && bare.split('.').all(is_label) {
        return Ok(bare.to_ascii_lowercase());
    }
    let fault = Fault::new(
        Code::BadHostname,
        format!("`{}` is not a name in DNS", short(text)),
        "a name is labels of 1 to 63 letters, digits and hyphens with dots between them, 253 characters at most",
    );
    let labels: Vec<String> = bare
        .split('.')
        .map(label_from)
        .filter(|l| !l.is_empty())
        .collect();
    Err(near(fault, &labels.join(".")))
}

/// A service as SRV records name it (RFC 2782): `_name._tcp` or `_name._udp`.
pub(crate) fn service(text: &str) -> Result<String, Fault> {
    let lower = text.to_ascii_lowercase();
    let name = lower
        .strip_prefix('_')
        .and_then(|rest| rest.split_once('.'));
    match name {
        Some((name, "_tcp" | "_udp")) if is_label(name) => Ok(lower),
        _ => {
            let (what, why) = (
                format!("`{}` is not a service", short(text)),
                "clients ask for a service by _, its name, and ._tcp or ._udp (RFC 2782)",
            );
            Err(Fault::new(Code::BadService, what, why).help("write a name like \"_ntp._udp\""))
        }
    }
}

/// A host in DNS and a port.
pub(crate) fn place(text: &str) -> Result<(String, u16), Fault> {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    match port.parse() {
        Ok(port) if port > 0 => Ok((dns_name(host)?, port)),
        _ => {
            let (what, why) = (
                format!("`{}` is not a host and a port", short(text)),
                "clients need both to find a service",
            );
            Err(Fault::new(Code::BadService, what, why).help("write it like \"nas:123\""))
        }
    }
}

/// A domain for the clients.
pub(crate) fn domain(text: &str) -> Result<String, Fault> {
    let domain = dns_name(text)?;
    match domain.rsplit('.').next() {
        Some("localhost" | "invalid" | "arpa" | "onion") if domain != "home.arpa" => {
            Err(Fault::new(
                Code::UnsuitableDomain,
                format!("`{domain}` cannot be a domain of clients"),
                "its last label has a fixed meaning for every resolver (RFC 6761)",
            )
            .help("write \"lab.internal\" instead"))
        }
        _ => Ok(domain),
    }
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn label_from(text: &str) -> String {
    let lower = text.trim().to_lowercase().replace(['_', ' ', '.'], "-");
    let mut label: String = lower
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect();
    label.truncate(63);
    label.trim_matches('-').to_owned()
}

fn near(fault: Fault, suggestion: &str) -> Fault {
    if suggestion.is_empty() {
        fault
    } else {
        fault.help(format!("write \"{suggestion}\" instead"))
    }
}

/// What a client is known by.
pub(crate) fn client(text: &str) -> Result<KnownBy, Fault> {
    let bad =
        |what: &str, why: &str| Fault::new(Code::BadMac, format!("`{}` {what}", short(text)), why);
    match text.parse() {
        Ok(KnownBy::Uuid(uuid)) if uuid.0 == [0; 16] || uuid.0 == [0xff; 16] => Err(bad(
            "is the UUID of no machine",
            "mainboards that nobody numbered have this one",
        )),
        Ok(KnownBy::ClientId(id)) if id.len() == 7 && id[0] == 1 => Err(bad(
            "is the MAC address of a card",
            "the type 1 and a MAC address are what a client sends that has no identifier of its own",
        )
        .help(format!(
            "write \"{}\" instead",
            MacAddr(std::array::from_fn(|at| id[at + 1]))
        ))),
        Ok(other @ (KnownBy::Uuid(_) | KnownBy::ClientId(_))) => Ok(other),
        Err(_) if text.starts_with("id:") => Err(bad(
            "is not a client identifier",
            "it is 2 to 255 bytes, in hexadecimal with colons between them, or letters without a blank",
        )
        .help("write \"id:pc07\" or \"id:ff:12:34:56\", for example")),
        Err(_) if text.len() > 20 && text.contains('-') => Err(bad(
            "is not the UUID of a machine",
            "it is 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12, as `dmidecode -s system-uuid` prints it",
        )),
        Ok(KnownBy::Mac(_)) | Err(_) => mac(text).map(KnownBy::Mac),
    }
}

/// A MAC address that a client can have.
fn mac(text: &str) -> Result<MacAddr, Fault> {
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let bad =
        |what: &str, why: &str| Fault::new(Code::BadMac, format!("`{}` {what}", short(text)), why);
    let Ok(mac) = text.parse::<MacAddr>() else {
        let fault = bad(
            "is not a MAC address",
            "a client is known by the six bytes of its network card's address, in hexadecimal",
        );
        return Err(match digits.parse::<MacAddr>() {
            Ok(mac) => fault.help(format!("write \"{mac}\" instead")),
            Err(_) => fault.help("write an address like \"52:54:00:12:34:56\" instead"),
        });
    };
    if mac.is_multicast() || mac == MacAddr::default() {
        return Err(bad(
            "is not the address of one network card",
            "the first byte of a card's address is even, and not all of its bytes are zero",
        ));
    }
    Ok(mac)
}

/// The name of an exported folder: what an image may be called too.
pub(crate) fn export(text: &str) -> Result<String, Fault> {
    if text.parse::<ImageName>().is_ok() {
        return Ok(text.to_owned());
    }
    let fault = Fault::new(
        Code::BadExportName,
        format!("`{}` cannot be the name of an export", short(text)),
        "clients mount it by this name, which is 1 to 63 of a-z, 0-9, '.', '_' and '-'",
    );
    Err(fault.help("write a name like `data`, and the path as its `folder`"))
}

/// An image name.
pub(crate) fn image(text: &str) -> Result<ImageName, Fault> {
    text.parse::<ImageName>().map_err(|error| {
        let fault = Fault::new(
            Code::BadImageName,
            format!("`{}` is not an image name", short(text)),
            error.to_string(),
        );
        let lower = text.trim().to_lowercase().replace([' ', '/'], "-");
        near(
            fault,
            lower
                .parse::<ImageName>()
                .as_ref()
                .map_or("", ImageName::as_str),
        )
    })
}

/// What a client boots.
pub(crate) fn boot_choice(text: &str) -> Result<BootChoice, Fault> {
    text.parse::<BootChoice>().map_err(|error| {
        let fault = Fault::new(
            Code::BadImageName,
            format!("`{}` is nothing that a machine can boot", short(text)),
            error.to_string(),
        );
        let lower = text.trim().to_lowercase().replace([' ', '/', '_'], "-");
        let known = ["local-disk", "menu", "none"];
        match crate::unknown::nearest(&lower, known.into_iter()) {
            Some(word) => near(fault, word),
            None => match lower.parse::<BootChoice>() {
                Ok(choice) => near(fault, &choice.to_string()),
                Err(_) => fault,
            },
        }
    })
}

/// A network card's name, as the kernel allows it (15 bytes, no `/`, no white space).
pub(crate) fn interface(text: &str) -> Result<String, Fault> {
    let good = (1..=15).contains(&text.len())
        && !matches!(text, "." | "..")
        && !text.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control());
    if good {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        Code::BadInterfaceName,
        format!("`{}` cannot be a network card", short(text)),
        "the kernel's names have 1 to 15 characters, without `/`, `:` and spaces",
    )
    .help("write a name that `ip link` shows, like `[interfaces.enp1s0]`, instead"))
}

/// A network card that the network of another one, `inside`, reaches the world by.
pub(crate) fn uplink(text: &str, inside: &str) -> Result<String, Fault> {
    let name = interface(text).map_err(|fault| fault.help("write a name that `ip link` shows"))?;
    if name == inside {
        let (what, why) = (
            format!("`{name}` cannot be its own way out"),
            "clients are on this card; the rest of the world is behind another",
        );
        let fault = Fault::new(Code::BadUplink, what, why);
        return Err(fault.help("write the card that `ip route` shows for the default route"));
    }
    // Firewall rules are written with both names.
    if [&name, inside]
        .iter()
        .any(|name| name.contains(['"', '*', '\\']))
    {
        let (what, why) = (
            format!(
                "`{}` and `{}` cannot both be named in a firewall",
                short(inside),
                short(&name)
            ),
            "a `*` there means any name, and quotes and backslashes cannot be written",
        );
        return Err(Fault::new(Code::BadUplink, what, why).help("give the card another name"));
    }
    Ok(name)
}

/// Accounts that every system has already; an account of the configuration would replace them.
const SYSTEM_ACCOUNTS: &[&str] = &[
    "root",
    "daemon",
    "bin",
    "sys",
    "sync",
    "games",
    "man",
    "lp",
    "mail",
    "news",
    "uucp",
    "proxy",
    "www-data",
    "backup",
    "list",
    "irc",
    "nobody",
    "sshd",
    "messagebus",
    "systemd-network",
    "systemd-resolve",
    "systemd-timesync",
];

/// An account's name.
pub(crate) fn user(text: &str) -> Result<String, Fault> {
    if SYSTEM_ACCOUNTS.contains(&text) {
        return Err(Fault::new(
            Code::BadUserName,
            format!("`{text}` is an account of the system itself"),
            "every image has it already, and its programs rely on it",
        )
        .help("write a person's name, like `[users.alice]` with `groups = [\"sudo\"]`, instead"));
    }
    account(text, "user")
}

/// The name of an account, whoever made it.
pub(crate) fn account_name(text: &str) -> Result<String, Fault> {
    account(text, "user")
}

/// An account of the server, or a group of them with `@` in front.
pub(crate) fn server_user(text: &str) -> Result<String, Fault> {
    match text.strip_prefix('@') {
        Some(name) => account(name, "group").map(|_| text.to_owned()),
        None => user(text),
    }
}

/// A folder of an NFS server, `HOST:FOLDER`.
pub(crate) fn nfs_folder(text: &str) -> Result<String, Fault> {
    let clean = |c: char| !c.is_whitespace() && !c.is_control();
    match text.split_once(':') {
        Some((host, folder))
            if !host.is_empty() && folder.starts_with('/') && text.chars().all(clean) =>
        {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(Fault::new(
            Code::BadPath,
            format!("`{}` is no folder of an NFS server", short(text)),
            "it is the server's name or address, a colon, and an absolute path without spaces",
        )
        .help("write \"nas:/home\", for example, instead")),
    }
}

/// The name of a group of clients.
pub(crate) fn client_group(text: &str) -> Result<String, Fault> {
    hostname(text).map_err(|_| {
        let fault = Fault::new(
            Code::BadPattern,
            format!("`{}` cannot be the name of a group", short(text)),
            "its overlay files are in a folder of this name: 1 to 63 letters, digits and hyphens",
        );
        near(fault, &label_from(text))
    })
}

/// A group's name.
pub(crate) fn group(text: &str) -> Result<String, Fault> {
    account(text, "group")
}

fn account(text: &str, noun: &str) -> Result<String, Fault> {
    let good = (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if good {
        return Ok(text.to_owned());
    }
    let fault = Fault::new(
        Code::BadUserName,
        format!("`{}` is not a {noun} name", short(text)),
        "a name is 1 to 32 of a-z, 0-9, `_` and `-`, and starts with a letter or `_`",
    );
    let lower = text.trim().to_lowercase().replace([' ', '.'], "_");
    let starts_well = lower.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let kept: String = lower
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
        .take(32)
        .collect();
    Err(near(fault, if starts_well { &kept } else { "" }))
}

/// A path below the root of an image, or a pattern of such paths, without slashes around it.
pub(crate) fn pattern(text: &str) -> Result<String, Fault> {
    let bare = text.trim_matches('/');
    let odd = |name: &str| matches!(name, "" | "." | "..") || name.contains(char::is_control);
    match bare.split('/').any(odd) {
        false => Ok(bare.to_owned()),
        true => Err(Fault::new(
            Code::BadPath,
            format!("`{}` is not a path below the root of an image", short(text)),
            "names of files stand between its slashes, and * and ** for parts of them; none is empty, `.` or `..`",
        )),
    }
}

/// An absolute path.
pub(crate) fn path(text: &str) -> Result<PathBuf, Fault> {
    absolute(text, "netbootd's own folder depends on how it was started").map(PathBuf::from)
}

/// An absolute path of a program on the client.
pub(crate) fn shell(text: &str) -> Result<String, Fault> {
    let shell = absolute(text, "login programs run the shell by its whole path")?;
    // It becomes a field of /etc/passwd.
    if shell.contains([':', ' ']) {
        return Err(Fault::new(
            Code::BadPath,
            format!("`{}` cannot be a login shell", short(text)),
            "the path becomes a field of /etc/passwd, where `:` and spaces are not allowed",
        )
        .help("write \"/bin/bash\" instead"));
    }
    Ok(shell.to_owned())
}

fn absolute<'a>(text: &'a str, why: &str) -> Result<&'a str, Fault> {
    let bad =
        |what: &str, why: &str| Fault::new(Code::BadPath, format!("`{}` {what}", short(text)), why);
    if text.contains(char::is_control) {
        return Err(bad("holds a control character", "no sensible path does"));
    }
    if text.starts_with('/') {
        return Ok(text);
    }
    let fault = bad("is not an absolute path", why);
    Err(match text.strip_prefix("~/") {
        Some(rest) => fault.help(format!(
            "write the whole path, like \"/home/you/{rest}\", instead"
        )),
        None if text == "bash" || text == "sh" || text == "zsh" => {
            fault.help(format!("write \"/bin/{text}\" instead"))
        }
        None => fault.help("write a path that starts with `/` instead"),
    })
}

/// The name of a file inside of a folder, without a path.
pub(crate) fn file_name(text: &str) -> Result<String, Fault> {
    let good = (1..=100).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && !text.starts_with('.');
    if good {
        return Ok(text.to_owned());
    }
    let last = text.rsplit('/').next().unwrap_or_default();
    let fault = Fault::new(
        Code::BadPath,
        format!("`{}` is not a file name", short(text)),
        "firmware asks for a loader by a short name of letters, digits, `.`, `_` and `-`; its folder belongs in loaders.folders",
    );
    Err(if text.contains('/') {
        near(fault, last)
    } else {
        fault
    })
}
