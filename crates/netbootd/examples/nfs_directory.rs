//! Serves a directory read-only over NFSv3, for trying clients against the server alone:
//! `nfs_directory DIRECTORY ADDRESS [PORT]`. Ports 111 and 627 are served too if they are free.

#[path = "../tests/nfs/directory.rs"]
#[allow(unreachable_pub, reason = "shared by two programs")]
mod directory;
#[path = "../src/services/nfs/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "shared with the daemon"
)]
mod service;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().context("which directory?")?;
    let address: Ipv4Addr = arguments.next().context("which address?")?.parse()?;
    let port = arguments.next().map_or(Ok(2049), |port| port.parse())?;

    let sockets = service::bind(address, port, true)?;
    for warning in &sockets.warnings {
        eprintln!("warning: {warning}");
    }
    let options = service::Options::new(port);
    let counters = Arc::clone(&options.counters);
    let files = Arc::new(directory::Directory::new(Path::new(&directory)));
    let on_mount: service::OnMount = Arc::new(|client, path| {
        println!("{client} mounted {}", String::from_utf8_lossy(path));
    });
    let interrupted = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    println!("serving {directory} at {address}:{port}");
    service::serve(
        options,
        sockets.listeners,
        sockets.port_mapper,
        files,
        on_mount,
        interrupted,
    )
    .await?;
    for figures in counters.figures() {
        println!("{figures:?}");
    }
    Ok(())
}
