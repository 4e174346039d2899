//! `netbootd check`: what would be served where, and what is in the way.
//!
//! Configuration errors fail the check, since the daemon would refuse them too. What the world lacks
//! at this moment (an interface that comes up later, a port that another process holds) is a
//! warning: it may have changed by the time that the daemon starts.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use boot::loader;
use config::{Code, Interface, KeyPath, Loaded, Mode, Network, Severity};
use model::BootChoice;
use net::Protocol;

use crate::images::Images;
use crate::links::{self, Link};
use crate::nat;

/// Prints the findings.
pub fn run(loaded: &Loaded, file: Option<&Path>) -> anyhow::Result<()> {
    for warning in &loaded.warnings {
        eprintln!("{warning}");
    }
    super::need_interfaces(loaded)?;
    match file {
        Some(file) => println!("{}: no errors", file.display()),
        None => println!("no configuration file; built-in defaults"),
    }
    let system = net::interfaces()?;
    let mut links = Vec::new();
    for wanted in loaded
        .config
        .interfaces
        .iter()
        .filter(|wanted| wanted.mode != Mode::Off)
    {
        match links::resolve(wanted, &system) {
            Ok(link) => {
                interface(loaded, wanted, &link);
                links.push(link);
            }
            Err(reason) => {
                let key = KeyPath::new(["interfaces", &wanted.name]).to_string();
                let what = format!("interface {} cannot be served now: {reason}", wanted.name);
                let why = "netbootd starts all the same and waits for it";
                let warning = loaded.diagnostic(
                    Severity::Warning,
                    Code::InterfaceMissing,
                    &key,
                    what,
                    why,
                    None,
                );
                eprintln!("{warning}");
            }
        }
    }
    let networks: Vec<Network<'_>> = links
        .iter()
        .map(|link| Network {
            interface: &link.name,
            address: link.address,
            prefix_len: link.prefix_len,
        })
        .collect();
    let misfits = loaded.check_networks(&networks);
    misfits.iter().for_each(|misfit| eprintln!("{misfit}"));
    for warning in crate::people::check(loaded) {
        eprintln!("{warning}");
    }
    nat(loaded, &system);
    if let Some(obstacle) = crate::resolved::obstacle(&loaded.config) {
        let what = "this server's own programs will not find the clients' names".to_owned();
        let code = Code::ResolvedNotTold;
        let key = "dns.tell_resolved";
        let warning = loaded.diagnostic(Severity::Warning, code, key, what, &obstacle, None);
        eprintln!("{warning}");
    }
    loaders(loaded);
    images(loaded);
    exports(loaded);
    let errors = misfits
        .iter()
        .filter(|misfit| misfit.severity == Severity::Error)
        .count();
    anyhow::ensure!(
        errors == 0,
        "the configuration does not fit this machine's networks"
    );
    Ok(())
}

fn interface(loaded: &Loaded, wanted: &Interface, link: &Link) {
    let config = &loaded.config;
    println!("\n{} ({}/{}):", link.name, link.address, link.prefix_len);
    let pool = if wanted.pool.is_empty() {
        links::default_pool(link)
    } else {
        wanted.pool.clone()
    };
    let pool: Vec<String> = pool
        .iter()
        .map(|(first, last)| format!("{first} to {last}"))
        .collect();
    match wanted.mode {
        Mode::Auto => println!(
            "  DHCP   full server ({}) if nobody else answers at start, else proxy",
            pool.join(", ")
        ),
        Mode::Full => println!("  DHCP   full server, {}", pool.join(", ")),
        Mode::Proxy => println!("  DHCP   proxy beside another DHCP server"),
        Mode::Off => {}
    }
    let any = Ipv4Addr::UNSPECIFIED;
    port(
        "DHCP",
        Protocol::Udp,
        any,
        67,
        "stop it, or set it to leave this interface alone",
    );
    port("PXE", Protocol::Udp, any, 4011, "stop it");
    if config.tftp.enabled {
        port(
            "TFTP",
            Protocol::Udp,
            link.address,
            config.tftp.port,
            "stop it, or set tftp.port",
        );
    }
    match config.http.port {
        Some(number) => port(
            "HTTP",
            Protocol::Tcp,
            link.address,
            number,
            "stop it, or set http.port",
        ),
        None if net::holder(Protocol::Tcp, link.address, 80).is_some() => {
            port(
                "HTTP",
                Protocol::Tcp,
                link.address,
                8067,
                "stop it, or set http.port",
            );
        }
        None => port(
            "HTTP",
            Protocol::Tcp,
            link.address,
            80,
            "stop it, or set http.port",
        ),
    }
    let dns = config.dns.enabled.unwrap_or(wanted.mode != Mode::Proxy);
    if dns {
        port(
            "DNS",
            Protocol::Udp,
            link.address,
            53,
            "stop it, or set dns.enabled = false",
        );
        port(
            "DNS",
            Protocol::Tcp,
            link.address,
            53,
            "stop it, or set dns.enabled = false",
        );
    }
    port(
        "NFS",
        Protocol::Tcp,
        link.address,
        config.nfs.port,
        "stop it, or set nfs.port",
    );
    if config.nfs.portmap {
        let advice = "clients that netbootd boots do not need it; others can mount with port= and mountport=";
        port("portmap", Protocol::Tcp, link.address, 111, advice);
    }
}

/// What stands against the networks that shall reach the world.
fn nat(loaded: &Loaded, system: &BTreeMap<String, net::Interface>) {
    for wanted in loaded
        .config
        .interfaces
        .iter()
        .filter(|wanted| nat::is_wanted(wanted))
    {
        let key = KeyPath::new(["interfaces", &wanted.name, "nat"]).to_string();
        let warn = |code, what: String, why: &str, help| {
            let warning = loaded.diagnostic(Severity::Warning, code, &key, what, why, help);
            eprintln!("{warning}");
        };
        let name = &wanted.name;
        let uplink = wanted.nat.as_deref().unwrap_or_default();
        if let Err(reason) = links::look_up(uplink, system) {
            let what = format!("the clients of {name} reach nobody by {uplink} now: {reason}");
            let why = "netbootd starts all the same and waits for it";
            warn(Code::InterfaceMissing, what, why, None);
        }
        if let Some(obstacle) = nat::obstacle(wanted) {
            let what = format!("the clients of {name} will reach nobody by {uplink}");
            warn(Code::NatImpossible, what, &obstacle, None);
        }
    }
}

/// One line for a port; who holds it, if somebody does.
fn port(service: &str, protocol: Protocol, address: Ipv4Addr, number: u16, advice: &str) {
    match net::holder(protocol, address, number) {
        None => println!("  {service:<6} {address}:{number} {protocol}"),
        Some(holder) => {
            let ours = holder
                .process
                .as_ref()
                .is_some_and(|(_, name)| name == "netbootd");
            if ours {
                println!(
                    "  {service:<6} {address}:{number} {protocol}, held by a running netbootd"
                );
            } else {
                println!(
                    "  {service:<6} {address}:{number} {protocol}: taken by {holder}; {advice}"
                );
            }
        }
    }
}

fn loaders(loaded: &Loaded) {
    let loaders = crate::loaders::Loaders::new(&loaded.config.loaders);
    println!("\nfirst loaders:");
    for kind in loader::ALL {
        match loaders.locate(&kind) {
            Some(path) => println!("  {:<11} {}", kind.key, path.display()),
            None if kind.package.is_empty() => {
                println!(
                    "  {:<11} none ({} in a folder of loaders.folders)",
                    kind.key, kind.file
                );
            }
            None => println!(
                "  {:<11} missing: apt-get install {}, or put {} into a folder of loaders.folders",
                kind.key, kind.package, kind.file
            ),
        }
    }
    println!("with Secure Boot:");
    for kind in loader::ALL.iter().filter(|kind| !kind.signed.is_empty()) {
        let missing = kind.signed.iter().find(|file| loaders.find(file).is_none());
        let package = |file: &str| loader::package(file).unwrap_or_default();
        match missing {
            None => println!("  {:<11} {}", kind.key, kind.signed.join(", then ")),
            Some(file) => println!(
                "  {:<11} none, {file} is missing: package {}",
                kind.key,
                package(file)
            ),
        }
    }
}

fn images(loaded: &Loaded) {
    println!(
        "\nimages in {}:",
        loaded.config.state_dir.join("images").display()
    );
    match Images::open(&loaded.config) {
        Ok((images, notes)) => {
            notes.iter().for_each(|note| eprintln!("warning: {note}"));
            let published = |name: &model::ImageName| images.site.images.contains_key(name);
            for mut missing in loaded.check_images(published) {
                // It may be published any minute, and the daemon will notice.
                missing.severity = Severity::Warning;
                eprintln!("{missing}");
            }
            for generation in images
                .generations
                .iter()
                .filter(|generation| generation.current)
            {
                println!("  {}@{}", generation.name, generation.id.short());
            }
            match (&images.site.default, images.site.only_image()) {
                (Some(BootChoice::LocalDisk), _) => {
                    println!(
                        "  clients boot their own disk unless they have a ticket, or an image of their own"
                    );
                }
                (Some(BootChoice::Menu), _) => println!("  clients show a menu"),
                (Some(BootChoice::Unanswered), _) => {
                    println!("  clients are not answered unless something else is said of them");
                }
                (Some(choice @ BootChoice::Image { name, .. }), _) => {
                    match images.site.images.contains_key(name) {
                        true => println!("  clients boot {choice}"),
                        false => println!(
                            "  clients should boot {name}, which is not published: netbootd image build --name {name} SOURCE"
                        ),
                    }
                }
                (None, Ok(name)) => println!("  clients boot {name}, the only image"),
                (None, Err(reason)) => println!("  {reason}"),
            }
        }
        Err(error) => println!("  cannot be read: {error:#}"),
    }
}

fn exports(loaded: &Loaded) {
    if loaded.config.exports.is_empty() {
        return;
    }
    println!("\nfolders for clients to mount:");
    for (name, export) in &loaded.config.exports {
        // The daemon serves a folder that comes later.
        let state = match std::fs::metadata(&export.folder) {
            Ok(folder) if folder.is_dir() => "",
            Ok(_) => ": not a folder",
            Err(_) => ": not there, or not for this user to see",
        };
        println!("  /exports/{name:<11} {}{state}", export.folder.display());
    }
}
