//! Whole servers: what they become, and what is said of each of their lines.

use std::net::Ipv4Addr;

use config::{Config, LoadOptions, Mode, load_text};
use model::{Group, MacAddr, RootMode};

use super::{Card, Imported, Sources, Text, import};

/// Every parameter of LTSP; one that ends with `_` has names of its users' own after it.
const PARAMETERS: &[&str] = &[
    "ADD_IMAGE_EXCLUDES",
    "OMIT_IMAGE_EXCLUDES",
    "ADMINISTRATIVE_CLIENT",
    "ALL_IMAGES",
    "AUTOLOGIN",
    "RELOGIN",
    "RELOGIN_TIMEOUT",
    "BACKUP",
    "CLEANUP",
    "IONICE",
    "KERNEL_INITRD",
    "MKSQUASHFS_PARAMS",
    "REVERT",
    "BASE_DIR",
    "HOME_DIR",
    "TFTP_DIR",
    "OVERWRITE",
    "BINARIES",
    "BLACKLIST_MODULES",
    "CRONTAB_",
    "CUPS_SERVER",
    "DEBUG_LOG",
    "DEBUG_SHELL",
    "LTSP_DEBUG",
    "DEFAULT_IMAGE",
    "KERNEL_PARAMETERS",
    "MENU_TIMEOUT",
    "DISABLE_SESSION_SERVICES",
    "KEEP_SESSION_SERVICES",
    "MASK_SESSION_SERVICES",
    "DISABLE_SYSTEM_SERVICES",
    "KEEP_SYSTEM_SERVICES",
    "MASK_SYSTEM_SERVICES",
    "DNS",
    "PROXY_DHCP",
    "REAL_DHCP",
    "TFTP",
    "DNS_SERVER",
    "FSTAB_",
    "GDM3_CONF",
    "LIGHTDM_CONF",
    "SDDM_CONF",
    "SLICK_CONF",
    "HOSTNAME",
    "HOSTS_",
    "IGNORE_EPOPTES",
    "IMAGE",
    "IMAGE_TO_RAM",
    "INCLUDE",
    "IPXE_",
    "LOCAL_SWAP",
    "LTSPDM_USERS",
    "LTSP_SKIP_SCRIPTS",
    "OMIT_FUNCTIONS",
    "MKHOMEDIR",
    "SSHFS",
    "MULTISEAT",
    "UDEV_SEAT_",
    "NAT",
    "NFS_HOME",
    "NFS_TFTP",
    "OVERLAY",
    "PAM_AUTH_TYPE",
    "SSH_SERVER",
    "SSH_OPTIONS",
    "PASSWORDS_",
    "PRE_",
    "POST_INIT_",
    "POST_LOGIN_",
    "POST_INITRD_BOTTOM_",
    "PWMERGE_SUR",
    "PWMERGE_SGR",
    "PWMERGE_DUR",
    "PWMERGE_DGR",
    "READ_AHEAD_KB",
    "REMOTEAPPS",
    "RPI_IMAGE",
    "SEARCH_DOMAIN",
    "SERVER",
    "SYMLINK_SNAPS",
    "X_DRIVER",
    "X_HORIZSYNC",
    "X_VERTREFRESH",
    "X_MODELINE",
    "X_MODES",
    "X_PREFERREDMODE",
    "X_VIRTUAL",
];

const LTSP_CONF: &str = include_str!("../../tests/ltsp/ltsp.conf");
pub const DNSMASQ: &str = include_str!("../../tests/ltsp/dnsmasq.conf");
const EXPORTS: &str = include_str!("../../tests/ltsp/exports");

pub fn sources(ltsp_conf: &str, dnsmasq: &str, exports: &str, images: &[&str]) -> Sources {
    let text = |name: &str, text: &str| Text {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let card = |name: &str, address| Card {
        name: name.to_owned(),
        address,
        prefix_len: 24,
    };
    Sources {
        ltsp_conf: Some(text("ltsp.conf", ltsp_conf)),
        dnsmasq: vec![text("dnsmasq.conf", dnsmasq)],
        exports: vec![text("exports", exports)],
        images: images
            .iter()
            .map(|image| format!("/srv/ltsp/images/{image}"))
            .collect(),
        cards: vec![
            card("enp1s0", Ipv4Addr::new(192, 168, 67, 1)),
            card("enp2s0", Ipv4Addr::new(192, 168, 0, 3)),
        ],
        overlay_dir: "/etc/netbootd/overlay".to_owned(),
    }
}

pub fn school() -> Imported {
    import(&sources(
        LTSP_CONF,
        DNSMASQ,
        EXPORTS,
        &["x86_64.img", "bench.img"],
    ))
    .unwrap()
}

fn of(ltsp_conf: &str) -> Imported {
    import(&sources(ltsp_conf, "", "", &[])).unwrap()
}

pub fn meaning(imported: &Imported) -> Config {
    let loaded = load_text("netbootd.toml", &imported.toml, &LoadOptions::default());
    loaded
        .unwrap_or_else(|problems| panic!("{problems}\n{}", imported.toml))
        .config
}

/// What became of the only line of this name.
pub fn fate(imported: &Imported, name: &str) -> String {
    let mut lines = imported.report.lines().filter(|line| line.name == name);
    let line = lines
        .next()
        .unwrap_or_else(|| panic!("{name} is not in the report"));
    assert!(lines.next().is_none(), "{name} is in the report twice");
    line.fate()
}

pub fn group<'a>(config: &'a Config, name: &str) -> &'a Group {
    config
        .groups
        .iter()
        .find(|group| group.name == name)
        .unwrap()
}

fn mac(text: &str) -> MacAddr {
    text.parse().unwrap()
}

#[test]
fn every_parameter_is_in_the_report_exactly_once_with_a_key_or_a_reason() {
    let imported = school();
    for parameter in PARAMETERS {
        let means = |name: &str| match parameter.ends_with('_') {
            true => name.starts_with(parameter) && !(*parameter == "PRE_" && name.contains(' ')),
            false => name == *parameter,
        };
        let fates: Vec<String> = imported
            .report
            .lines()
            .filter(|line| means(&line.name))
            .map(super::report::Line::fate)
            .collect();
        assert_eq!(fates.len(), 1, "{parameter}: {fates:?}");
        let reason = fates[0].split_once(": ").map_or("", |(_, reason)| reason);
        assert!(
            fates[0].starts_with("mapped to ") || reason.len() > 10,
            "{parameter}: {}",
            fates[0]
        );
        assert!(
            !fates[0].contains("has a parameter of this name"),
            "{parameter}: {}",
            fates[0]
        );
    }
}

#[test]
fn machines_are_named_after_their_address_as_before() {
    let imported = of("[clients]\nHOSTNAME=\"pc%{MAC}\"\nREAD_AHEAD_KB=512\n");
    let boot = meaning(&imported).boot;
    assert_eq!(boot.hostnames, "pc{mac}".parse().unwrap());
    assert_eq!(boot.read_ahead, 512);
    let by_address = of("[clients]\nHOSTNAME=\"pc%{IP}\"\n");
    assert!(fate(&by_address, "HOSTNAME").contains("boot.hostnames"));
}

#[test]
fn a_school_boots_what_it_booted() {
    let imported = school();
    let config = meaning(&imported);
    assert_eq!(config.boot.default, Some("menu".parse().unwrap()));
    assert_eq!(config.boot.menu_default, Some("x86_64".parse().unwrap()));
    assert_eq!(config.boot.menu_timeout, 3);
    assert_eq!(config.boot.root, RootMode::Image);
    assert_eq!(config.boot.kernel_arguments, "nomodeset noapic");
    assert_eq!(config.scrub.exclude, ["home/*", "srv/data", "**/*.bak"]);
    assert_eq!(config.scrub.keep, ["var/lib/snapd"]);
    let pc01 = &config.clients[&mac("52:54:00:67:00:01").into()];
    assert_eq!(pc01.hostname.as_deref(), Some("pc01"));
    assert_eq!(pc01.address, Some(Ipv4Addr::new(192, 168, 67, 21)));
    assert_eq!(pc01.settings.boot, Some("bench".parse().unwrap()));
    let ignored = &config.clients[&mac("52:54:00:67:00:99").into()];
    assert_eq!(ignored.settings.boot, Some("none".parse().unwrap()));
    let all = group(&config, "clients");
    assert_eq!(
        all.settings.mask,
        [
            "apt-daily.service",
            "apt-daily-upgrade.timer",
            "rsyslog.service",
            "anydesk.service",
            "teamviewerd.service"
        ]
    );
    assert_eq!(all.settings.unmask, ["ssh.service"]);
    assert_eq!(
        all.settings.fstab,
        ["192.168.67.1:/home /home nfs defaults,nolock 0 0"]
    );
    assert_eq!(
        all.settings.commands,
        ["modprobe nvidia-uvm; sysctl -w vm.swappiness=10"]
    );
    let named = group(&config, "pc-library");
    assert_eq!(named.settings.autologin.as_deref(), Some("guest"));
    assert!(named.has(MacAddr::default(), "library-07") && named.has(MacAddr::default(), "pc1"));
    // INCLUDE of a client makes it a member.
    assert!(group(&config, "crt-monitor").has(mac("52:54:00:67:00:01"), "pc01"));
    assert_eq!(
        imported.commands,
        [
            "netbootd image build --name x86_64 /srv/ltsp/images/x86_64.img",
            "netbootd image build --name bench /srv/ltsp/images/bench.img"
        ]
    );
}

#[test]
fn a_network_is_served_as_it_was() {
    let imported = school();
    let config = meaning(&imported);
    let [inner, outer] = &config.interfaces[..] else {
        panic!("{}", imported.toml)
    };
    assert_eq!((inner.name.as_str(), inner.mode), ("enp1s0", Mode::Full));
    assert_eq!(
        inner.pool,
        [(
            Ipv4Addr::new(192, 168, 67, 20),
            Ipv4Addr::new(192, 168, 67, 250)
        )]
    );
    assert_eq!(inner.lease_time.as_secs(), 8 * 3600);
    assert_eq!((outer.name.as_str(), outer.mode), ("enp2s0", Mode::Proxy));
    assert_eq!(
        inner.dns,
        [Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(208, 67, 222, 222)]
    );
    assert_eq!(
        config.dns.domain, "ioa.sch.gr",
        "ltsp.conf wins over dnsmasq"
    );
    assert_eq!(config.dns.hosts["nfs"], Ipv4Addr::new(192, 168, 67, 10));
    assert_eq!(
        config.dns.hosts["wiki.school.example"],
        Ipv4Addr::new(192, 168, 67, 5)
    );
    assert_eq!(
        config.clients[&mac("52:54:00:67:00:02").into()]
            .hostname
            .as_deref(),
        Some("pc02")
    );
    assert!(
        fate(
            &imported,
            "dhcp-range=set:proxy,10.9.0.0,proxy,255.255.255.0"
        )
        .contains("no network card")
    );
    let ntp = fate(&imported, "dhcp-option=option:ntp-server,192.168.67.1");
    assert!(
        ntp.starts_with("mapped to interfaces.enp1s0.options.ntp-servers"),
        "{ntp}"
    );
    assert!(
        fate(&imported, "domain=school.example").contains("ltsp.conf:"),
        "who overruled it is said"
    );
}

#[test]
fn folders_are_exported_to_no_more_than_before() {
    let imported = school();
    let config = meaning(&imported);
    let names: Vec<&str> = config.exports.keys().map(String::as_str).collect();
    assert_eq!(names, ["data", "home"]);
    assert_eq!(
        config.exports["data"].networks,
        [(Ipv4Addr::new(192, 168, 67, 0), 24)]
    );
    assert!(fate(&imported, "/home").contains("read-only"));
    assert!(fate(&imported, "/srv/data").contains("teacher-pc left out"));
    assert!(fate(&imported, "/srv/ltsp").starts_with("not needed"));
    assert!(fate(&imported, "/srv/marks").contains("Kerberos"));
    assert!(fate(&imported, "/srv/staff").starts_with("not carried"));
}

#[test]
fn no_password_is_carried_or_shown() {
    let imported = of(
        "[clients]\nPASSWORDS_x='a/cXdlcjEyMzQK'\nPOST_INIT_x=\"echo 'root:$6$salt$hash' | chpasswd -e\"\n",
    );
    let said = format!("{}{}", imported.toml, imported.report);
    let code = of(
        "[set_root_hash]\nsed 's|^root:[^:]*:|root:$6$salt$hash:|' -i /etc/shadow\nPASSWORDS_A=\"a/c2FsdA==\nb/salt=\n",
    );
    let said = format!("{said}{}", code.report);
    for secret in ["c2FsdA", "cXdlcjEyMzQK", "salt", "chpasswd"] {
        assert!(!said.contains(secret), "{said}");
    }
    assert!(fate(&imported, "PASSWORDS_x").contains("ssh_keys"));
}

#[test]
fn what_a_shell_would_run_is_shown_and_left() {
    let imported = of(
        "[clients]\nKERNEL_PARAMETERS=\"a=$(touch /tmp/x)\"\nPOST_INIT_A='echo `id`'\nFSTAB_A=\"$NAS:/x /x nfs ro 0 0\"\n",
    );
    assert!(fate(&imported, "KERNEL_PARAMETERS").contains("never run: \"a=$(touch /tmp/x)\""));
    assert!(fate(&imported, "POST_INIT_A").contains("never run: 'echo `id`'"));
    assert!(fate(&imported, "FSTAB_A").contains("variable $NAS"));
    assert!(meaning(&imported).groups.is_empty());
}

#[test]
fn a_section_by_address_has_no_equivalent_and_its_parameters_say_so() {
    let imported = of("[192.168.67.*]\nAUTOLOGIN=guest\n[pc1|10.0.0.*]\nAUTOLOGIN_X=1\n");
    for name in ["[192.168.67.*]", "AUTOLOGIN"] {
        let fate = fate(&imported, name);
        assert!(
            fate.starts_with("not carried") && fate.contains("no equivalent"),
            "{fate}"
        );
    }
    assert!(fate(&imported, "[pc1|10.0.0.*]").contains("10.0.0.* was left out"));
}

#[test]
fn what_the_configuration_refuses_is_left_out_with_its_reason() {
    let imported = of(
        "[clients]\nFSTAB_A='/dev/sda1 / ext4 defaults 0 0'\nFSTAB_B='nas:/b /b nfs ro 0 0'\n\
         [server]\nKERNEL_PARAMETERS='a ${b}'\n[61:6c:6b:69:73:67]\nHOSTNAME=pc1\n\
         [a]\nINCLUDE=b\n[b]\nINCLUDE=a\n",
    );
    let config = meaning(&imported);
    assert_eq!(
        group(&config, "clients").settings.fstab,
        ["nas:/b /b nfs ro 0 0"]
    );
    assert!(fate(&imported, "FSTAB_A").contains("the root is mounted by netbootd"));
    assert!(fate(&imported, "KERNEL_PARAMETERS").contains("iPXE"));
    assert!(fate(&imported, "HOSTNAME").contains("not the address of one network card"));
    let circle = imported
        .report
        .lines()
        .filter(|line| line.fate().contains("includes itself"));
    assert_eq!(circle.count(), 2, "{}", imported.report);
}

#[test]
fn later_sections_win_as_they_did() {
    let imported = of(
        "[pc1*]\nAUTOLOGIN=first\n[pc*]\nAUTOLOGIN=second\n[common]\nAUTOLOGIN=common\n[clients]\nAUTOLOGIN=clients\n[lab]\nA=1\n[pc2]\nINCLUDE=lab\n",
    );
    let names: Vec<String> = meaning(&imported)
        .groups
        .into_iter()
        .map(|group| group.name)
        .collect();
    // LTSP runs the first section that fits and ours have the last word.
    assert_eq!(names, ["clients", "common", "lab", "pc2", "pc", "pc1"]);
}

#[test]
fn every_line_says_where_it_stands() {
    let said = school().report.to_string();
    for line in [
        "ltsp.conf:7: DEFAULT_IMAGE: mapped to boot.menu_default",
        "ltsp.conf:5: NAT: not carried: in the table of the clients' card, write nat =",
        "dnsmasq.conf:6: dhcp-range=192.168.67.20,192.168.67.250,8h: mapped to interfaces.enp1s0.mode",
        "exports:3: /home: mapped to exports.home.folder",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    let bad = of("[clients]\nMENU = 5 6\n. /etc/os-release\n")
        .report
        .to_string();
    assert!(
        bad.contains(
            "ltsp.conf:2: `MENU = 5 6`: not carried: a value of several words needs quotes"
        ),
        "{bad}"
    );
    assert!(
        bad.contains("ltsp.conf:3: `. /etc/os-release`: not carried: no assignment"),
        "{bad}"
    );
}

#[test]
fn a_room_of_two_thousand_is_imported() {
    let mut dnsmasq = String::from("dhcp-range=192.168.67.20,192.168.67.250,8h\n");
    for number in 0..2000 {
        let (high, low) = (number / 256, number % 256);
        dnsmasq.push_str(&format!(
            "dhcp-host=52:54:00:00:{high:02x}:{low:02x},pc{number},10.0.{high}.{low}\n"
        ));
    }
    let imported = import(&sources("", &dnsmasq, "", &[])).unwrap();
    assert_eq!(meaning(&imported).clients.len(), 2000);
}

/// Whatever stands in the files: no panic, and what comes out loads.
#[test]
fn ltsp() {
    let seeds: Vec<Vec<u8>> = [LTSP_CONF, DNSMASQ, EXPORTS]
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect();
    fuzz::run("ltsp", &seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let imported = import(&sources(&text, &text, &text, &["X 86.img", "x86.img"])).unwrap();
        meaning(&imported);
        assert!(
            imported
                .report
                .lines()
                .all(|line| !line.fate().ends_with(": ")),
            "{}",
            imported.report
        );
    });
}
