//! Rows of the list of bad inputs that want real sockets.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::fd::AsFd;

use super::client::{READ, data, opaque, read_arguments, record, word};
use super::{Server, is_closed, soon};

/// Open descriptors of this process.
fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Resident memory of this process, in KiB.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.unwrap().parse().unwrap()
}

/// A call with an AUTH_SYS credential from a machine of this name.
fn record_from(machine: &[u8], program: u32, number: u32, arguments: &[u8]) -> Vec<u8> {
    let words =
        |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_be_bytes()).collect() };
    let body = [words(&[0]), opaque(machine), words(&[0, 0, 0])].concat();
    let head = words(&[1, 0, 2, program, 3, number, 1]);
    let call = [head, opaque(&body), words(&[0, 0]), arguments.to_vec()].concat();
    [words(&[1 << 31 | call.len() as u32]), call].concat()
}

#[test]
fn rpc_02_endless_fragments_are_cut_and_not_kept() {
    let server = Server::start();
    server.client().mount("/");
    let before = resident();
    let mut endless = server.client();
    let fragment = [&0x0000_ffff_u32.to_be_bytes()[..], &[7; 0xffff]].concat();
    let sent = (0..4096).take_while(|_| endless.stream.write_all(&fragment).is_ok());
    let sent = sent.count();
    assert!(sent < 4096, "256 MiB of fragments were taken");
    assert!(is_closed(&mut endless));
    let grown = resident().saturating_sub(before);
    assert!(grown < 2048, "grown by {grown} KiB");
    server.client().mount("/");
}

#[test]
fn rpc_07_a_machine_name_is_as_long_as_its_bytes() {
    let server = Server::start();
    let mut client = server.client();
    let mut call = record_from(b"pc", 100_003, 0, &[]);
    // The length of the name stands behind mark, head, flavour, length and stamp.
    call[4 + 28 + 4 + 4..][..4].copy_from_slice(&0xffff_fff0_u32.to_be_bytes());
    client.stream.write_all(&call).unwrap();
    let mut denied = [0; 24];
    std::io::Read::read_exact(&mut client.stream, &mut denied).unwrap();
    let words: Vec<u32> = (0..6).map(|at| word(&denied, at * 4)).collect();
    assert_eq!(words[1..], [1, 1, 1, 1, 1], "denied: bad credential");
}

#[test]
fn rpc_18_connections_that_are_reset_at_once_leave_nothing() {
    let server = Server::start();
    server.client().mount("/");
    soon("all are let go", || {
        server.counters.figures()[0].connections == 0
    });
    let before = descriptors();
    for _ in 0..2000 {
        let stream = TcpStream::connect(server.address).unwrap();
        rustix::net::sockopt::set_socket_linger(stream.as_fd(), Some(std::time::Duration::ZERO))
            .unwrap();
    }
    soon("all descriptors are given back", || descriptors() <= before);
    server.client().mount("/");
}

#[test]
fn rpc_19_ten_thousand_changed_calls_hurt_nobody() {
    let server = Server::start();
    let bytes = server.file("file", 5000);
    let mut good = server.client();
    let root = good.mount("/");
    let file = good.lookup(&root, "file");
    let calls = [
        record(1, 100_003, 1, &file),
        record(1, 100_003, 4, &[&file[..], &[0xff; 4]].concat()),
        record(1, 100_003, READ, &read_arguments(&file, 0, 4096)),
        record(1, 100_003, 3, &[&root[..], &opaque(b"file")].concat()),
        record(
            1,
            100_003,
            17,
            &[&root[..], &[0; 22], &[0x10, 0, 0, 0, 0x10, 0]].concat(),
        ),
        record(1, 100_005, 1, &opaque(b"/")),
        record(1, 100_000, 3, &[0; 16]),
    ];
    let (descriptors, memory) = (descriptors(), resident());
    let mut state = 1_u64;
    let mut random = |end: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % end
    };
    for round in 0..10_000 {
        let mut call = calls[round % calls.len()].clone();
        // The mark is left alone, so that the record is looked at.
        let at = 4 + random(call.len() - 4);
        match random(3) {
            0 => call[at] ^= 1 << random(8),
            1 => call[at & !3..][..4].copy_from_slice(&[0xff, 0xff, 0xff, 0xf0]),
            _ => call[at] = random(256) as u8,
        }
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(&call).unwrap();
        if round % 500 == 0 {
            let results = good.call(100_003, READ, &read_arguments(&file, 7, 100));
            assert_eq!(
                data(&results),
                &bytes[7..107],
                "an old handle is still good"
            );
        }
    }
    soon("all descriptors are given back", || {
        self::descriptors() <= descriptors
    });
    let grown = resident().saturating_sub(memory);
    assert!(grown < 16 * 1024, "grown by {grown} KiB");
}

#[test]
fn mnt_05_five_thousand_mounts_are_not_remembered() {
    let server = Server::start();
    let mut client = server.client();
    client.mount("/");
    let before = resident();
    for number in 0..5000 {
        let name = format!("host-{number}.example");
        let call = record_from(name.as_bytes(), 100_005, 1, &opaque(b"/"));
        client.stream.write_all(&call).unwrap();
        assert_eq!(word(&client.reply().unwrap().1, 0), 0);
    }
    assert_eq!(client.call(100_005, 2, &[]), [0; 4], "DUMP is empty");
    // What the test's own list of mounts takes is in it.
    let grown = resident().saturating_sub(before);
    assert!(grown < 4096, "grown by {grown} KiB");
}
