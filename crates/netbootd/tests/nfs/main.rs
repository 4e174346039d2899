//! The NFS service over real sockets.

mod client;
#[allow(unreachable_pub, reason = "shared with an example")]
mod directory;
mod hostile;
#[path = "../../src/services/nfs/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "the daemon uses more of it"
)]
mod service;

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use client::{Client, READ, data, opaque, read_arguments, record, word};
use service::{Counters, Options};

/// A service on a free port of the loopback, with a directory of its own.
struct Server {
    address: SocketAddr,
    port_mapper: SocketAddr,
    directory: tempfile::TempDir,
    counters: Arc<Counters>,
    files: Arc<directory::Directory>,
    mounted: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicUsize>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start() -> Self {
        Self::start_with(|_| {})
    }

    fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let udp_address = udp.local_addr().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut options = Options::new(2049);
        change(&mut options);
        let counters = Arc::clone(&options.counters);
        let mounted = Arc::<Mutex<Vec<String>>>::default();
        let ended = Arc::<AtomicUsize>::default();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (seen, end) = (Arc::clone(&mounted), Arc::clone(&ended));
        let files = Arc::new(directory::Directory::new(directory.path()));
        let served = Arc::clone(&files);
        let listeners = vec![tokio::net::TcpListener::from_std(listener).unwrap()];
        let udp = tokio::net::UdpSocket::from_std(udp).unwrap();
        let port_mapper = service::PortMapper::Ours(udp);
        runtime.spawn(async move {
            let on_mount: service::OnMount = Arc::new(move |_, path| {
                seen.lock()
                    .unwrap()
                    .push(String::from_utf8(path.to_vec()).unwrap());
            });
            let stopped = async {
                let _ = stopped.await;
            };
            let served = service::serve(options, listeners, port_mapper, files, on_mount, stopped);
            served.await.unwrap();
            end.fetch_add(1, Ordering::SeqCst);
        });
        Self {
            address,
            port_mapper: udp_address,
            directory,
            counters,
            files: served,
            mounted,
            ended,
            stop: Some(stop),
            runtime,
        }
    }

    /// Writes a file of `len` bytes that are not all alike.
    fn file(&self, name: &str, len: usize) -> Vec<u8> {
        let bytes: Vec<u8> = (0..len).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect();
        std::fs::write(self.directory.path().join(name), &bytes).unwrap();
        bytes
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }
}

/// Waits for something that must come soon.
fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The memory of this process in bytes, the server's and the clients'.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

/// Whether the server closes a connection that is sent nothing more on.
fn is_closed(client: &mut Client) -> bool {
    matches!(client.stream.read(&mut [0; 1]), Ok(0))
        || client
            .stream
            .take_error()
            .is_ok_and(|error| error.is_some())
}

#[test]
fn images_and_files_arrive_whole_whatever_the_size_of_the_reads() {
    let server = Server::start();
    let len = 2_500_003;
    for name in ["root.squashfs", "file"] {
        let bytes = server.file(name, len);
        let mut client = server.client();
        let root = client.mount("/");
        let file = client.lookup(&root, name);
        for count in [1 << 20, 131_072, 32_769, 32_768, 4097, 7] {
            for offset in [0, 3, 1_000_001, len - 5, len] {
                let arguments = read_arguments(&file, offset as u64, count);
                let results = client.call(100_003, READ, &arguments);
                let end = len.min(offset + count as usize);
                assert!(
                    data(&results) == &bytes[offset..end],
                    "{name} {offset} {count}"
                );
                assert_eq!(word(&results, 96) == 1, end == len, "end of file");
            }
        }
    }
}

#[test]
fn pipelined_calls_are_all_answered_each_once() {
    let server = Server::start();
    let image = server.file("root.squashfs", 300_000);
    let file = server.file("file", 300_000);
    let mut client = server.client();
    let root = client.mount("/");
    let handles = [
        client.lookup(&root, "root.squashfs"),
        client.lookup(&root, "file"),
    ];
    let mut stream = Vec::new();
    let reads: Vec<_> = (0..200_u32)
        .map(|xid| (xid, xid as usize % 2, u64::from(xid) * 1000, 1 + xid * 700))
        .collect();
    for (xid, which, offset, count) in &reads {
        let arguments = read_arguments(&handles[*which], *offset, *count);
        stream.extend(record(*xid, 100_003, READ, &arguments));
    }
    let mut writer = client.stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || writer.write_all(&stream).unwrap());
    let mut answered = std::collections::BTreeSet::new();
    for _ in 0..reads.len() {
        let (xid, results) = client.reply().unwrap();
        assert!(answered.insert(xid), "{xid} twice");
        let (_, which, offset, count) = reads[xid as usize];
        let bytes = [&image, &file][which];
        let end = bytes.len().min(offset as usize + count as usize);
        assert!(data(&results) == &bytes[offset as usize..end], "{xid}");
    }
    sender.join().unwrap();
}

#[test]
fn a_slow_read_does_not_hold_up_an_image_on_the_same_connection() {
    let server = Server::start();
    server.file("root.squashfs", 1 << 20);
    server.file("slow", 1000);
    let mut client = server.client();
    let root = client.mount("/");
    let slow = client.lookup(&root, "slow");
    let image = client.lookup(&root, "root.squashfs");
    let mut stream = record(1, 100_003, READ, &read_arguments(&slow, 0, 1000));
    for xid in 2..10 {
        let arguments = read_arguments(&image, 0, 1 << 20);
        stream.extend(record(xid, 100_003, READ, &arguments));
    }
    client.stream.write_all(&stream).unwrap();
    for xid in 2..10 {
        assert_eq!(client.reply().unwrap().0, xid);
    }
    assert_eq!(client.reply().unwrap().0, 1);
}

#[test]
fn one_connection_has_only_so_many_threads_and_so_much_in_the_making() {
    let server = Server::start();
    server.file("slow", 1 << 20);
    let mut client = server.client();
    let root = client.mount("/");
    let slow = client.lookup(&root, "slow");
    let most = |client: &mut Client, count: u32, calls: usize| {
        server.files.slow[1].store(0, Ordering::SeqCst);
        let call = record(1, 100_003, READ, &read_arguments(&slow, 0, count));
        client.stream.write_all(&call.repeat(calls)).unwrap();
        (0..calls).for_each(|_| assert_eq!(client.reply().unwrap().0, 1));
        server.files.slow[1].load(Ordering::SeqCst)
    };
    assert!((2..=4).contains(&most(&mut client, 1000, 9)));
    assert_eq!(most(&mut client, 1 << 20, 3), 1);
}

#[test]
fn a_peer_that_says_its_last_gets_every_answer() {
    let server = Server::start();
    server.file("slow", 1000);
    let mut client = server.client();
    let root = client.mount("/");
    let slow = client.lookup(&root, "slow");
    let call = record(7, 100_003, READ, &read_arguments(&slow, 0, 1000));
    client.stream.write_all(&call.repeat(3)).unwrap();
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    (0..3).for_each(|_| assert_eq!(client.reply().unwrap().0, 7));
    assert!(is_closed(&mut client));
}

#[test]
fn a_call_in_small_fragments_is_answered() {
    let server = Server::start();
    let mut client = server.client();
    let call = record(9, 100_003, 0, &[])[4..].to_vec();
    for (at, piece) in call.chunks(4).enumerate() {
        let last = (at + 1) * 4 >= call.len();
        let mark = 4 | if last { 1_u32 << 31 } else { 0 };
        client
            .stream
            .write_all(&[&mark.to_be_bytes(), piece].concat())
            .unwrap();
    }
    assert_eq!(client.reply().unwrap(), (9, Vec::new()));
}

#[test]
fn peers_that_never_drain_cost_two_mebibytes_each_at_most() {
    let server = Server::start();
    server.file("root.squashfs", 1 << 20);
    server.file("file", 1 << 20);
    let mut other = server.client();
    let root = other.mount("/");
    let before = resident();
    let mut all = Vec::new();
    for name in ["root.squashfs", "file"] {
        let file = other.lookup(&root, name);
        for count in [1 << 20, 128 * 1024] {
            let call = record(1, 100_003, READ, &read_arguments(&file, 0, count));
            for _ in 0..5 {
                let mut greedy = server.client();
                let timeout = Some(Duration::from_millis(200));
                greedy.stream.set_write_timeout(timeout).unwrap();
                assert!(greedy.stream.write_all(&call.repeat(100_000)).is_err());
                all.push(greedy);
            }
        }
    }
    let cost = resident().saturating_sub(before) / all.len() as u64;
    assert!(cost < 2 << 20, "{cost} bytes each");
}

#[test]
fn a_peer_that_never_drains_stops_being_read_and_harms_nobody() {
    let server = Server::start();
    server.file("root.squashfs", 1 << 20);
    server.file("file", 1 << 20);
    let mut other = server.client();
    let root = other.mount("/");
    for name in ["root.squashfs", "file"] {
        let file = other.lookup(&root, name);
        let mut greedy = server.client();
        let timeout = Some(Duration::from_millis(500));
        greedy.stream.set_write_timeout(timeout).unwrap();
        let call = record(1, 100_003, READ, &read_arguments(&file, 0, 1 << 20));
        let calls = call.repeat(200_000);
        let start = Instant::now();
        assert!(
            greedy.stream.write_all(&calls).is_err(),
            "all 200 000 calls were read"
        );
        assert!(start.elapsed() < Duration::from_secs(15));
        let results = other.call(100_003, READ, &read_arguments(&file, 0, 100));
        assert_eq!(data(&results).len(), 100);
    }
}

#[test]
fn a_half_sent_record_is_cut_and_a_silent_connection_is_kept() {
    let server = Server::start_with(|options| {
        options.record_timeout = Duration::from_millis(300);
    });
    assert_eq!(Options::new(2049).record_timeout, Duration::from_secs(60));
    let mut silent = server.client();
    let mut half = server.client();
    half.stream.write_all(&[0x80, 0, 0, 200, 1, 2, 3]).unwrap();
    let mut dripping = server.client();
    let start = Instant::now();
    while dripping.stream.write_all(&[0, 0, 0, 1, 7]).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(20), "kept for ever");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(is_closed(&mut half));
    std::thread::sleep(Duration::from_millis(1500));
    silent.mount("/");
}

#[test]
fn a_thousand_idle_connections_leave_room_for_one_that_works() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let server = Server::start_with(|options| options.max_connections = 4096);
    let before = resident();
    let idle: Vec<_> = (0..400).map(|_| server.client()).collect();
    let half: Vec<_> = (0..600)
        .map(|_| {
            let mut client = server.client();
            client.stream.write_all(&[0x80, 0, 0, 200, 1]).unwrap();
            client
        })
        .collect();
    let mut client = server.client();
    client.mount("/");
    let connections = || server.counters.figures()[0].connections;
    soon("all are counted", || connections() == 1001);
    // A task and a kilobyte for what has come, each; the sockets are the kernel's.
    let cost = resident().saturating_sub(before) / 1000;
    assert!(cost < 16 * 1024, "{cost} bytes each");
    drop((idle, half));
    soon("all are let go", || connections() == 1);
}

#[test]
fn over_the_limit_the_idlest_connection_makes_room() {
    let server = Server::start_with(|options| options.max_connections = 6);
    let mut first = server.client();
    first.mount("/");
    let mut idle = server.client();
    soon("both are counted", || {
        server.counters.figures()[0].connections == 2
    });
    std::thread::sleep(Duration::from_millis(20));
    first.mount("/");
    let mut third = server.client();
    third.mount("/");
    let mut fourth = server.client();
    fourth.mount("/");
    assert!(is_closed(&mut idle), "half of six are for one address");
    first.mount("/");
    third.mount("/");
}

#[test]
fn a_panic_costs_one_connection() {
    let server = Server::start();
    server.file("panic", 10);
    server.file("file", 10);
    let mut unlucky = server.client();
    let mut other = server.client();
    let root = other.mount("/");
    let file = unlucky.lookup(&root, "panic");
    let call = record(1, 100_003, READ, &read_arguments(&file, 0, 10));
    unlucky.stream.write_all(&call).unwrap();
    assert!(is_closed(&mut unlucky));
    let file = other.lookup(&root, "file");
    let results = other.call(100_003, READ, &read_arguments(&file, 0, 10));
    assert_eq!(data(&results).len(), 10);
}

#[test]
fn a_stream_that_makes_no_sense_is_closed_without_an_answer() {
    let server = Server::start();
    for bytes in [
        &[0xff, 0xff, 0xff, 0xff][..],
        &[0x80, 0, 0, 2, 1, 2],
        &[0x80, 0, 0, 0],
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut client = server.client();
        client.stream.write_all(bytes).unwrap();
        assert!(is_closed(&mut client), "{bytes:?}");
    }
    soon("all are counted", || {
        server.counters.figures()[0].discarded == 4
    });
}

#[test]
fn an_image_shorter_than_it_says_ends_the_connection_and_not_the_daemon() {
    let server = Server::start();
    server.file("root.squashfs", 100_000);
    let mut client = server.client();
    let root = client.mount("/");
    let file = client.lookup(&root, "root.squashfs");
    let read = |offset, count| read_arguments(&file, offset, count);
    client.call(100_003, READ, &read(0, 10));
    // The test's export tells the size of the new file and sends from the old one.
    server.file("new", 200_000);
    let path = |name| server.directory.path().join(name);
    std::fs::rename(path("new"), path("root.squashfs")).unwrap();
    let call = record(1, 100_003, READ, &read(0, 200_000));
    client.stream.write_all(&call).unwrap();
    assert!(client.reply().is_err());
    server.client().mount("/");
}

#[test]
fn mounts_are_told_and_calls_and_bytes_counted() {
    let server = Server::start();
    std::fs::create_dir(server.directory.path().join("images")).unwrap();
    let image = server.file("root.squashfs", 100_000);
    let mut client = server.client();
    client.mount("//images/");
    let root = client.mount("/");
    assert_eq!(*server.mounted.lock().unwrap(), ["/images", "/"]);
    let file = client.lookup(&root, "root.squashfs");
    client.call(100_003, READ, &read_arguments(&file, 0, 100_000));
    soon("all is counted", || {
        let figures = &server.counters.figures()[0];
        figures.calls == 4 && figures.bytes_sent > image.len() as u64
    });
    let figures = &server.counters.figures()[0];
    assert!(figures.bytes_sent < image.len() as u64 + 1000);
    assert!(figures.last_call > 1_700_000_000);
    // MOUNT's calls are of no export.
    let export = &figures.exports[0];
    assert_eq!((&*export.export, export.calls), ("/", 2));
    assert!(export.bytes_sent > image.len() as u64);
    assert_eq!(server.counters.exports(), figures.exports);
    assert_eq!(figures.times.iter().sum::<u64>(), 4);
    assert_eq!(server.counters.times(), figures.times);
}

#[test]
fn the_port_mapper_answers_on_udp() {
    let server = Server::start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let arguments = [100_003_u32, 3, 6, 0].map(u32::to_be_bytes).concat();
    let call = &record(5, 100_000, 3, &arguments)[4..];
    socket.send_to(b"junk", server.port_mapper).unwrap();
    socket.send_to(call, server.port_mapper).unwrap();
    let mut reply = [0; 100];
    let (len, from) = socket.recv_from(&mut reply).unwrap();
    assert_eq!(from, server.port_mapper);
    assert_eq!((word(&reply, 0), word(&reply, len - 4)), (5, 2049));
}

#[test]
fn stopping_lets_go_of_every_connection() {
    let mut server = Server::start();
    let mut client = server.client();
    client.mount("/");
    server.stop.take().unwrap().send(()).unwrap();
    assert!(is_closed(&mut client));
    soon("serve returns", || server.ended.load(Ordering::SeqCst) == 1);
    assert!(std::net::TcpStream::connect(server.address).is_err());
    assert_eq!(server.runtime.metrics().num_alive_tasks(), 0);
}

#[test]
fn an_export_is_listed() {
    let server = Server::start();
    let list = server.client().call(100_005, 5, &[]);
    assert_eq!(list, [vec![0, 0, 0, 1], opaque(b"/"), vec![0; 8]].concat());
}
