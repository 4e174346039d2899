//! What no key of ours has: parameters of LTSP that are not needed, or that another way leads to.

use Fate::{Left, Needless};

/// What becomes of such a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is missed; the reason says what to do.
    Left,
    /// It is not missed.
    Needless,
}

/// Name (with `*` at the end: whatever begins so), fate, reason. In a reason, `{overlay}` is the folder of the section's
/// overlay files.
const NEVER: &[(&str, Fate, &str)] = &[
    (
        "ADMINISTRATIVE_CLIENT",
        Left,
        "no client writes into an image; `netbootd image build` makes its next generation",
    ),
    ("ALL_IMAGES", Needless, "any number of images is served"),
    (
        "RELOGIN*",
        Left,
        "autologin has no such choice; write the display manager's own file into {overlay}/etc",
    ),
    (
        "BACKUP",
        Needless,
        "older generations stay, as many as images.NAME.keep says",
    ),
    (
        "CLEANUP",
        Needless,
        "`netbootd image build` always cleans up; `netbootd image rules` says what",
    ),
    (
        "IONICE",
        Left,
        "run `ionice -c3 netbootd image build …` instead",
    ),
    (
        "KERNEL_INITRD",
        Needless,
        "`netbootd image build` finds the kernel, and makes the initrd itself",
    ),
    (
        "MKSQUASHFS_PARAMS",
        Left,
        "`netbootd image build --help` lists the options of its own compressor",
    ),
    (
        "REVERT",
        Needless,
        "`netbootd image rollback NAME` goes back to an earlier generation",
    ),
    ("BASE_DIR", Needless, "images are kept below state_dir"),
    (
        "HOME_DIR",
        Left,
        "accounts and homes are not part of an image; a line in fstab mounts homes",
    ),
    (
        "TFTP_DIR",
        Needless,
        "loaders are found where packages put them, and in loaders.folders",
    ),
    (
        "OVERWRITE",
        Needless,
        "nothing is generated that could overwrite a file",
    ),
    (
        "BINARIES",
        Needless,
        "loaders are those of distribution packages, or of loaders.folders",
    ),
    (
        "BLACKLIST_MODULES",
        Left,
        "write module_blacklist=NAME,NAME into kernel_arguments",
    ),
    (
        "CRONTAB_*",
        Left,
        "write the line into the file {overlay}/etc/cron.d/ltsp",
    ),
    (
        "CUPS_SERVER",
        Left,
        "write `ServerName ADDRESS` into the file {overlay}/etc/cups/client.conf",
    ),
    (
        "DEBUG_LOG",
        Needless,
        "`netbootd why PC` tells a boot step by step",
    ),
    (
        "DEBUG_SHELL",
        Left,
        "no client ends in a shell; `netbootd why PC` says where a boot stopped and why",
    ),
    (
        "LTSP_DEBUG",
        Needless,
        "`netbootd why PC` tells a boot step by step, and log.level says how much is logged",
    ),
    (
        "DISABLE_SESSION_SERVICES",
        Left,
        "a unit of sessions is masked by a link to /dev/null, {overlay}/etc/systemd/user/UNIT",
    ),
    (
        "KEEP_SESSION_SERVICES",
        Needless,
        "netbootd masks no unit of sessions",
    ),
    (
        "MASK_SESSION_SERVICES",
        Left,
        "a unit of sessions is masked by a link to /dev/null, {overlay}/etc/systemd/user/UNIT; what starts from /etc/xdg/autostart, by a file of its name in {overlay}/etc/xdg/autostart with the line Hidden=true",
    ),
    (
        "DNS",
        Needless,
        "the dnsmasq file that `ltsp dnsmasq` made of it is read; netbootd's key is dns.enabled",
    ),
    (
        "PROXY_DHCP",
        Needless,
        "the dnsmasq file that `ltsp dnsmasq` made of it is read; netbootd's key is interfaces.CARD.mode",
    ),
    (
        "REAL_DHCP",
        Needless,
        "the dnsmasq file that `ltsp dnsmasq` made of it is read; netbootd's key is interfaces.CARD.mode",
    ),
    (
        "TFTP",
        Needless,
        "the dnsmasq file that `ltsp dnsmasq` made of it is read; netbootd's key is tftp.enabled",
    ),
    (
        "GDM3_CONF",
        Left,
        "write the whole file {overlay}/etc/gdm3/daemon.conf (Debian) or custom.conf (Ubuntu)",
    ),
    (
        "LIGHTDM_CONF",
        Left,
        "write it below [Seat:*] into the file {overlay}/etc/lightdm/lightdm.conf.d/50-site.conf",
    ),
    (
        "SDDM_CONF",
        Left,
        "write it into the file {overlay}/etc/sddm.conf.d/50-site.conf",
    ),
    (
        "SLICK_CONF",
        Left,
        "write it into the file {overlay}/etc/lightdm/slick-greeter.conf",
    ),
    (
        "IGNORE_EPOPTES",
        Needless,
        "netbootd does nothing to epoptes; the image's own settings hold",
    ),
    (
        "IPXE_*",
        Left,
        "a menu shows the names of the images; rename one with `netbootd image build --name`",
    ),
    (
        "LTSPDM_USERS",
        Left,
        "whom the greeter lists is said in the display manager's own file below {overlay}/etc",
    ),
    (
        "LTSP_SKIP_SCRIPTS",
        Needless,
        "it names parts of LTSP's client, and none of them runs",
    ),
    (
        "OMIT_FUNCTIONS",
        Needless,
        "it names parts of LTSP's client, and none of them runs",
    ),
    (
        "MKHOMEDIR",
        Left,
        "a file of PAM with pam_mkhomedir may stand in {overlay}/etc/pam.d",
    ),
    (
        "SSHFS",
        Left,
        "`login.home` says where homes are: sshfs from a login with a password on, unless it says otherwise",
    ),
    (
        "MULTISEAT",
        Left,
        "write udev rules for the seats into the file {overlay}/etc/udev/rules.d/72-seats.rules",
    ),
    (
        "UDEV_SEAT_*",
        Left,
        "write the rule into the file {overlay}/etc/udev/rules.d/72-seats.rules",
    ),
    (
        "NAT",
        Left,
        "in the table of the clients' card, write nat = \"CARD\", the card with the default route; the unit needs systemd/netbootd.service.d/nat.conf",
    ),
    (
        "NFS_HOME",
        Left,
        "exports are read-only; keep a read-write home on another NFS server, since netbootd has port 2049, and mount it with fstab",
    ),
    (
        "NFS_TFTP",
        Needless,
        "clients fetch kernels and initrds over HTTP",
    ),
    (
        "OVERLAY",
        Needless,
        "every client has an overlay of its own in memory",
    ),
    (
        "PAM_AUTH_TYPE",
        Left,
        "those of `login.users` log in with the server's passwords, which only the server checks; other PAM files may stand in {overlay}/etc/pam.d",
    ),
    (
        "SSH_SERVER",
        Left,
        "`login.server`, with its `login.host_keys`, is whom a login asks over ssh",
    ),
    (
        "SSH_OPTIONS",
        Left,
        "{overlay}/etc/netbootd/ssh_config takes the place of what a login asks the server with",
    ),
    (
        "PRE_*",
        Left,
        "no commands run before the image's own init; `commands` run at the end of the boot, and a unit in {overlay}/etc/systemd/system runs when it says",
    ),
    (
        "PWMERGE_*",
        Left,
        "`login.users` says whose accounts of the server clients have; `users` of a group or client says which of them it has",
    ),
    (
        "REMOTEAPPS",
        Left,
        "write a script that runs `ssh -X SERVER PROGRAM` into {overlay}/usr/local/bin",
    ),
    (
        "RPI_IMAGE",
        Left,
        "the firmware of Raspberry Pis is not served; boards with UEFI firmware are",
    ),
    (
        "SERVER",
        Needless,
        "netbootd tells each client its own address",
    ),
    (
        "SYMLINK_SNAPS",
        Left,
        "nothing is done about snaps; have them in the image",
    ),
    (
        "X_*",
        Left,
        "write the screen's section of xorg.conf(5) into the file {overlay}/etc/X11/xorg.conf.d/50-screen.conf",
    ),
];

/// What becomes of the parameter, if no key of ours is for it; the reason has `overlay` filled in.
pub fn fate(name: &str, overlay: &str) -> Option<(Fate, String)> {
    let means = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    };
    let (_, fate, reason) = NEVER.iter().find(|(pattern, ..)| means(pattern))?;
    Some((*fate, reason.replace("{overlay}", overlay)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_the_folder_of_its_section() {
        let (fate, reason) = fate("X_MODES", "/etc/netbootd/overlay/groups/crt").unwrap();
        assert_eq!(fate, Left);
        assert!(
            reason.contains("/etc/netbootd/overlay/groups/crt/etc/X11/"),
            "{reason}"
        );
        assert_eq!(super::fate("FSTAB_HOME", ""), None);
    }
}
