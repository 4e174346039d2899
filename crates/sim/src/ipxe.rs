//! iPXE: `src/net/udp/dhcp.c` and `src/usr/autoboot.c`.

use std::net::Ipv4Addr;

use crate::play::{Choice, Then};
use crate::reply::Reply;

/// Option 175's own options.
const PRIORITY: u8 = 1;
const NO_PXEDHCP: u8 = 176;

fn says_it_all(offer: &Reply) -> bool {
    let file = offer.named_file().or_else(|| offer.header_file());
    let menu = offer.sub_option(43, 9);
    (!offer.siaddr.is_unspecified() && file.is_some()) || menu.is_some()
}

/// The highest priority wins, and of equals the first.
pub(crate) fn choose(offers: &[Reply]) -> Result<Choice, String> {
    let priority = |offer: &Reply| {
        let value = offer.sub_option(175, PRIORITY);
        value.and_then(|value| value.first().copied()).unwrap_or(0)
    };
    let leases = offers.iter().enumerate().filter(|(_, o)| !o.is_proxy());
    let best = leases.rev().max_by_key(|(_, offer)| priority(offer));
    let (lease, offer) = best.ok_or("nobody offered an address")?;
    let alone = offer
        .sub_option(175, NO_PXEDHCP)
        .is_some_and(|value| value.first().is_some_and(|byte| *byte != 0));
    let proxy = offers
        .iter()
        .position(|offer| offer.is_proxy() && offer.is_for("PXEClient"));
    let then = match proxy.filter(|_| !alone) {
        Some(proxy) if says_it_all(&offers[proxy]) => Then::Offered(proxy),
        Some(proxy) => Then::Ask(offers[proxy].next_server().into_iter().collect()),
        None if offer.is_for("PXEClient") && !alone && !says_it_all(offer) => {
            Then::Ask(offer.next_server().into_iter().collect())
        }
        None => Then::Acknowledged,
    };
    Ok(Choice { lease, then })
}

/// A proxy's file beats the lease's. A bare name is a path at the next server.
pub(crate) fn file(
    told_by: &Reply,
    ack: &Reply,
    has_http: bool,
) -> Result<(Ipv4Addr, String), String> {
    let of = |reply: &Reply| {
        let file = reply.named_file().or_else(|| reply.header_file())?;
        Some((reply.next_server()?, file))
    };
    let (server, file) = of(told_by)
        .or_else(|| of(ack))
        .ok_or("nobody said what to boot")?;
    if file.starts_with("http://") && !has_http {
        return Err(format!("{file}: this iPXE cannot fetch over HTTP"));
    }
    Ok((server, file))
}
