//! From the stacked layers to [`Config`], collecting everything that is wrong on the way.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use model::RootMode;

use crate::conflicts::{Claims, Pool};
use crate::diagnostic::{Code, Fault};
use crate::groups;
use crate::login::{self, Names};
use crate::meaning::{
    Boot, Config, DhcpOption, Dns, ExportedFolder, Http, ImageSettings, Interface, Loaders, Log,
    LogFormat, Mode, Nfs, Power, Scrub, Subnet, Tftp, User,
};
use crate::path::KeyPath;
use crate::reader::{Reader, Spot, bare};
use crate::text;

/// The meaning of all keys. What is wrong is left in the reader, and a harmless value in its place.
pub(crate) fn lower(reader: &mut Reader<'_>) -> Config {
    let top = KeyPath::default();
    let mut claims = Claims::default();
    let users = users(reader, &mut claims);
    let login = login::login(reader);
    let names = Names::new(&users, &login);
    let config = Config {
        state_dir: path_or(reader, &top.child("state_dir"), "/var/lib/netbootd"),
        control_socket: path_or(
            reader,
            &top.child("control_socket"),
            "/run/netbootd/control.sock",
        ),
        overlay_dir: path_or(reader, &top.child("overlay_dir"), "/etc/netbootd/overlay"),
        log: log(reader, &top.child("log")),
        interfaces: interfaces(reader, &mut claims),
        subnets: subnets(reader, &mut claims),
        dns: dns(reader, &mut claims),
        boot: boot(reader),
        power: power(reader),
        loaders: loaders(reader),
        images: images(reader),
        scrub: scrub(reader),
        clients: groups::clients(reader, &mut claims, &names),
        groups: groups::groups(reader, &names),
        users,
        login,
        http: Http {
            port: reader.port(&KeyPath::new(["http", "port"])),
        },
        tftp: Tftp {
            enabled: reader
                .flag(&KeyPath::new(["tftp", "enabled"]))
                .unwrap_or(true),
            port: reader.port(&KeyPath::new(["tftp", "port"])).unwrap_or(69),
        },
        nfs: Nfs {
            port: reader.port(&KeyPath::new(["nfs", "port"])).unwrap_or(2049),
            portmap: reader
                .flag(&KeyPath::new(["nfs", "portmap"]))
                .unwrap_or(true),
            networks: networks(reader, &KeyPath::new(["nfs"])),
        },
        exports: exports(reader),
    };
    claims.report(reader, &config);
    config
}

fn path_or(reader: &mut Reader<'_>, at: &KeyPath, otherwise: &str) -> PathBuf {
    reader
        .one(at, text::path)
        .unwrap_or_else(|| otherwise.into())
}

fn log(reader: &mut Reader<'_>, at: &KeyPath) -> Log {
    Log {
        level: reader
            .word(&at.child("level"), |word| Some(word.to_owned()))
            .unwrap_or_default(),
        format: reader
            .word(&at.child("format"), |word| match word {
                "text" => Some(LogFormat::Text),
                "json" => Some(LogFormat::Json),
                _ => None,
            })
            .unwrap_or_default(),
    }
}

fn interfaces(reader: &mut Reader<'_>, claims: &mut Claims) -> Vec<Interface> {
    let names = reader.names(&KeyPath::new(["interfaces"]), text::interface);
    names
        .into_iter()
        .map(|(at, name)| interface(reader, claims, &at, name))
        .collect()
}

fn interface(
    reader: &mut Reader<'_>,
    claims: &mut Claims,
    at: &KeyPath,
    name: String,
) -> Interface {
    let mode = reader
        .word(&at.child("mode"), |word| match word {
            "auto" => Some(Mode::Auto),
            "full" => Some(Mode::Full),
            "proxy" => Some(Mode::Proxy),
            "off" => Some(Mode::Off),
            _ => None,
        })
        .unwrap_or_default();
    let address = reader.one(&at.child("address"), text::address);
    if let Some(address) = address {
        claims.server(Spot::value(&at.child("address")), address);
    }
    if mode == Mode::Proxy || mode == Mode::Off {
        for name in [
            "authoritative",
            "pool",
            "router",
            "dns",
            "lease_time",
            "options",
        ] {
            let path = at.child(name);
            if reader.is_set(&path) {
                let fault = Fault::new(
                    Code::NoEffect,
                    format!("`{name}` has no effect here"),
                    match mode {
                        Mode::Proxy => {
                            "as a proxy, netbootd leaves addresses to the network's own DHCP server"
                        }
                        _ => "nothing is served on an interface that is off",
                    },
                );
                reader.report(
                    &Spot::key(&path),
                    fault
                        .warning()
                        .help("leave it out, or write mode = \"full\""),
                );
            }
        }
    }
    Interface {
        pool: pools(reader, claims, at, None, address),
        router: router(reader, claims, at, None),
        nat: nat(reader, at, &name, mode),
        dns: bare(reader.many(&at.child("dns"), text::address)),
        lease_time: lease_time(reader, at),
        router_advertisements: reader
            .flag(&at.child("router_advertisements"))
            .unwrap_or(true),
        authoritative: reader.flag(&at.child("authoritative")).unwrap_or(false),
        options: options(reader, at),
        name,
        mode,
        address,
    }
}

fn subnets(reader: &mut Reader<'_>, claims: &mut Claims) -> Vec<Subnet> {
    let names = reader.names(&KeyPath::new(["subnets"]), text::network);
    names
        .into_iter()
        .map(|(at, (network, prefix_len))| {
            claims.network(Spot::key(&at), network, prefix_len);
            Subnet {
                network,
                prefix_len,
                pool: pools(reader, claims, &at, Some((network, prefix_len)), None),
                router: router(reader, claims, &at, Some((network, prefix_len))),
                dns: bare(reader.many(&at.child("dns"), text::address)),
                lease_time: lease_time(reader, &at),
                options: options(reader, &at),
            }
        })
        .collect()
}

fn pools(
    reader: &mut Reader<'_>,
    claims: &mut Claims,
    at: &KeyPath,
    network: Option<(Ipv4Addr, u8)>,
    server: Option<Ipv4Addr>,
) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let found = reader.many(&at.child("pool"), text::pool);
    for (spot, (first, last)) in &found {
        claims.pool(Pool {
            spot: spot.clone(),
            first: *first,
            last: *last,
            network,
            server,
        });
    }
    bare(found)
}

fn router(
    reader: &mut Reader<'_>,
    claims: &mut Claims,
    at: &KeyPath,
    network: Option<(Ipv4Addr, u8)>,
) -> Option<Ipv4Addr> {
    let path = at.child("router");
    let router = reader.one(&path, text::address)?;
    claims.router(Spot::value(&path), router, network);
    Some(router)
}

fn nat(reader: &mut Reader<'_>, at: &KeyPath, name: &str, mode: Mode) -> Option<String> {
    let path = at.child("nat");
    let uplink = reader.one(&path, |uplink| text::uplink(uplink, name))?;
    if mode == Mode::Off {
        let why = "nothing is served on an interface that is off";
        let fault = Fault::new(Code::NoEffect, "`nat` has no effect here", why);
        let fault = fault
            .warning()
            .help("leave it out, or leave out mode = \"off\"");
        reader.report(&Spot::key(&path), fault);
    }
    Some(uplink)
}

fn lease_time(reader: &mut Reader<'_>, at: &KeyPath) -> Duration {
    let twelve_hours = Duration::from_secs(12 * 3600);
    reader
        .one(&at.child("lease_time"), text::lease_time)
        .unwrap_or(twelve_hours)
}

/// The options in a table below `at`.
pub(crate) fn options(reader: &mut Reader<'_>, at: &KeyPath) -> Vec<DhcpOption> {
    let mut options: Vec<DhcpOption> = Vec::new();
    for (path, code) in reader.names(&at.child("options"), text::option_code) {
        let Some(option) = reader.one(&path, |value| text::option(code, value)) else {
            continue;
        };
        if options.iter().any(|other| other.code == code) {
            let fault = Fault::new(
                Code::BadOption,
                format!("option {code} is said twice"),
                "an option has one value",
            );
            reader.report(&Spot::key(&path), fault.help("leave one of them out"));
        }
        options.push(option);
    }
    options
}

fn dns(reader: &mut Reader<'_>, claims: &mut Claims) -> Dns {
    let at = KeyPath::new(["dns"]);
    let domain_path = at.child("domain");
    let domain = reader
        .one(&domain_path, text::domain)
        .unwrap_or_else(|| "lab.internal".into());
    if domain == "local" || domain.ends_with(".local") {
        let fault = Fault::new(
            Code::UnsuitableDomain,
            format!("clients look up names in `{domain}` by multicast, not here"),
            "`.local` belongs to mDNS (RFC 6762), so most systems never ask a DNS server for it",
        );
        reader.report(
            &Spot::value(&domain_path),
            fault.warning().help("write \"lab.internal\" instead"),
        );
    }
    let upstreams = reader.many(&at.child("upstreams"), text::ip_address);
    for (spot, address) in &upstreams {
        claims.upstream(spot.clone(), *address);
    }
    let hosts_path = at.child("hosts");
    let mut hosts = BTreeMap::new();
    for (path, name) in reader.names(&hosts_path, text::dns_name) {
        let Some(address) = reader.one(&path, text::address) else {
            continue;
        };
        claims.host(Spot::key(&path), name.clone(), address);
        hosts.insert(name, address);
    }
    let mut services = BTreeMap::new();
    for (path, name) in reader.names(&at.child("services"), text::service) {
        if let Some(place) = reader.one(&path, text::place) {
            services.insert(name, place);
        }
    }
    Dns {
        enabled: reader.flag(&at.child("enabled")),
        domain,
        upstreams: bare(upstreams),
        tell_resolved: reader.flag(&at.child("tell_resolved")).unwrap_or(false),
        hosts,
        services,
    }
}

fn root_mode(reader: &mut Reader<'_>, at: &KeyPath) -> Option<RootMode> {
    reader.word(&at.child("root"), RootMode::from_name)
}

fn kernel_arguments(reader: &mut Reader<'_>, at: &KeyPath) -> Option<String> {
    reader.one(&at.child("kernel_arguments"), text::kernel_arguments)
}

fn boot(reader: &mut Reader<'_>) -> Boot {
    let at = KeyPath::new(["boot"]);
    Boot {
        default: reader.one(&at.child("default"), text::boot_choice),
        root: root_mode(reader, &at).unwrap_or_default(),
        changes: reader
            .one(&at.child("overlay"), text::changes)
            .unwrap_or_default(),
        kernel_arguments: kernel_arguments(reader, &at).unwrap_or_default(),
        hostnames: reader
            .one(&at.child("hostnames"), text::name_pattern)
            .unwrap_or_default(),
        read_ahead: reader
            .number(
                &at.child("read_ahead"),
                &[4..=65536],
                "less than a page is none, and more than 64 MiB crowds out what is needed",
            )
            .unwrap_or(128),
        menu_default: reader.one(&at.child("menu_default"), text::boot_choice),
        menu_timeout: reader
            .number(
                &at.child("menu_timeout"),
                &[0..=3600],
                "nobody waits longer than an hour; 0 waits for ever",
            )
            .unwrap_or(10),
    }
}

fn power(reader: &mut Reader<'_>) -> Power {
    let at = KeyPath::new(["power"]);
    Power {
        reboot: bare(reader.many(&at.child("reboot"), text::word)),
        redfish_user: reader.one(&at.child("redfish_user"), text::word),
        redfish_password_file: reader.one(&at.child("redfish_password_file"), text::path),
        redfish_ca: reader.one(&at.child("redfish_ca"), text::path),
    }
}

fn loaders(reader: &mut Reader<'_>) -> Loaders {
    let at = KeyPath::new(["loaders"]);
    Loaders {
        folders: bare(reader.many(&at.child("folders"), text::path)),
        bios: reader.one(&at.child("bios"), text::file_name),
        uefi_x86: reader.one(&at.child("uefi_x86"), text::file_name),
        uefi_x64: reader.one(&at.child("uefi_x64"), text::file_name),
        uefi_arm64: reader.one(&at.child("uefi_arm64"), text::file_name),
    }
}

fn images(reader: &mut Reader<'_>) -> BTreeMap<model::ImageName, ImageSettings> {
    let names = reader.names(&KeyPath::new(["images"]), text::image);
    names
        .into_iter()
        .map(|(at, name)| {
            let root = root_mode(reader, &at);
            (
                name,
                ImageSettings {
                    root,
                    kernel_arguments: kernel_arguments(reader, &at),
                    networks: networks(reader, &at),
                    keep: reader.number(
                        &at.child("keep"),
                        &[1..=1000],
                        "the current generation always stays",
                    ),
                    verity: reader.flag(&at.child("verity")),
                },
            )
        })
        .collect()
}

fn scrub(reader: &mut Reader<'_>) -> Scrub {
    let at = KeyPath::new(["scrub"]);
    Scrub {
        exclude: bare(reader.many(&at.child("exclude"), text::pattern)),
        keep: bare(reader.many(&at.child("keep"), text::pattern)),
        allow_secrets: bare(reader.many(&at.child("allow_secrets"), text::pattern)),
    }
}

fn users(reader: &mut Reader<'_>, claims: &mut Claims) -> BTreeMap<String, User> {
    let mut users = BTreeMap::new();
    for (at, name) in reader.names(&KeyPath::new(["users"]), text::user) {
        let uid_path = at.child("uid");
        let uid = reader.number(
            &uid_path,
            &[1000..=60000, 65536..=2_147_483_647],
            "smaller numbers are the system's own accounts, and those between are nobody's and systemd's",
        );
        if let Some(uid) = uid {
            claims.uid(Spot::value(&uid_path), uid, name.clone());
        }
        let user = User {
            ssh_keys: bare(reader.many(&at.child("ssh_keys"), text::ssh_key)),
            uid,
            groups: bare(reader.many(&at.child("groups"), text::group)),
            shell: reader.one(&at.child("shell"), text::shell),
            passwordless: reader.flag(&at.child("passwordless")).unwrap_or(false),
        };
        users.insert(name, user);
    }
    users
}

fn exports(reader: &mut Reader<'_>) -> BTreeMap<String, ExportedFolder> {
    let names = reader.names(&KeyPath::new(["exports"]), text::export);
    let mut exports = BTreeMap::new();
    for (at, name) in names {
        let (path, networks) = (at.child("folder"), networks(reader, &at));
        if !reader.is_set(&path) {
            let fault = Fault::new(
                Code::MissingKey,
                format!("[{at}] has no `folder`"),
                "it says which folder of this server is exported",
            );
            let help = "write `folder = \"/srv/data\"`, for example, below it";
            reader.report(&Spot::key(&at), fault.help(help));
        }
        if let Some(folder) = reader.one(&path, text::path) {
            exports.insert(name, ExportedFolder { folder, networks });
        }
    }
    exports
}

fn networks(reader: &mut Reader<'_>, at: &KeyPath) -> Vec<(Ipv4Addr, u8)> {
    bare(reader.many(&at.child("networks"), text::network))
}
