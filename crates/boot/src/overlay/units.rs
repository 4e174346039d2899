//! What systemd does otherwise on a client.

use super::OverlayContext;
use super::entries::Entries;

/// Units that fetch packages or rewrite the system behind a benchmark's back, and those that look
/// after the machine's own disks, which are none of this system's business.
const MASKED_UNITS: [&str; 8] = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "unattended-upgrades.service",
    "man-db.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
];

/// The overlay is memory already: a journal that is first kept in `/run` and then moved to `/var`
/// costs time and memory twice, and survives no longer.
const JOURNAL: &str = "[Journal]\nStorage=volatile\n";

/// Simple, and not oneshot: systemd is starting as long as a oneshot unit is, and it waits for the end of that.
const CLIENT_UNIT: &str = "[Unit]\n\
    Description=Tell netbootd that this machine is up\n\
    DefaultDependencies=no\n\
    After=multi-user.target\n\
    ConditionPathExists=/run/netbootd/client\n\n\
    [Service]\n\
    Type=simple\n\
    ExecStart=/run/netbootd/client running\n";

/// Where the image's own network managers keep their hands off the card, somebody has to keep its
/// lease: without this, an address whose lease has lapsed is given to another machine.
const LEASE_UNIT: &str = "[Unit]\n\
    Description=Keep the address that this machine booted with\n\
    DefaultDependencies=no\n\
    After=sysinit.target\n\
    ConditionPathExists=/run/netbootd/client\n\n\
    [Service]\n\
    ExecStart=/run/netbootd/client lease\n\
    Restart=on-failure\n\
    RestartSec=10\n";

/// `commands` of the configuration. Each is a process of its own, so that the journal and the list of
/// failed units name the one that failed, and the others run all the same.
const COMMANDS_UNIT: &str = "[Unit]\n\
    Description=Run the commands that the netboot server gives this machine\n\
    After=multi-user.target network.target\n\
    DefaultDependencies=no\n\n\
    [Service]\n\
    Type=oneshot\n\
    RemainAfterExit=yes\n\
    ExecStart=/bin/sh /etc/netbootd/commands\n";

pub(super) const SYSTEM: &str = "etc/systemd/system";

pub(super) fn units(entries: &mut Entries, context: &OverlayContext<'_>) {
    started(entries, "netbootd-client", CLIENT_UNIT);
    started(entries, "netbootd-lease", LEASE_UNIT);
    entries.file(
        "etc/systemd/journald.conf.d/90-netbootd.conf",
        JOURNAL.to_owned(),
    );
    for unit in context.layers.masked(&MASKED_UNITS) {
        entries.link(&format!("{SYSTEM}/{unit}"), "/dev/null");
    }
    let commands: Vec<&str> = context.layers.commands().collect();
    if !commands.is_empty() {
        entries.file("etc/netbootd/commands", script(&commands));
        started(entries, "netbootd-commands", COMMANDS_UNIT);
    }
    if let Some(account) = context.layers.autologin() {
        for (template, terminal) in [
            ("getty@", ""),
            ("serial-getty@", " --keep-baud 115200,57600,38400,9600"),
        ] {
            // The empty line takes the unit's own command away (systemd.service(5)).
            let text = format!(
                "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin {account} --noclear{terminal} %I $TERM\n"
            );
            entries.file(
                &format!("{SYSTEM}/{template}.service.d/90-netbootd.conf"),
                text,
            );
        }
    }
}

pub(super) fn started(entries: &mut Entries, name: &str, text: &str) {
    entries.file(&format!("{SYSTEM}/{name}.service"), text.to_owned());
    let wanted = format!("{SYSTEM}/multi-user.target.wants/{name}.service");
    entries.link(&wanted, &format!("../{name}.service"));
}

/// Runs every command, says which failed, and fails if any did.
fn script(commands: &[&str]) -> String {
    let mut text = "failed=0\n".to_owned();
    for command in commands {
        let quoted = command.replace('\'', "'\\''");
        text += &format!(
            "sh -c '{quoted}' || {{ echo \"failed with $?: \"'{quoted}' >&2; failed=1; }}\n"
        );
    }
    text + "exit $failed\n"
}
