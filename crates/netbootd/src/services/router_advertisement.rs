//! An answer for iPXE's router solicitation.
//!
//! iPXE configures IPv4 and IPv6 together, and where no IPv6 router answers it waits some 13 seconds
//! at every boot. One router advertisement ends the wait. Ours says what is true: no router here
//! (lifetime 0), no prefix, so that no other host changes anything on account of it. It goes to the
//! solicitor alone, and only where no real router has been heard.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tracing::{debug, info};

/// ICMPv6 types (RFC 4861 sections 4.1 and 4.2).
const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;
/// A router that was heard counts for this long: the longest time between its own advertisements
/// (RFC 4861 section 6.2.1, MaxRtrAdvInterval).
const ROUTER_MEMORY: Duration = Duration::from_secs(1800);

/// What to do about an ICMPv6 message.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// Somebody looks for a router.
    Solicitation,
    /// A router that offers to forward is on the link.
    Router,
    /// Neither.
    Other,
}

fn hear(message: &[u8], from: Ipv6Addr) -> Heard {
    let link_local = from.segments()[0] & 0xffc0 == 0xfe80;
    match message {
        [SOLICITATION, 0, _, _, _, _, _, _, ..] if link_local => Heard::Solicitation,
        [ADVERTISEMENT, 0, _, _, _, _, high, low, ..] if link_local && (*high, *low) != (0, 0) => {
            Heard::Router
        }
        _ => Heard::Other,
    }
}

/// An advertisement without a router, a prefix or any other option (RFC 4861 section 4.2): current
/// hop limit unspecified, no flags, lifetime 0, timers unspecified. The checksum is the kernel's.
const NO_ROUTER: [u8; 16] = [ADVERTISEMENT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Answers solicitations on one interface until `shutdown` changes.
pub async fn serve(
    socket: std::net::UdpSocket,
    interface: &str,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let socket = UdpSocket::from_std(socket)?;
    let mut router_heard: Option<Instant> = None;
    let mut buffer = [0; 1500];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            _ = shutdown.changed() => return Ok(()),
        };
        let (length, from) = match received {
            Ok((length, SocketAddr::V6(from))) => (length, from),
            Ok(_) => continue,
            Err(error) => {
                debug!(%error, "router solicitations: receive");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        match hear(&buffer[..length], *from.ip()) {
            Heard::Router => {
                if router_heard.is_none() {
                    info!(interface, router = %from.ip(), "an IPv6 router is on the link; solicitations are left to it");
                }
                router_heard = Some(Instant::now());
            }
            Heard::Solicitation if router_heard.is_none_or(|at| at.elapsed() > ROUTER_MEMORY) => {
                router_heard = None;
                if let Err(error) = socket.send_to(&NO_ROUTER, from).await {
                    debug!(%error, to = %from, "router advertisement");
                }
            }
            Heard::Solicitation | Heard::Other => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0xff, 0xfe00, 1);

    #[test]
    fn only_neighbours_on_the_link_are_heard() {
        let solicitation = [133, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(hear(&solicitation, LINK_LOCAL), Heard::Solicitation);
        assert_eq!(hear(&solicitation, Ipv6Addr::UNSPECIFIED), Heard::Other);
        assert_eq!(hear(&solicitation[..7], LINK_LOCAL), Heard::Other);
        assert_eq!(hear(&[], LINK_LOCAL), Heard::Other);
    }

    #[test]
    fn a_router_is_one_that_offers_to_forward() {
        let mut advertisement = NO_ROUTER;
        assert_eq!(
            hear(&advertisement, LINK_LOCAL),
            Heard::Other,
            "our own kind"
        );
        advertisement[7] = 30;
        assert_eq!(hear(&advertisement, LINK_LOCAL), Heard::Router);
    }
}
