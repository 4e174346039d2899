//! The files that are shipped.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::loaded;
use crate::{Config, LoadOptions, Mode, code_table, default_file, key_tables, load};

fn shipped(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../config")
        .join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(shipped(name)).expect("the file is in the repository")
}

#[test]
fn the_default_file_means_exactly_the_defaults() {
    let options = LoadOptions {
        file: Some(shipped("netbootd.toml")),
        ..LoadOptions::default()
    };
    let loaded = load(options).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.warnings, []);
}

#[test]
fn the_default_file_is_written_from_the_keys() {
    assert_eq!(
        read("netbootd.toml"),
        default_file(),
        "cargo run -p config --example reference"
    );
}

#[test]
fn the_readme_has_every_key_and_every_code() {
    let readme = read("README.md");
    assert!(
        readme.contains(&key_tables()),
        "cargo run -p config --example reference keys"
    );
    assert!(
        readme.contains(&code_table()),
        "cargo run -p config --example reference codes"
    );
}

#[test]
fn every_key_of_the_default_file_may_be_set() {
    let set: Vec<String> = default_file()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') => key.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    let loaded = loaded(&set.join("\n"));
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.interfaces.len(), 1);
    assert_eq!(loaded.config.users["alice"].uid, Some(2000));
}

#[test]
fn every_example_loads_without_a_warning() {
    let folder = std::fs::read_dir(shipped("examples")).expect("the folder is in the repository");
    let mut files: Vec<PathBuf> = folder
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.push(shipped("lab.toml"));
    assert!(files.len() > 4, "{files:?}");
    for file in files {
        let options = LoadOptions {
            file: Some(file.clone()),
            ..LoadOptions::default()
        };
        let loaded = load(options).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        assert_eq!(loaded.warnings, [], "{}", file.display());
        assert!(!loaded.config.interfaces.is_empty(), "{}", file.display());
    }
}

#[test]
fn the_lab_file_is_five_lines() {
    let text = read("lab.toml");
    assert!(text.lines().count() <= 5, "{text}");
    let interface = &loaded(&text).config.interfaces[0];
    assert_eq!((interface.mode, interface.address), (Mode::Auto, None));
}

#[test]
fn one_line_is_a_whole_configuration() {
    let config = loaded("[interfaces.enp1s0]").config;
    let interface = &config.interfaces[0];
    assert_eq!(interface.name, "enp1s0");
    assert_eq!(interface.mode, Mode::Auto);
    assert_eq!(interface.lease_time.as_secs(), 43200);
    assert_eq!(
        Config {
            interfaces: Vec::new(),
            ..config
        },
        Config::default()
    );
}

#[test]
fn interfaces_keep_the_order_of_the_file() {
    let text = "[interfaces.z]\n[interfaces.a]\naddress = \"10.0.0.1\"\n";
    let config = loaded(text).config;
    let names: Vec<&str> = config
        .interfaces
        .iter()
        .map(|interface| interface.name.as_str())
        .collect();
    assert_eq!(names, ["z", "a"]);
    assert_eq!(
        config.interfaces[1].address,
        Some(Ipv4Addr::new(10, 0, 0, 1))
    );
}

#[test]
fn a_missing_file_is_said_with_its_name() {
    let options = LoadOptions {
        file: Some("/nonexistent/lab.toml".into()),
        ..LoadOptions::default()
    };
    assert_eq!(
        load(options).unwrap_err().to_string(),
        "error[C001]: the configuration cannot be read: No such file or directory (os error 2)\n  \
         --> /nonexistent/lab.toml\n  \
         why: without it, netbootd does not know which network card to serve\n\n\
         1 error in the configuration"
    );
}
