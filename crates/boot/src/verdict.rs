//! Where a boot stopped, and why, in words.

use model::Stage;

use crate::Attempt;
use crate::attempt::ForeignOffer;
use crate::ladder::Missed;

/// How long after reaching a stage the next one may take before the boot counts as stopped, in
/// milliseconds. Generous: a slow machine is not a broken one.
pub(crate) fn patience(stage: Stage) -> u64 {
    let seconds = match stage {
        Stage::Discover | Stage::Offer => 20,
        Stage::Ack | Stage::Loader => 60,
        Stage::Script | Stage::Kernel => 90,
        Stage::Initrd | Stage::Init => 180,
        Stage::Mounted => 120,
        Stage::Switched => 600,
        Stage::Running | Stage::Login | Stage::Settled | Stage::Session => return u64::MAX,
    };
    seconds * 1000
}

/// How an attempt stands that came as far as `stage`, when all is not well.
pub(crate) fn verdict_of(attempt: &Attempt, stage: Stage) -> String {
    if attempt.is_over_to_its_disk() {
        return "it was given to its own disk".to_owned();
    }
    match (&attempt.failure, attempt.detail(Stage::Settled)) {
        (Some((failed, message)), _) if stage >= Stage::Running => {
            format!("it runs, and {failed} was not reached: {message}")
        }
        (Some((failed, message)), _) => format!("the client could not reach {failed}: {message}"),
        (None, Some(settled)) if attempt.is_degraded() => format!(
            "systemd calls it {settled} (`systemctl status` and `journalctl -u` on the \
             client say why)"
        ),
        (None, _) => stopped_after(attempt, stage),
    }
}

/// Where another server's answer came to the firmware: what that makes of it.
fn taken_by(foreign: &ForeignOffer) -> String {
    let server = foreign.server;
    let what = match (foreign.address, &foreign.file) {
        (None, _) => "it took that one's answer".to_owned(),
        (Some(_), None) => format!(
            "that one {foreign}, and firmware that takes it says PXE-E53 or PXE-E16, or goes on to the disk"
        ),
        (Some(_), Some(_)) => format!(
            "that one {foreign}, and firmware that takes it asks there: `NBP filesize is 0 Bytes`, PXE-E18 or PXE-E32 \
             where that file is not to be had"
        ),
    };
    format!(
        "another DHCP server, {server}, answered it: {what} (switch that server off, or write mode = \"proxy\" for this \
         interface)"
    )
}

/// The verdict on an attempt that went no further than `stage`.
pub(crate) fn stopped_after(attempt: &Attempt, stage: Stage) -> String {
    let facts = &attempt.facts;
    let next_time = facts.ladder.map_or(String::new(), Missed::next_time);
    let address = facts
        .address
        .map(|a| a.to_string())
        .unwrap_or("its address".into());
    if let (Stage::Offer | Stage::Ack, Some(foreign)) = (stage, &facts.foreign) {
        return taken_by(foreign);
    }
    match stage {
        Stage::Discover => "it asked for an address and we offered none: see the log line of the \
             DISCOVER for the reason"
            .into(),
        Stage::Offer => format!(
            "it did not take our offer: another DHCP server may have answered first, or our answers do not reach it \
             (VLAN, firewall, wireless isolation){next_time}"
        ),
        Stage::Ack if let Some(file) = &facts.size_asked => format!(
            "it asked for the size of {file} over TFTP and never fetched it: our answer did not reach it, and UEFI says \
             `NBP filesize is 0 Bytes` or PXE-E18 (a firewall that lets UDP 69 through and not the ports of the transfer, \
             which are others){next_time}"
        ),
        Stage::Ack => format!(
            "it has {address} and did not fetch the loader: UDP 69 may be blocked, or the firmware \
             got another boot file from another server{next_time}"
        ),
        Stage::Loader => {
            let told = attempt.detail(Stage::Loader).unwrap_or_default();
            let loader = told.split_once(',').map_or("its loader", |(file, _)| file);
            Missed::after_loader(loader, facts)
        }
        Stage::Script => "it fetched the script and not the kernel: TCP to our HTTP port may be \
             blocked, or iPXE failed (its screen shows an error number)"
            .into(),
        Stage::Kernel => "it fetched the kernel and not the initrd: it may be out of memory".into(),
        Stage::Initrd => {
            "kernel and initrd are loaded and nothing was heard from init: the kernel \
             may not support this machine, or has no driver for its network card (add \
             console=tty0 or console=ttyS0 to boot.kernel_arguments to see its messages)"
                .into()
        }
        Stage::Init => {
            "init runs and could not mount the root: its console says what it waits for".into()
        }
        Stage::Mounted => {
            "the root is mounted and init did not hand over: its console says why".into()
        }
        Stage::Switched => {
            "the image's own init was started and its default target was not reached: \
             look at its console or journal (a unit may be waiting)"
                .into()
        }
        Stage::Running | Stage::Login | Stage::Settled | Stage::Session => "it is running".into(),
    }
}
