//! Which layer wins, and how a value says where it came from.

use super::loaded;
use crate::layers::stack;
use crate::lower::lower;
use crate::reader::Reader;
use crate::source::Source;
use crate::{Code, KEYS, LoadOptions, Mode, Severity, default_file, load_text};

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

fn layered(
    text: &str,
    env: &[(&str, &str)],
    overrides: &[(&str, &str)],
) -> Result<crate::Loaded, String> {
    let options = LoadOptions {
        file: None,
        env: pairs(env),
        overrides: pairs(overrides),
    };
    load_text("lab.toml", text, &options).map_err(|diagnostics| diagnostics.to_string())
}

#[test]
fn the_later_layer_wins() {
    let level = |text, env, overrides| layered(text, env, overrides).unwrap().config.log.level;
    assert_eq!(level("", &[], &[]), "info");
    let file = "log.level = \"warn\"";
    assert_eq!(level(file, &[], &[]), "warn");
    let env = [("NETBOOTD_LOG__LEVEL", "error"), ("HOME", "/root")];
    assert_eq!(level(file, &env, &[]), "error");
    assert_eq!(level(file, &env, &[("log.level", "trace")]), "trace");
}

#[test]
fn settings_outside_of_the_file_have_the_type_of_their_key() {
    let config = layered(
        "",
        &[
            ("NETBOOTD_HTTP__PORT", "8080"),
            ("NETBOOTD_DNS__ENABLED", "false"),
        ],
        &[
            ("interfaces.enp1s0.mode", "full"),
            (
                "interfaces.enp1s0.pool",
                "10.0.0.2-10.0.0.9, 10.0.0.20-10.0.0.29",
            ),
            ("clients.52:54:00:12:34:56.hostname", "12"),
            ("clients.\"52:54:00:12:34:57\".image", "\"demo\""),
            ("users.alice.groups", "[\"sudo\"]"),
        ],
    )
    .unwrap()
    .config;
    assert_eq!(config.http.port, Some(8080));
    assert_eq!(config.dns.enabled, Some(false));
    assert_eq!(config.interfaces[0].mode, Mode::Full);
    assert_eq!(config.interfaces[0].pool.len(), 2);
    assert_eq!(config.interfaces[0].lease_time.as_secs(), 43200);
    let hostnames: Vec<_> = config
        .clients
        .values()
        .map(|client| client.hostname.as_deref())
        .collect();
    assert_eq!(hostnames, [Some("12"), None]);
    assert_eq!(config.users["alice"].groups, ["sudo"]);
}

#[test]
fn a_mistake_outside_of_the_file_names_its_source() {
    let answer = layered(
        "[log]\nlevel = \"warn\"",
        &[
            ("NETBOOTD_LOG__LEVEL", "loud"),
            ("NETBOOTD_LOGS__LEVEL", "info"),
        ],
        &[("nfs.port", "many"), ("..", "x")],
    );
    assert_eq!(
        answer.unwrap_err(),
        "\
error[C003]: `..` is not the name of a key
  --> command line ..=x
  why: a setting outside of the file is named by its path, like log.level

error[C003]: there is no key `logs` at the top of the configuration
  --> environment variable NETBOOTD_LOGS__LEVEL
  why: a key that is not understood is probably a slip, and what it should do would not happen
  help: did you mean `log`?

error[C004]: `port` is a string, and an integer is needed
  --> command line nfs.port=many
  why: TCP port of NFS, MOUNT and portmap
  help: write `port = 2049`, for example, instead

error[C005]: `level` cannot be `loud`
  --> environment variable NETBOOTD_LOG__LEVEL
  why: it is one of error, warn, info, debug, trace
  help: write \"error\" or \"warn\" or \"info\" or \"debug\" or \"trace\" instead

4 errors in the configuration"
    );
}

#[test]
fn every_declared_key_is_read_and_no_other() {
    let text = default_file().replace("\n#", "\n").replace("\n ", "\n# ");
    let (source, values) = Source::parse("netbootd.toml", &text).unwrap();
    let (figment, tree) = stack(values, &[], &[], &mut Vec::new());
    let mut reader = Reader::new(&figment, &tree, &source);
    lower(&mut reader);
    for key in KEYS {
        assert!(
            reader.asked.iter().any(|path| path.matches(key.path)),
            "{} is never read",
            key.path
        );
    }
    for path in &reader.asked {
        assert!(crate::Key::at(path).is_some(), "{path} is not declared");
    }
}

#[test]
fn a_key_is_found_in_the_file_or_else_its_table() {
    let loaded = loaded(
        "\n[interfaces.enp1s0]\nmode = \"full\"\n[clients]\n\"52:54:00:12:34:56\" = { image = \"demo\" }\n",
    );
    assert_eq!(
        loaded.locate("interfaces.enp1s0.mode"),
        Some(("lab.toml", 3, 8))
    );
    assert_eq!(
        loaded.locate("interfaces.enp1s0.address"),
        Some(("lab.toml", 2, 13))
    );
    assert_eq!(
        loaded.locate("clients.52:54:00:12:34:56.image"),
        Some(("lab.toml", 5, 33))
    );
    assert_eq!(loaded.locate("interfaces.enp2s0"), None);
    assert_eq!(loaded.locate("log.level"), None);
}

#[test]
fn the_daemons_own_diagnostics_point_at_the_line() {
    let loaded = loaded("[interfaces.enp1s0]\nmode = \"full\"\n");
    let diagnostic = loaded.diagnostic(
        Severity::Error,
        Code::InterfaceMissing,
        "interfaces.enp1s0.address",
        "there is no network card `enp1s0`",
        "netbootd serves the clients that are connected to it",
        Some("write `[interfaces.enp2s0]` instead".to_owned()),
    );
    assert_eq!(
        diagnostic.to_string(),
        "\
error[C101]: there is no network card `enp1s0`
  --> lab.toml:1:13
   |
 1 | [interfaces.enp1s0]
   |             ^^^^^^
  why: netbootd serves the clients that are connected to it
  help: write `[interfaces.enp2s0]` instead"
    );
}

#[test]
fn settings_say_where_they_came_from() {
    let loaded = layered(
        "[interfaces.enp1s0]\npool = [\"10.0.0.2-10.0.0.9\"]\n",
        &[("NETBOOTD_HTTP__PORT", "8080")],
        &[("log.level", "debug")],
    )
    .unwrap();
    let settings = loaded.settings();
    let line = |path: &str| {
        let setting = settings
            .iter()
            .find(|setting| setting.path.to_string() == path)
            .unwrap();
        format!("{} from {}", setting.value, setting.origin)
    };
    assert_eq!(
        line("interfaces.enp1s0.pool"),
        "[\"10.0.0.2-10.0.0.9\"] from lab.toml:2"
    );
    assert_eq!(line("interfaces.enp1s0.mode"), "\"auto\" from default");
    assert_eq!(
        line("http.port"),
        "8080 from environment variable NETBOOTD_HTTP__PORT"
    );
    assert_eq!(
        line("log.level"),
        "\"debug\" from command line log.level=debug"
    );
}
