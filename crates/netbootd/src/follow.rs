//! Interfaces come, go and change, and what is served on them follows, without a restart.
//!
//! The kernel says when something has changed; what is looked at then is the whole list of interfaces.
//! An interface that goes down or loses its address, and comes back as it was, finds everything where it
//! was: sockets stay bound and clients connected. One that is another than before, or has another
//! address, has all its services bound anew.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use config::{Interface, Mode};
use dhcp::Subnet;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tracing::{error, info};

use crate::daemon::ServedLink;
use crate::links::{self, NotYet};
use crate::names;
use crate::serve_link::{self, LinkContext};
use crate::services::dns::Dns;

/// The interfaces of this machine, by name.
pub type System = BTreeMap<String, net::Interface>;

/// Between two looks at the interfaces.
const PAUSE: Duration = Duration::from_millis(20);
/// How long services may take to end before others take their place.
const GRACE: Duration = Duration::from_secs(1);
/// When an interface that cannot be served is tried again, if it does not change before.
const AGAIN: Duration = Duration::from_secs(5);

/// Publishes the interfaces whenever they change, until `stopping` changes.
pub async fn watch(
    system: watch::Sender<System>,
    changes: std::net::UdpSocket,
    dns: Arc<Dns>,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let changes = UdpSocket::from_std(changes)?;
    loop {
        match net::interfaces() {
            Ok(now) => {
                dns.is_at(names::own_addresses(&now));
                system.send_if_modified(|last| {
                    let is_new = *last != now;
                    *last = now;
                    is_new
                });
            }
            Err(error) => error!(%error, "the interfaces cannot be listed"),
        }
        // The first of many changes counts at once; more than so many looks in a second are of no use.
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            ready = changes.readable() => ready?,
            _ = stopping.changed() => return Ok(()),
        }
        drain(&changes);
    }
}

/// Takes in all that was heard. It says no more than an error does: that there were changes.
pub fn drain(changes: &UdpSocket) {
    let mut heard = [0; 64];
    while !matches!(changes.try_recv(&mut heard), Err(error) if error.kind() == ErrorKind::WouldBlock)
    {
    }
}

/// Serves an interface whenever it can be, until `stopping` changes. `settled` hears once: when it is
/// served, or waited for.
pub async fn interface(
    context: Arc<LinkContext>,
    wanted: Interface,
    mut system: watch::Receiver<System>,
    settled: mpsc::Sender<()>,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let name = wanted.name.as_str();
    let daemon = &context.daemon;
    let mut settled = Some(settled);
    // Our part on the network that was served last: nobody waits for the same answer twice.
    let mut known = None;
    loop {
        let resolved = links::resolve(&wanted, &system.borrow_and_update());
        daemon.wait_for(name, resolved.as_ref().err().cloned());
        let Ok(link) = resolved else {
            settle(&mut settled).await;
            tokio::select! {
                _ = stopping.changed() => return Ok(()),
                // Nobody watches the interfaces any more when all stop, which may be heard first.
                changed = system.changed() => if changed.is_err() { return Ok(()) },
            }
            continue;
        };
        let mode = known.filter(|(network, _)| *network == link.network());
        let mode = mode.map(|(_, mode)| mode);
        let asks = wanted.mode == Mode::Auto && mode.is_none();
        daemon.wait_for(name, asks.then_some(NotYet::Asking));
        let (stop, stopped) = watch::channel(false);
        let started = tokio::select! {
            started = serve_link::start(&context, &wanted, link.clone(), mode, &stopped) => started,
            _ = stopping.changed() => return Ok(()),
        };
        daemon.wait_for(name, None);
        match started {
            Ok(serving) => {
                let (served, dhcp) = (serving.link, serving.dhcp);
                known = Some((link.network(), served.mode));
                context.serve(&served, &dhcp);
                settle(&mut settled).await;
                let mut running = std::pin::pin!(serving.services.run());
                let leaves = until_it_leaves(&context, &wanted, (&served, &dhcp), &mut system);
                let left = tokio::select! {
                    _ = stopping.changed() => None,
                    ended = &mut running => return ended,
                    left = leaves => left,
                };
                drop(stop);
                let Some(why) = left else {
                    return running.await;
                };
                info!(interface = name, "{why}");
                context.leave(name);
                // What has not ended by then is dropped.
                let _ = tokio::time::timeout(GRACE, running).await;
            }
            // At start the operator is watching: say it and end. An interface that came later must
            // not take down the others.
            Err(error) if settled.is_some() => return Err(error),
            Err(error) => {
                let seconds = AGAIN.as_secs();
                error!(
                    interface = name,
                    "cannot be served: {error:#}; trying again in {seconds} seconds"
                );
                tokio::select! {
                    _ = stopping.changed() => return Ok(()),
                    changed = system.changed() => if changed.is_err() { return Ok(()) },
                    () = tokio::time::sleep(AGAIN) => {}
                }
            }
        }
    }
}

/// Waits until what is bound for a link is of no use any more, and says why. In the meantime nobody
/// answers for a link that is not there. `None`: nobody watches the interfaces any more.
async fn until_it_leaves(
    context: &LinkContext,
    wanted: &Interface,
    (served, dhcp): (&ServedLink, &(dhcp::Link, Option<Subnet>)),
    system: &mut watch::Receiver<System>,
) -> Option<&'static str> {
    let link = &served.link;
    let mut is_there = true;
    loop {
        {
            let system = system.borrow_and_update();
            let resolved = links::resolve(wanted, &system);
            context
                .daemon
                .wait_for(&link.name, resolved.as_ref().err().cloned());
            match resolved {
                Ok(now) if now.is_still(link) => {
                    if !is_there {
                        context.serve(served, dhcp);
                    }
                    is_there = true;
                }
                Ok(now) if now.address == link.address => {
                    return Some("it is another than before; its services are bound anew");
                }
                Ok(_) => return Some("its address is another now; its services follow"),
                Err(_) if !link.may_return(&system) => return Some("its services end"),
                Err(_) => {
                    context.leave(&link.name);
                    is_there = false;
                }
            }
        }
        system.changed().await.ok()?;
    }
}

async fn settle(settled: &mut Option<mpsc::Sender<()>>) {
    if let Some(settled) = settled.take() {
        let _ = settled.send(()).await;
    }
}
