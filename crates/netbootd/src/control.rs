//! The control API: HTTP and JSON over a socket file, for root and the group `netbootd`.
//!
//! ```text
//! GET /status    every client's latest boot      GET /leases    the lease book
//! GET /links     what is served where            GET /images    what is published
//! GET /set-aside addresses of pools that somebody has without a lease, and who
//! GET /waiting   the interfaces that are waited for, and why
//! GET /builds    images that are being built, and how the last build of each other one ended
//! GET /tickets   what single machines boot next
//! GET /nfs       calls, bytes and times: of each client, of each export, of all
//! GET /why/PC    one client's latest boot, by its name, MAC address or address
//! GET /runs      what machines have measured      GET /runs/now  what they measure now
//! GET /ssh       what makes ssh trust the clients     GET /alarms   what must not stay so
//! POST /tickets  gives one, or takes it away      POST /wake     switches a machine on
//! POST /apply    signs a key for one task of a machine's root      GET /overlay/MAC  that overlay
//! POST /leases/release  ends leases            POST /leases/import  takes another server's over
//! POST /boot-again  a ticket for what a run was made with
//! ```

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::daemon::{Daemon, unix_millis};
use crate::identity;
use crate::lease_orders;
use crate::leases::{LeaseStatus, lease_clock, to_record};
use crate::links::NotYet;
use crate::orders;
use crate::overlay;
use crate::power;
use crate::runs;
use crate::services::dhcp::Shared;
use crate::services::nfs::PlaceFigures;
use crate::why;

/// A served link, as `netbootd status` shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The interface.
    pub interface: String,
    /// Our address on it, with the length of its prefix.
    pub address: String,
    /// `full` or `proxy`.
    pub mode: String,
    /// Where scripts, kernels and images are.
    pub http: String,
}

/// A published image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImageStatus {
    /// Its name.
    pub name: String,
    /// The generation.
    pub generation: String,
    /// Whether new boots get it.
    pub current: bool,
    /// Size of its root, in bytes.
    pub root_bytes: u64,
}

/// Makes the socket file: a stale one is replaced, one that somebody answers on is not.
pub fn bind(path: &Path) -> anyhow::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        anyhow::bail!("another netbootd already answers on {}", path.display());
    }
    let _ = std::fs::remove_file(path);
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot make {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Answers until `shutdown` changes.
pub async fn serve(
    daemon: Arc<Daemon>,
    shared: Arc<Shared>,
    listener: UnixListener,
    mut shutdown: watch::Receiver<bool>,
) -> std::io::Result<()> {
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "control socket");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            },
            _ = shutdown.changed() => return Ok(()),
        };
        let (daemon, shared) = (Arc::clone(&daemon), Arc::clone(&shared));
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let (daemon, shared) = (Arc::clone(&daemon), Arc::clone(&shared));
                async move {
                    let (head, body) = request.into_parts();
                    let response = if head.method == Method::POST {
                        order(&daemon, &shared, head.uri.path(), body).await
                    } else {
                        answer(&daemon, &shared, &head)
                    };
                    Ok::<_, Infallible>(response)
                }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = connection {
                debug!(%error, "control connection");
            }
        });
    }
}

/// Longest body of an order, in bytes.
const MAX_ORDER: usize = 64 << 10;
/// The same of leases: 100 000 of them and more.
const MAX_IMPORT: usize = 32 << 20;

/// Something that is to be done. What cannot be done is a 409 with the reason as text.
async fn order(
    daemon: &Daemon,
    shared: &Shared,
    path: &str,
    body: Incoming,
) -> Response<Full<Bytes>> {
    let longest = match path {
        "/leases/import" => MAX_IMPORT,
        _ => MAX_ORDER,
    };
    let body = match Limited::new(body, longest).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            return response(StatusCode::BAD_REQUEST, error.to_string().into_bytes());
        }
    };
    // They write to the disk and to the network.
    let done = tokio::task::block_in_place(|| match path {
        "/tickets" => Some(orders::ticket(daemon, shared, &body)),
        "/boot-again" => Some(runs::boot_again(daemon, shared, &body)),
        "/apply" => Some(identity::apply(daemon, shared, &body)),
        "/leases/release" => Some(lease_orders::release(daemon, shared, &body)),
        "/leases/import" => Some(lease_orders::import(shared, &body)),
        "/wake" => Some(orders::wake(daemon, shared, &body)),
        "/reboot" => Some(power::reboot(daemon, shared, &body)),
        _ => None,
    });
    match done {
        Some(Ok(done)) => response(StatusCode::OK, done),
        Some(Err(reason)) => response(StatusCode::CONFLICT, reason.into_bytes()),
        None => response(StatusCode::NOT_FOUND, b"no such order".to_vec()),
    }
}

fn answer(daemon: &Daemon, shared: &Shared, request: &Parts) -> Response<Full<Bytes>> {
    let path = request.uri.path();
    if let (&Method::GET, Some(client)) = (&request.method, path.strip_prefix("/why/")) {
        return match why::why(daemon, shared, client) {
            Ok(why) => json(&why),
            Err(reason) => response(StatusCode::NOT_FOUND, reason.into_bytes()),
        };
    }
    if let (&Method::GET, Some(client)) = (&request.method, path.strip_prefix("/overlay/")) {
        let made = client
            .parse()
            .map_err(|_| anyhow::anyhow!("no MAC address"))
            .and_then(|client| {
                tokio::task::block_in_place(|| overlay::render(daemon, client, None))
            });
        return match made {
            Ok(archive) => response(StatusCode::OK, archive),
            Err(error) => response(StatusCode::NOT_FOUND, format!("{error:#}").into_bytes()),
        };
    }
    let body = match (&request.method, path) {
        (&Method::GET, "/status") => serde_json::to_vec(&daemon.timelines().status(unix_millis())),
        (&Method::GET, "/leases") => serde_json::to_vec(&leases(shared)),
        (&Method::GET, "/alarms") => serde_json::to_vec(&alarms(daemon, shared)),
        (&Method::GET, "/set-aside") => {
            serde_json::to_vec(&shared.with(|server| server.set_aside()))
        }
        (&Method::GET, "/links") => serde_json::to_vec(&links(daemon)),
        (&Method::GET, "/waiting") => serde_json::to_vec(&waiting(daemon)),
        (&Method::GET, "/nfs") => serde_json::to_vec(&nfs(daemon)),
        (&Method::GET, "/runs/now") => serde_json::to_vec(&runs::going_on(daemon)),
        (&Method::GET, "/runs") => serde_json::to_vec(&runs::all(daemon)),
        (&Method::GET, "/ssh") => serde_json::to_vec(&identity::status(daemon)),
        (&Method::GET, "/tickets") => serde_json::to_vec(&orders::tickets(daemon)),
        (&Method::GET, "/builds") => return builds(daemon),
        (&Method::GET, "/images") => serde_json::to_vec(&images(daemon)),
        _ => return response(StatusCode::NOT_FOUND, b"{\"error\":\"not found\"}".to_vec()),
    };
    made(body)
}

fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    made(serde_json::to_vec(value))
}

fn made(body: serde_json::Result<Vec<u8>>) -> Response<Full<Bytes>> {
    match body {
        Ok(body) => response(StatusCode::OK, body),
        Err(error) => response(
            StatusCode::INTERNAL_SERVER_ERROR,
            error.to_string().into_bytes(),
        ),
    }
}

fn response(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, json);
    response
}

fn leases(shared: &Shared) -> Vec<LeaseStatus> {
    let now = lease_clock();
    shared.with(|server| {
        let status = |lease: &dhcp::Lease| {
            let record = to_record(lease, now);
            LeaseStatus {
                address: record.address,
                client: record.mac,
                hostname: record.hostname,
                remaining: record.expires.saturating_sub(now.unix),
                state: record.state,
            }
        };
        let mut leases: Vec<LeaseStatus> = server.leases().map(status).collect();
        leases.sort_by_key(|lease| lease.address);
        leases
    })
}

/// What is served where.
pub fn links(daemon: &Daemon) -> Vec<LinkStatus> {
    let status = |served: &crate::daemon::ServedLink| LinkStatus {
        interface: served.link.name.clone(),
        address: format!("{}/{}", served.link.address, served.link.prefix_len),
        mode: match served.mode {
            dhcp::Mode::Full => "full".to_owned(),
            dhcp::Mode::Proxy => "proxy".to_owned(),
        },
        http: format!("http://{}:{}", served.link.address, served.http_port),
    };
    daemon.links.load().iter().map(status).collect()
}

/// What must not stay as it is.
fn alarms(daemon: &Daemon, shared: &Shared) -> Vec<String> {
    let nat = daemon.nat.load_full();
    let nat = nat.map(|reason| String::clone(&reason));
    let alarms = shared.alarm().into_iter();
    alarms.chain(daemon.foreign.alarms()).chain(nat).collect()
}

/// The interfaces that are waited for, each with the reason in words.
fn waiting(daemon: &Daemon) -> BTreeMap<String, String> {
    let waiting = daemon.waiting.load();
    let words = |(name, reason): (&String, &NotYet)| (name.clone(), reason.to_string());
    waiting.iter().map(words).collect()
}

/// What was asked of NFS.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NfsStatus {
    /// Each client.
    pub clients: Vec<NfsClientStatus>,
    /// Each export that was asked for, the last one first.
    pub exports: Vec<NfsExportStatus>,
    /// All calls by how long they took: the first number counts those below a microsecond, the
    /// next those below two, and so on in powers of two; the last has all that took longer.
    pub times: Vec<u64>,
}

/// What was asked of one export: a generation as a file or as a tree, or a folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NfsExportStatus {
    /// Its path; a generation's says which.
    pub export: String,
    /// Calls answered.
    pub calls: u64,
    /// Bytes of replies.
    pub bytes_sent: u64,
    /// The last call, in milliseconds since 1970.
    pub last_call: u64,
}

impl From<PlaceFigures> for NfsExportStatus {
    fn from(figures: PlaceFigures) -> Self {
        Self {
            export: figures.export.to_string(),
            calls: figures.calls,
            bytes_sent: figures.bytes_sent,
            last_call: figures.last_call,
        }
    }
}

/// What one client has asked of NFS.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NfsClientStatus {
    /// Its address.
    pub address: std::net::IpAddr,
    /// Calls answered.
    pub calls: u64,
    /// Bytes of replies.
    pub bytes_sent: u64,
    /// Messages that got no answer.
    pub discarded: u64,
    /// Open connections.
    pub connections: usize,
    /// Each export that it asked for, the last one first: the generation that it is on.
    pub exports: Vec<NfsExportStatus>,
    /// Its calls by how long they took, as in [`NfsStatus::times`].
    pub times: Vec<u64>,
}

fn nfs(daemon: &Daemon) -> NfsStatus {
    let exports = daemon.nfs_counters.exports().into_iter();
    NfsStatus {
        clients: nfs_clients(daemon),
        exports: exports.map(Into::into).collect(),
        times: daemon.nfs_counters.times().to_vec(),
    }
}

fn nfs_clients(daemon: &Daemon) -> Vec<NfsClientStatus> {
    let figures = daemon.nfs_counters.figures().into_iter();
    let mut clients: Vec<NfsClientStatus> = figures
        .map(|client| NfsClientStatus {
            address: client.address,
            calls: client.calls,
            bytes_sent: client.bytes_sent,
            discarded: client.discarded,
            connections: client.connections,
            exports: client.exports.into_iter().map(Into::into).collect(),
            times: client.times.to_vec(),
        })
        .collect();
    clients.sort_by_key(|client| client.address);
    clients
}

fn builds(daemon: &Daemon) -> Response<Full<Bytes>> {
    let catalogue = image::catalogue::Catalogue::open(&daemon.config.state_dir);
    // A few small files.
    match tokio::task::block_in_place(|| catalogue.builds()) {
        Ok(builds) => json(&builds),
        Err(error) => response(
            StatusCode::INTERNAL_SERVER_ERROR,
            error.to_string().into_bytes(),
        ),
    }
}

fn images(daemon: &Daemon) -> Vec<ImageStatus> {
    let images = daemon.images.load();
    let status = |generation: &Arc<crate::images::Generation>| ImageStatus {
        name: generation.name.to_string(),
        generation: generation.id.to_string(),
        current: generation.current,
        root_bytes: generation
            .root
            .file
            .metadata()
            .map_or(0, |metadata| metadata.len()),
    };
    images.generations.iter().map(status).collect()
}
