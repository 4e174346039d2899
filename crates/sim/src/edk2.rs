//! EDK2: NetworkPkg's `PxeBcDhcp4.c`, `PxeBcBoot.c` and `HttpBootDhcp4.c`.

use std::net::Ipv4Addr;

use crate::machine::Machine;
use crate::play::{Choice, Then};
use crate::reply::Reply;

/// What an offer is to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `PXEClient` with any of the discovery tags in option 43.
    Pxe10,
    /// `PXEClient` without: the file has to be asked for.
    Binl,
    /// Everything else.
    Plain,
}

fn kind(offer: &Reply) -> Kind {
    let has_tag = |tag: u8| offer.sub_option(43, tag).is_some();
    match offer.is_for("PXEClient") {
        true if (6..=10).any(has_tag) => Kind::Pxe10,
        true => Kind::Binl,
        false => Kind::Plain,
    }
}

/// The order of preference. A router that sends `PXEClient` beside its addresses beats every proxy.
pub(crate) fn choose(machine: &Machine, offers: &[Reply]) -> Result<Choice, String> {
    if machine.arch.is_http() {
        return choose_http(offers);
    }
    let lease = |wanted: Kind| {
        offers
            .iter()
            .position(|offer| !offer.is_proxy() && kind(offer) == wanted)
    };
    let proxies = |wanted: Kind| -> Vec<usize> {
        let all = offers.iter().enumerate();
        all.filter(|(_, offer)| offer.is_proxy() && kind(offer) == wanted)
            .map(|(index, _)| index)
            .collect()
    };
    if let Some(lease) = lease(Kind::Pxe10) {
        let then = Then::Acknowledged;
        return Ok(Choice { lease, then });
    }
    // Of several, only the first is kept.
    if let (Some(lease), Some(proxy)) = (lease(Kind::Plain), proxies(Kind::Pxe10).first()) {
        let then = Then::Offered(*proxy);
        return Ok(Choice { lease, then });
    }
    if let Some(lease) = lease(Kind::Binl) {
        let then = Then::Ask(offers[lease].next_server().into_iter().collect());
        return Ok(Choice { lease, then });
    }
    let binl = proxies(Kind::Binl);
    if let (Some(lease), false) = (lease(Kind::Plain), binl.is_empty()) {
        let servers = binl.iter().filter_map(|index| offers[*index].next_server());
        let then = Then::Ask(servers.collect());
        return Ok(Choice { lease, then });
    }
    let with_file = |offer: &Reply| !offer.is_proxy() && told(offer).is_some();
    let then = Then::Acknowledged;
    match offers.iter().position(with_file) {
        Some(lease) => Ok(Choice { lease, then }),
        None => Err("no offer says what to boot".to_owned()),
    }
}

/// Proxies that are not HTTPClient, and HTTPClient without a URL, are rejected.
fn choose_http(offers: &[Reply]) -> Result<Choice, String> {
    let is_good = |offer: &Reply| offer.is_for("HTTPClient") && told(offer).is_some();
    let leases = || offers.iter().enumerate().filter(|(_, o)| !o.is_proxy());
    if let Some((lease, _)) = leases().find(|(_, offer)| is_good(offer)) {
        let then = Then::Acknowledged;
        return Ok(Choice { lease, then });
    }
    let proxy = offers
        .iter()
        .position(|offer| offer.is_proxy() && is_good(offer));
    let lease = leases().next();
    match lease.zip(proxy) {
        Some(((lease, _), proxy)) => {
            let then = Then::Offered(proxy);
            Ok(Choice { lease, then })
        }
        None => Err("no offer is for HTTPClient and has a URL".to_owned()),
    }
}

/// Option 67 beats the header.
fn told(reply: &Reply) -> Option<String> {
    reply.named_file().or_else(|| reply.header_file())
}

/// Where the file is.
pub(crate) fn file(machine: &Machine, told_by: &Reply) -> Result<(Ipv4Addr, String), String> {
    // PXE 2.1 table 2-1, tag 9: items of a type, the length of a name, and the name; type 0 is the local boot.
    let menu = told_by.sub_option(43, 9);
    if !machine.arch.is_http() && menu.is_some_and(|menu| menu.starts_with(&[0, 0])) {
        return Err(
            "the only item of its menu is the local boot: it goes on to its own disk".to_owned(),
        );
    }
    let file = told(told_by).ok_or("what it was told names no file")?;
    if machine.arch.is_http() {
        let Some(rest) = file.strip_prefix("http://") else {
            return Err(format!("{file} is no URL that it fetches"));
        };
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        let server = host
            .parse()
            .map_err(|_| format!("{host} is a name, which it needs a DNS server for"))?;
        return Ok((server, file));
    }
    let control = told_by
        .sub_option(43, 6)
        .and_then(|value| value.first().copied());
    let just_boot = control.is_some_and(|bits| bits & 8 != 0);
    if !just_boot && told_by.sub_option(43, 9).is_some() {
        return Err("it shows a menu and waits".to_owned());
    }
    // The first entry of the list of boot servers: type, count, address.
    let listed = told_by.sub_option(43, 8).filter(|_| just_boot);
    let listed = listed.and_then(|list| <[u8; 4]>::try_from(list.get(3..7)?).ok());
    let server = listed.map(Ipv4Addr::from).or_else(|| told_by.next_server());
    Ok((server.ok_or("what it was told names no server")?, file))
}
