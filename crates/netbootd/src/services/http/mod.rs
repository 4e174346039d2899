//! HTTP: everything after the first loader.
//!
//! ```text
//! GET  /boot/<mac>.ipxe                                   the script of one client
//! GET  /loader/<file>                                     loaders, for UEFI HTTP Boot
//! GET  /images/<name>/<generation>/{vmlinuz,initrd.img,root.squashfs}
//! GET  /images/<name>/<generation>/initrd.img?card=…      with the drivers of one card alone
//! GET  /client/<mac>/overlay.cpio?token=…                 what makes this client different
//! POST /client/<mac>/host-key                             signs its ssh host key
//! POST /client/<mac>/report                               how far it has come
//! POST /client/<mac>/damage                               a block of its root is not what it must be
//! ```
//!
//! Files go from the page cache to the socket by `sendfile`. There are no redirects, since firmware
//! fails on them, and nothing here is secret: the token proves presence on the LAN and no more.

mod answer;
mod boot_script;
mod connection;
mod range;
mod request;
mod routes;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

use crate::daemon::Daemon;

/// Connections served at once; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1024;

/// Serves `listener` until `shutdown` changes.
pub async fn serve(
    daemon: Arc<Daemon>,
    listener: TcpListener,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = Arc::clone(&places)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = shutdown.changed() => return Ok(()),
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors or a connection reset before it was taken: neither ends us.
                warn!(%error, "HTTP: a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let daemon = Arc::clone(&daemon);
        tokio::spawn(async move {
            let routes = routes::Routes { daemon: &daemon };
            if let Err(error) = connection::serve(stream, &routes).await {
                debug!(%error, "HTTP: a connection ended");
            }
            drop(place);
        });
    }
}
