//! Folders that the server exports: exports(5), and what becomes of each.

use std::net::Ipv4Addr;

use super::mapping::Mapping;
use super::report::LineId;

/// One folder and those who may mount it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Export {
    line: usize,
    path: String,
    /// Each with its options, which may be empty.
    clients: Vec<(String, String)>,
}

/// Maps one file.
pub fn map(mapping: &mut Mapping<'_>, file: usize, text: &str) {
    for export in parse(text) {
        let id = mapping.report.found(file, export.line, &export.path);
        one(mapping, &export, id);
    }
}

fn parse(text: &str) -> Vec<Export> {
    let mut exports = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let mut whole = line.to_owned();
        while let Some(open) = whole.strip_suffix('\\') {
            let next = lines.next().map_or("", |(_, line)| line);
            whole = format!("{open} {next}");
        }
        let whole = whole.split('#').next().unwrap_or_default();
        let (path, rest) = first_word(whole.trim());
        if path.is_empty() {
            continue;
        }
        let mut defaults = String::new();
        let mut clients = Vec::new();
        for word in rest.split_whitespace() {
            if let Some(options) = word.strip_prefix('-') {
                defaults = options.to_owned();
                continue;
            }
            let (client, options) = word.split_once('(').unwrap_or((word, defaults.as_str()));
            let client = if client.is_empty() { "*" } else { client };
            clients.push((client.to_owned(), options.trim_end_matches(')').to_owned()));
        }
        exports.push(Export {
            line: at + 1,
            path,
            clients,
        });
    }
    exports
}

/// A path, perhaps in quotes, with blanks as `\040`; and what follows it.
fn first_word(line: &str) -> (String, &str) {
    let (word, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
        None => line.split_once(char::is_whitespace).unwrap_or((line, "")),
    };
    (word.replace("\\040", " "), rest)
}

fn one(mapping: &mut Mapping<'_>, export: &Export, id: LineId) {
    let path = match export.path.trim_end_matches('/') {
        "" => return mapping.report.note(id, "the whole server is not exported: the image is its root, made by `netbootd image build /`"),
        path => path,
    };
    let below = |folder: &str| path == folder || path.starts_with(&format!("{folder}/"));
    if below("/srv/ltsp") {
        return mapping.report.needless(
            id,
            "images are built by `netbootd image build` and exported by netbootd itself",
        );
    }
    if below("/srv/tftp") || below("/var/lib/tftpboot") {
        return mapping
            .report
            .needless(id, "clients fetch kernels and initrds over HTTP");
    }
    if export
        .clients
        .iter()
        .any(|(_, options)| options.contains("sec=") && !options.contains("sec=sys"))
    {
        return mapping.report.note(id, "it asks for Kerberos, which netbootd does not speak; without it, more could read the folder");
    }
    let mut networks = Vec::new();
    let mut unknown = Vec::new();
    for (client, _) in &export.clients {
        match network(client) {
            Some(network) => networks.push(network),
            None => unknown.push(client.as_str()),
        }
    }
    let all = networks.iter().any(String::is_empty);
    if networks.is_empty() {
        return mapping.report.note(id, "it is for hosts by name; exports.NAME.networks has networks only, and without them the folder would be for all");
    }
    if !all && !unknown.is_empty() {
        mapping.report.note(
            id,
            format!(
                "{} left out: only networks of 8 to 30 bits can be said",
                unknown.join(", ")
            ),
        );
    }
    let base = path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_lowercase()
        .replace(' ', "-");
    let mut name = base.clone();
    let mut number = 2;
    while mapping.doc.text(&["exports", &name], "folder").is_some() {
        name = format!("{base}-{number}");
        number += 1;
    }
    let table = ["exports", name.as_str()];
    mapping.text(&table, "folder", path, id);
    for network in networks.into_iter().filter(|_| !all) {
        mapping.item(&table, "networks", network, id);
    }
    mapping.report.note(
        id,
        format!("clients mount SERVER:/exports/{name}, and see what user netbootd may read"),
    );
    let writable = |options: &str| options.split(',').any(|option| option == "rw");
    if export.clients.iter().any(|(_, options)| writable(options)) {
        mapping.report.note(id, "it was read-write and is read-only now: what must be writable belongs on another NFS server, since netbootd has port 2049");
    }
    if below("/home") || below("/root") {
        mapping.report.note(
            id,
            "netbootd's unit hides /home and /root from it until ProtectHome= says otherwise",
        );
    }
}

/// Who may mount: empty for all, else a network of 8 to 30 bits.
fn network(client: &str) -> Option<String> {
    if client == "*" || client == "0.0.0.0/0" {
        return Some(String::new());
    }
    let (address, mask) = client.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let prefix_len = match mask.parse::<Ipv4Addr>() {
        Ok(mask) => u32::from(mask).leading_ones(),
        Err(_) => mask.parse().ok()?,
    };
    if !(8..=30).contains(&prefix_len) {
        return None;
    }
    let network = Ipv4Addr::from(u32::from(address) & !(u32::MAX >> prefix_len));
    Some(format!("{network}/{prefix_len}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_a_path_and_clients() {
        let text =
            "# c\n/srv/a\t*(ro,async) \\\n  10.0.0.0/8\n\"/srv/b c\" -rw pc1 (ro)\n/x\\040y h\n";
        let found: Vec<String> = parse(text)
            .iter()
            .map(|e| format!("{} {} {:?}", e.line, e.path, e.clients))
            .collect();
        assert_eq!(
            found,
            [
                r#"2 /srv/a [("*", "ro,async"), ("10.0.0.0/8", "")]"#,
                r#"4 /srv/b c [("pc1", "rw"), ("*", "ro")]"#,
                r#"5 /x y [("h", "")]"#
            ]
        );
    }

    #[test]
    fn networks_are_written_in_one_way() {
        assert_eq!(network("*").unwrap(), "");
        assert_eq!(network("10.1.2.3/255.255.0.0").unwrap(), "10.1.0.0/16");
        assert_eq!(network("10.1.2.0/24").unwrap(), "10.1.2.0/24");
        assert_eq!(
            [
                network("pc1"),
                network("10.1.2.3"),
                network("10.0.0.0/99"),
                network("1.2.3.4/32")
            ],
            [None, None, None, None]
        );
    }
}
