//! One parameter of ltsp.conf.

use model::NamePattern;

use super::document::Value;
use super::ltsp_conf::Parameter;
use super::mapping::{Mapping, image_name};
use super::never::{self, Fate};
use super::report::{LineId, shown};
use super::sections::Scope;

const PASSWORDS: &str = "passwords never travel to a client, where whoever boots could read them; [users.NAME] with ssh_keys lets people log in over ssh, with `passwordless` at the machine, and `autologin` at the screen";
const SECRET: &str = "it holds a password, or a hash of one, and none travels to a client; [users.NAME] with ssh_keys lets people log in over ssh, and `autologin` at the screen";

/// Finds the key for a parameter, or the reason why there is none.
pub fn map(mapping: &mut Mapping<'_>, scope: &Scope, found: &Parameter, id: LineId) {
    let name = found.name.as_str();
    if name.starts_with("PASSWORDS_") {
        return mapping.report.note(id, PASSWORDS);
    }
    if is_secret(&found.raw) {
        return mapping.report.note(id, SECRET);
    }
    if let Scope::Nothing(why) = scope {
        return mapping.report.note(id, why.clone());
    }
    if found.runs {
        let why = format!(
            "a shell would run a command to know the value, and the file is never run: {}",
            shown(&found.raw)
        );
        return mapping.report.note(id, why);
    }
    if found.value.trim().is_empty() {
        return mapping.report.needless(id, "it is empty");
    }
    let overlay = overlay(mapping, scope);
    match (name, found.value.trim()) {
        ("LOCAL_SWAP", "0") => {
            return mapping
                .report
                .needless(id, "no client touches its own disks");
        }
        ("LOCAL_SWAP", _) => {
            return mapping.report.note(id, "no client touches its own disks; a line in fstab, \"/dev/disk/by-uuid/… none swap sw 0 0\", uses swap on one");
        }
        _ => {}
    }
    if let Some((fate, why)) = never::fate(name, &overlay) {
        return match fate {
            Fate::Left => mapping.report.note(id, why),
            Fate::Needless => mapping.report.needless(id, why),
        };
    }
    let fstab = name.starts_with("FSTAB_");
    if let Some(variable) = &found.variable
        && !(fstab && variable == "SERVER" && mapping.server.is_some())
    {
        let why = format!(
            "only LTSP's own scripts know the variable ${variable} in it: {}",
            shown(&found.raw)
        );
        return mapping.report.note(id, why);
    }
    Found {
        mapping,
        scope,
        value: &found.value,
        id,
        overlay,
    }
    .map(name);
}

/// Hashes of crypt(5), and the commands that set passwords.
pub fn is_secret(text: &str) -> bool {
    const SIGNS: [&str; 11] = [
        "$1$",
        "$2a$",
        "$2b$",
        "$2y$",
        "$5$",
        "$6$",
        "$y$",
        "$7$",
        "chpasswd",
        "/etc/shadow",
        "usermod -p",
    ];
    SIGNS.iter().any(|sign| text.contains(sign))
}

/// The folder of the section's overlay files.
fn overlay(mapping: &Mapping<'_>, scope: &Scope) -> String {
    let below = match scope {
        Scope::Group { name, .. } => format!("groups/{name}"),
        Scope::Client(known_by) => {
            let name = mapping
                .doc
                .text(&["clients", &known_by.to_string()], "hostname");
            format!("clients/{}", name.unwrap_or("NAME"))
        }
        Scope::Everyone(_) | Scope::Server | Scope::Nothing(_) => "all".to_owned(),
    };
    format!("{}/{below}", mapping.overlay_dir.trim_end_matches('/'))
}

struct Found<'m, 'a> {
    mapping: &'m mut Mapping<'a>,
    scope: &'m Scope,
    value: &'m str,
    id: LineId,
    overlay: String,
}

impl Found<'_, '_> {
    fn map(&mut self, name: &str) {
        let start = |start: &str| name.starts_with(start);
        match name {
            "DEFAULT_IMAGE" | "IMAGE" => self.image(),
            "KERNEL_PARAMETERS" => self.kernel_arguments(),
            "MENU_TIMEOUT" => self.menu_timeout(),
            "IMAGE_TO_RAM" => self.root(),
            "DISABLE_SYSTEM_SERVICES" => self.units("mask", "masked here, where LTSP disables: no other unit can start it either"),
            "MASK_SYSTEM_SERVICES" => self.units("mask", ""),
            "KEEP_SYSTEM_SERVICES" => self.units("unmask", "netbootd masks far fewer units than LTSP disables; what the image enables starts anyway"),
            "AUTOLOGIN" => self.autologin(),
            "HOSTNAME" => self.hostname(),
            "READ_AHEAD_KB" => self.read_ahead(),
            "INCLUDE" => self.include(),
            "DNS_SERVER" => self.dns_server(),
            "SEARCH_DOMAIN" => self.search_domain(),
            "ADD_IMAGE_EXCLUDES" => self.excludes("exclude"),
            "OMIT_IMAGE_EXCLUDES" => self.excludes("keep"),
            _ if start("FSTAB_") => self.fstab(),
            _ if start("HOSTS_") => self.hosts(),
            _ if start("POST_INIT_") => self.command(),
            _ if start("POST_") => self.left("it is for an applet of LTSP, and none of them runs; `commands` run at the end of the boot"),
            _ => self.left("neither LTSP nor netbootd has a parameter of this name"),
        }
    }

    fn left(&mut self, why: impl Into<String>) {
        self.mapping.report.note(self.id, why);
    }

    fn note(&mut self, note: &str) {
        if !note.is_empty() {
            self.mapping.report.note(self.id, note);
        }
    }

    fn text(&mut self, path: &[&str], key: &str, text: impl Into<String>) {
        self.mapping.text(path, key, text, self.id);
    }

    fn item(&mut self, path: &[&str], key: &str, item: impl Into<String>) {
        self.mapping.item(path, key, item, self.id);
    }

    /// The table that has the settings of the section's clients. A group of all is made when it is first needed.
    fn table(&mut self) -> Option<Vec<String>> {
        let of = |parts: [&str; 2]| Some(parts.map(str::to_owned).to_vec());
        match self.scope {
            Scope::Group { name, .. } => of(["groups", name]),
            Scope::Client(known_by) => of(["clients", &known_by.to_string()]),
            Scope::Everyone(name) => {
                self.item(&["groups", name], "members", "*");
                of(["groups", name])
            }
            Scope::Server | Scope::Nothing(_) => {
                self.left("it is said of clients, and does nothing in [server]");
                None
            }
        }
    }

    /// Puts a value into the clients' table.
    fn setting(&mut self, key: &str, value: Value) {
        if let Some(table) = self.table() {
            let path: Vec<&str> = table.iter().map(String::as_str).collect();
            self.mapping.put(&path, key, value, self.id);
        }
    }

    /// Puts a value into `boot` if it is for all, else into the clients' table.
    fn setting_or_boot(&mut self, boot_key: &str, key: &str, text: String) {
        match self.scope {
            Scope::Everyone(_) | Scope::Server => self.text(&["boot"], boot_key, text),
            _ => self.setting(key, Value::Text(text)),
        }
    }

    fn is_global(&self) -> bool {
        matches!(self.scope, Scope::Everyone(_) | Scope::Server)
    }

    fn image(&mut self) {
        let bare = self.value.rsplit('/').next().unwrap_or_default();
        let choice = match bare {
            "disk" | "d" => "local-disk".to_owned(),
            _ => match image_name(bare) {
                Some(name) => {
                    if !self.mapping.images.contains(&name) {
                        self.note(&format!("there is no file of this image; `netbootd image build --name {name} SOURCE` makes one"));
                    }
                    name.to_string()
                }
                None => return self.left("an image's name has other letters; build it under another name, and write that into boot.default"),
            },
        };
        // MENU_TIMEOUT may have come first.
        if self.is_global() && self.mapping.doc.text(&["boot"], "default") == Some("menu") {
            return self.text(&["boot"], "menu_default", choice);
        }
        if self.is_global() {
            self.note("LTSP shows a menu for 5 s before; boot.default = \"menu\" with boot.menu_default does");
        } else {
            self.note("it is booted without a menu");
        }
        self.setting_or_boot("default", "image", choice);
    }

    fn menu_timeout(&mut self) {
        let Ok(milliseconds) = self.value.trim().parse::<i64>() else {
            return self.left("it is no number");
        };
        if !self.is_global() {
            return self.left("boot.menu_timeout is for all clients; one with an `image` of its own shows no menu");
        }
        if milliseconds < 0 {
            return self
                .mapping
                .report
                .needless(self.id, "no menu is shown unless boot.default is \"menu\"");
        }
        let seconds = u32::try_from(milliseconds.saturating_add(999) / 1000).unwrap_or(u32::MAX);
        let default = self
            .mapping
            .doc
            .text(&["boot"], "default")
            .map(str::to_owned);
        self.mapping
            .put(&["boot"], "menu_timeout", Value::Number(seconds), self.id);
        match default.as_deref() {
            Some("menu") => return,
            Some(_) => {
                let Mapping { doc, report, .. } = &mut *self.mapping;
                doc.rename(report, &["boot"], "default", "menu_default");
            }
            None if self.mapping.images.len() == 1 => {
                let only = self.mapping.images[0].to_string();
                self.text(&["boot"], "menu_default", only);
            }
            None => self.note(
                "without DEFAULT_IMAGE, what a menu chooses by itself is the machine's own disk",
            ),
        }
        self.text(&["boot"], "default", "menu");
    }

    fn kernel_arguments(&mut self) {
        if !self.is_global() {
            self.note("they are added to boot.kernel_arguments; in LTSP they take their place");
        }
        let words = self.value.split_whitespace().collect::<Vec<_>>().join(" ");
        self.setting_or_boot("kernel_arguments", "kernel_arguments", words);
    }

    fn root(&mut self) {
        let root = match self.value.trim() {
            "0" => "image",
            "1" => "ram",
            _ => return self.left("it is neither 0 nor 1"),
        };
        self.setting_or_boot("root", "root", root.to_owned());
    }

    fn units(&mut self, key: &str, note: &str) {
        const KINDS: [&str; 8] = [
            ".service",
            ".timer",
            ".socket",
            ".mount",
            ".automount",
            ".path",
            ".target",
            ".swap",
        ];
        self.note(note);
        for unit in self.value.split_whitespace() {
            let whole = KINDS.iter().any(|kind| unit.ends_with(kind));
            let unit = if whole {
                unit.to_owned()
            } else {
                format!("{unit}.service")
            };
            self.setting(key, Value::Item(unit));
        }
    }

    fn autologin(&mut self) {
        if self.value.contains('/') {
            return self.left("it makes the account's name from the host's; write `autologin` into each client's table");
        }
        let overlay = &self.overlay;
        let note = format!(
            "at consoles; a display manager's own autologin is said in its own file below {overlay}/etc"
        );
        self.note(&note);
        self.setting("autologin", Value::Text(self.value.trim().to_owned()));
    }

    fn hostname(&mut self) {
        if self.value.contains("%{") {
            let pattern = self.value.trim().replace("%{MAC}", "{mac}");
            return match pattern.parse::<NamePattern>() {
                Ok(pattern) if self.is_global() => {
                    let value = Value::Text(pattern.to_string());
                    self.mapping.put(&["boot"], "hostnames", value, self.id);
                }
                Ok(_) => self
                    .left("boot.hostnames is for all clients that have no hostname of their own"),
                Err(_) => self
                    .left("boot.hostnames makes names from the MAC address, as in \"pc-{mac6}\""),
            };
        }
        match self.scope {
            Scope::Client(_) => self.setting("hostname", Value::Text(self.value.trim().to_owned())),
            _ => self
                .left("only a machine's own table has a hostname; write [clients.\"MAC\"] for it"),
        }
    }

    fn read_ahead(&mut self) {
        match self.value.trim().parse::<u32>() {
            Ok(kib @ 4..=65536) if self.is_global() => {
                let value = Value::Number(kib);
                self.mapping.put(&["boot"], "read_ahead", value, self.id);
            }
            Ok(_) => self.left("boot.read_ahead is for all clients, 4 to 65536 KiB"),
            Err(_) => self.left("it is no number"),
        }
    }

    fn include(&mut self) {
        let known = self
            .mapping
            .groups
            .iter()
            .find(|(part, _)| part == self.value);
        let Some(group) = known.map(|(_, name)| name.clone()) else {
            return self.left("there is no section of this name that became a group");
        };
        match self.scope {
            // A client's table has no `include`: it is a member instead.
            Scope::Client(known_by) => {
                self.item(&["groups", &group], "members", known_by.to_string());
            }
            _ => self.setting("include", Value::Item(group)),
        }
    }

    fn dns_server(&mut self) {
        let served = self.mapping.doc.names("interfaces");
        if !self.is_global() {
            return self.left("DNS servers are those of a network card: interfaces.CARD.dns");
        }
        if served.is_empty() {
            return self.left(
                "the network card of the clients is not known; write it into interfaces.CARD.dns",
            );
        }
        for card in served {
            // The drop-in's own list, of which this one takes the place in LTSP.
            self.mapping.doc.clear(
                &mut self.mapping.report,
                &["interfaces", &card],
                "dns",
                self.id,
            );
            for server in self.value.split_whitespace() {
                self.item(&["interfaces", &card], "dns", server);
            }
        }
    }

    fn search_domain(&mut self) {
        match (self.is_global(), self.value.split_whitespace().next()) {
            (true, Some(domain)) => self.text(&["dns"], "domain", domain),
            _ => self.left("all clients have the same domain, dns.domain"),
        }
    }

    fn excludes(&mut self, key: &str) {
        if self.value.starts_with('/') && !self.value.contains('\n') {
            let why = format!("it names a file; write its lines into scrub.{key}");
            return self.left(why);
        }
        for line in self.value.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            // mksquashfs(1): an exclude that holds at any depth.
            match line.strip_prefix("... ") {
                Some(name) => self.item(&["scrub"], key, format!("**/{}", name.trim())),
                None if line.is_empty() => {}
                None => self.item(&["scrub"], key, line),
            }
        }
    }

    fn fstab(&mut self) {
        let server = self.mapping.server.map(|address| address.to_string());
        for line in self.value.lines().filter(|line| !line.trim().is_empty()) {
            let mut line = line.trim().to_owned();
            if let Some(address) = &server {
                for alias in ["server:", "$SERVER:", "${SERVER}:"] {
                    if let Some(rest) = line.strip_prefix(alias) {
                        line = format!("{address}:{rest}");
                    }
                }
            }
            let fields: Vec<&str> = line.split_whitespace().collect();
            let nfs = fields.get(2).is_some_and(|kind| kind.starts_with("nfs"));
            let here = fields.first().is_some_and(|what| {
                what.starts_with("server:")
                    || server
                        .as_ref()
                        .is_some_and(|address| what.starts_with(&format!("{address}:")))
            });
            if nfs && here {
                self.note("netbootd has port 2049 of this server and exports folders read-only as SERVER:/exports/NAME; what must be writable belongs on another NFS server");
            }
            if line.starts_with("server:") {
                self.note("clients do not know the name `server`: write this server's address");
            }
            self.setting("fstab", Value::Item(line));
        }
    }

    fn hosts(&mut self) {
        if !self.is_global() {
            return self.left("names in dns.hosts are for all clients; a line for some is added by `commands = [\"echo '…' >> /etc/hosts\"]`");
        }
        for line in self.value.lines() {
            let mut words = line
                .split('#')
                .next()
                .unwrap_or_default()
                .split_whitespace();
            let Some(address) = words.next() else {
                continue;
            };
            let mut names = words.peekable();
            if names.peek().is_none() {
                self.note("a line has an address and no name");
            }
            for name in names {
                self.text(&["dns", "hosts"], &name.to_ascii_lowercase(), address);
            }
        }
    }

    fn command(&mut self) {
        const OURS_NOT: [&str; 6] = [
            "section_",
            "debug_shell",
            "re ",
            "rw ",
            "warn ",
            "is_command ",
        ];
        let command = self.value.trim();
        if OURS_NOT.iter().any(|start| command.starts_with(start)) {
            return self.left("it calls a function of LTSP's own scripts, and none of them runs; write what it does into `commands`");
        }
        if command.contains('\n') {
            let why = format!(
                "it has more than one line; write it into a file such as {}/usr/local/sbin/at-boot, and that path into `commands`",
                self.overlay
            );
            return self.left(why);
        }
        self.note("it runs at the end of the boot; in LTSP, before the image's own init");
        self.setting("commands", Value::Item(command.to_owned()));
    }
}
