//! Keeping the lease of a running client: the loader took it, and nothing in the image may touch
//! the card, so nobody else asks for more time.

use std::convert::Infallible;
use std::io;
use std::thread;
use std::time::Duration;

use model::BootArguments;

use crate::dhcp::{self, Renewal};

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// Between two tries when nobody answers, and the shortest time between two renewals.
const AGAIN: Duration = Duration::from_secs(60);

/// Renews for ever. Returns only why it cannot.
pub(crate) fn keep(arguments: &BootArguments) -> Result<Infallible, String> {
    let network = arguments.network.as_ref();
    let address = network.ok_or("this boot has no address")?.address;
    let mut last = None;
    loop {
        let renewal = match dhcp::renew(arguments.mac, address, PATIENCE) {
            Ok(renewal) => renewal,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err("another DHCP client of this machine holds port 68".to_owned());
            }
            Err(error) => {
                eprintln!("renewing the lease of {address}: {error}");
                Renewal::Silence
            }
        };
        if last != Some(renewal) {
            last = Some(renewal);
            println!("{}", describe(renewal, address));
        }
        thread::sleep(pause(renewal));
    }
}

fn describe(renewal: Renewal, address: std::net::Ipv4Addr) -> String {
    match renewal {
        Renewal::Kept(time) => format!("{address} is ours for {} s", time.as_secs()),
        Renewal::TakenBack => {
            format!("the DHCP server took {address} back; it stays in use, as the root needs it")
        }
        Renewal::Silence => format!("no DHCP server answers for {address}"),
    }
}

/// Half the lease (RFC 2131 section 4.4.5, T1).
fn pause(renewal: Renewal) -> Duration {
    match renewal {
        Renewal::Kept(time) => (time / 2).max(AGAIN),
        Renewal::TakenBack | Renewal::Silence => AGAIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_renewed_at_half_its_time_and_never_in_a_flood() {
        let kept = |seconds| pause(Renewal::Kept(Duration::from_secs(seconds)));
        assert_eq!(kept(7200), Duration::from_secs(3600));
        assert_eq!(kept(0), AGAIN);
        assert_eq!(pause(Renewal::Silence), AGAIN);
    }
}
