//! The sockets of NFS, MOUNT and the port mapper.
//!
//! ```text
//!   listener(s) ──► Connection ──► ::nfs::serve ──► ExportedFiles
//!   one task per connection:  read ─► answer every whole record ─► send ─► read …
//!                                       │ needs the disk or a decompressor
//!                                       └──► blocking threads, a bounded number at a time;
//!                                            their replies may come after those of later calls
//! ```
//!
//! Nothing is read from a peer while replies to it wait to be sent, so a peer that does not drain
//! costs one reply buffer, what is being answered for it (a mebibyte), and no more. READs of plain
//! image files leave by `sendfile` from the page cache; what is not in the cache is fetched on a
//! blocking thread first. READs of trees are sent from the block cache, after decompressing a block or
//! two on the connection's own thread if that is quick; what takes longer goes to a blocking thread,
//! and is then fetched ahead of who reads in order. A connection that has sent a mebibyte of image, or
//! a quarter of that from memory, lets others go first. A panic in a call ends that connection only.

mod accept;
mod ahead;
mod bind;
mod connection;
mod counters;
mod eager;
mod histogram;
mod patient;
mod places;
mod port_mapper;
mod registration;
mod session;
mod threads;
mod transmit;

use std::fs::File;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::nfs::{FileHandle, FileToken, Ports, ReadOnlyFs, Status};
use rustix::process::{Resource, getrlimit};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

pub use bind::{PortMapper, Sockets, bind};
pub use counters::Counters;
pub use histogram::quantile_micros;
pub use places::PlaceFigures;

/// How long connections may go on with what they are sending once the service is told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Enough for any room.
const MAX_CONNECTIONS: u64 = 4096;

/// Files to serve, some of which may be sent straight from the disk.
pub trait ExportedFiles: ReadOnlyFs + Send + Sync {
    /// The open file behind the token of a [`FileRange`](::nfs::FileRange) just returned; `None` if
    /// its generation has gone meanwhile, which costs the client a reconnection.
    fn file(&self, token: FileToken) -> Option<Arc<File>>;

    /// The same files for those who must not wait: what would have to be read from a disk,
    /// decompressed, or waited for is [`Status::JukeBox`](::nfs::Status::JukeBox). Never asked to
    /// mount or to list.
    fn at_once(&self) -> &dyn ReadOnlyFs;

    /// A piece of a file that is in memory, to be sent from there, under the same conditions; `None`
    /// where there is no such thing, and the file is to be read.
    fn slices_at_once(
        &self,
        _file: &FileHandle,
        _offset: u64,
        _count: u32,
    ) -> Option<Result<Slices, Status>> {
        None
    }

    /// What calls about this file are counted under, if they are.
    fn place(&self, file: &FileHandle) -> Option<Arc<str>>;

    /// Makes ready what will probably be read next of a file that is not a plain one. May block.
    fn prefetch(&self, file: &FileHandle, offset: u64, len: u32);
}

/// A piece of a file that is in memory.
#[derive(Debug)]
pub struct Slices {
    /// Its bytes, in order.
    pub slices: Vec<squashfs::Slice>,
    /// Whether the file ends with it.
    pub eof: bool,
}

/// Called with the client and the tidied path when a client has been given a root handle.
pub type OnMount = Arc<dyn Fn(SocketAddr, &[u8]) + Send + Sync>;

/// What can be set.
#[derive(Clone, Debug)]
pub struct Options {
    /// Ports that the port mapper tells.
    pub ports: Ports,
    /// Most connections at once, half of them from one address. One more ends the one that has been
    /// idle for longest.
    pub max_connections: usize,
    /// Most calls at once on blocking threads.
    pub max_blocking: usize,
    /// A record that has begun must end within this.
    pub record_timeout: Duration,
    /// Calls and bytes per client.
    pub counters: Arc<Counters>,
}

impl Options {
    /// Bounds that suit a room of clients and the descriptors that this process may have; NFS and
    /// MOUNT on one port.
    pub fn new(port: u16) -> Self {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self {
            ports: Ports {
                nfs: port,
                mount: port,
            },
            max_connections: (descriptors / 4 * 3).clamp(16, MAX_CONNECTIONS) as usize,
            max_blocking: (cores() * 4).clamp(8, 64),
            record_timeout: Duration::from_secs(60),
            counters: Arc::default(),
        }
    }
}

/// Processors of this machine.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// What all connections share.
struct Service {
    options: Options,
    files: Arc<dyn ExportedFiles>,
    on_mount: OnMount,
    /// Threads for calls that may block.
    blocking: Arc<Semaphore>,
    /// Threads for what nobody waits for yet.
    ahead: Arc<Semaphore>,
}

/// Serves until `shutdown` is ready, then lets connections finish the reply they are sending.
///
/// `listeners` all answer every program on TCP; `port_mapper` is kept until the end. Must run on a tokio
/// runtime with time and io enabled. Returns an error only if the sockets cannot be used at all.
pub async fn serve(
    options: Options,
    listeners: Vec<TcpListener>,
    port_mapper: PortMapper,
    files: Arc<dyn ExportedFiles>,
    on_mount: OnMount,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let service = Arc::new(Service {
        blocking: Arc::new(Semaphore::new(options.max_blocking)),
        ahead: Arc::new(Semaphore::new(cores())),
        options,
        files,
        on_mount,
    });
    let (stop, stopped) = watch::channel(false);
    let mut connections = accept::Connections::new()?;
    tokio::select! {
        () = shutdown => {}
        result = accept::accept(&service, &listeners, &mut connections, stopped) => result?,
        result = port_mapper::answer(&service, &port_mapper) => result?,
    }
    drop(listeners);
    // Nobody may be left to tell, and that is fine.
    let _ = stop.send(true);
    let _ = tokio::time::timeout(GRACE, connections.drained()).await;
    Ok(())
}
