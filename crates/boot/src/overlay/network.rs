//! The card that booted is left alone, and other cards are the image's own business.

use super::entries::Entries;
use super::{OverlayContext, OverlayKind};

/// The root file system hangs on the card that booted: no network manager may touch it. Its name is
/// known to the client alone, so it is told by its address.
pub(super) fn boot_card(entries: &mut Entries, context: &OverlayContext<'_>) {
    let mac = context.mac;
    entries.file(
        "etc/systemd/network/00-netbootd.network",
        format!("[Match]\nMACAddress={mac}\n\n[Link]\nUnmanaged=yes\n"),
    );
    // udev cannot rename a card that is up, and networkd waits for as long as udev wants to.
    entries.file(
        "etc/systemd/network/00-netbootd.link",
        format!(
            "[Match]\nMACAddress={mac}\n\n[Link]\nNamePolicy=\nMACAddressPolicy=none\n\
             AlternativeNamesPolicy=database onboard slot path mac\n"
        ),
    );
    let mut manager = format!("[keyfile]\nunmanaged-devices=mac:{mac}\n");
    if !context.dns.is_empty() {
        // Another card's lease may name DNS servers that do not know the clients.
        manager.insert_str(0, "[main]\nrc-manager=unmanaged\n\n");
        entries.file(
            "etc/dhcp/dhclient-enter-hooks.d/netbootd",
            "# The server of this machine's root says who answers DNS.\nmake_resolv_conf() { :; }\n"
                .to_owned(),
        );
    }
    entries.file("etc/NetworkManager/conf.d/90-netbootd.conf", manager);
    if context.has_ifupdown {
        entries.file(
            "etc/network/interfaces",
            "auto lo\niface lo inet loopback\n\nsource /etc/network/interfaces.d/*\n".to_owned(),
        );
        entries.add(
            "etc/network/if-pre-up.d/00-netbootd",
            OverlayKind::File(hook(context).into_bytes()),
            0o755,
        );
    }
}

/// ifupdown goes no further with an interface when a script in `if-pre-up.d` fails (interfaces(5)).
fn hook(context: &OverlayContext<'_>) -> String {
    format!(
        "#!/bin/sh\n\
         read -r mac < \"/sys/class/net/$IFACE/address\" 2>/dev/null || exit 0\n\
         [ \"$mac\" != {mac} ] && exit 0\n\
         echo \"netbootd: $IFACE carries this machine's root and is left as it is\" >&2\n\
         exit 1\n",
        mac = context.mac
    )
}
