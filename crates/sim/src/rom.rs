//! A PXE ROM: PXE 2.1 chapter 2, read as the plainest ones do.

use std::net::Ipv4Addr;

use crate::play::{Choice, Then};
use crate::reply::Reply;

/// Bit 3 of discovery control: boot the file.
fn just_boots(offer: &Reply) -> bool {
    let control = offer.sub_option(43, 6);
    control.is_some_and(|value| value.first().is_some_and(|bits| bits & 8 != 0))
}

pub(crate) fn choose(offers: &[Reply]) -> Result<Choice, String> {
    let lease = offers.iter().position(|offer| !offer.is_proxy());
    let lease = lease.ok_or("nobody offered an address")?;
    let pxe: Vec<usize> = (0..offers.len())
        .filter(|index| offers[*index].is_for("PXEClient"))
        .collect();
    if let Some(index) = pxe.iter().find(|index| just_boots(&offers[**index])) {
        return Ok(match offers[*index].is_proxy() {
            true => Choice {
                lease,
                then: Then::Offered(*index),
            },
            false => Choice {
                lease: *index,
                then: Then::Acknowledged,
            },
        });
    }
    if let Some(index) = pxe.first() {
        let then = Then::Ask(offers[*index].next_server().into_iter().collect());
        return Ok(Choice { lease, then });
    }
    let then = Then::Acknowledged;
    match offers
        .iter()
        .position(|offer| !offer.is_proxy() && offer.header_file().is_some())
    {
        Some(lease) => Ok(Choice { lease, then }),
        None => Err("no offer says what to boot".to_owned()),
    }
}

/// It looks into the header first.
pub(crate) fn file(told_by: &Reply) -> Result<(Ipv4Addr, String), String> {
    let file = told_by.header_file().or_else(|| told_by.named_file());
    let server = told_by
        .next_server()
        .ok_or("what it was told names no server")?;
    Ok((server, file.ok_or("what it was told names no file")?))
}
