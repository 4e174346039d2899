//! The promises that hold for all bytes: no panic, no reply beyond its bound, nothing remembered.

use crate::rpc::MAX_RECORD;
use crate::testing::{Client, TestFs, opaque};
use crate::{Body, Endpoint, MAX_REPLY, Records, Transport, serve};

/// Whatever is sent gets at most one reply, of bounded length, and leaves the server as it was.
#[test]
fn calls() {
    let seeds = fuzz::corpus(include_str!("../tests/corpus/calls.txt"));
    let endpoint = Client::new().endpoint;
    let mut before = Vec::new();
    let getattr = Client::new().message([100_003, 3, 1], &opaque(b"/export"));
    serve(&getattr, &endpoint, &TestFs, &mut before).unwrap();
    fuzz::run("calls", &seeds, |message| {
        for transport in [Transport::Tcp, Transport::Udp] {
            answer(
                message,
                &Endpoint {
                    transport,
                    ..endpoint
                },
            );
        }
        let mut after = Vec::new();
        serve(&getattr, &endpoint, &TestFs, &mut after).unwrap();
        assert_eq!(after, before);
    });
}

fn answer(message: &[u8], endpoint: &Endpoint) {
    let mut out = Vec::new();
    let Ok(reply) = serve(message, endpoint, &TestFs, &mut out) else {
        return assert!(out.is_empty(), "nothing is sent for what is discarded");
    };
    let len = out.len() + reply.body.len_outside();
    assert!(len <= MAX_REPLY + 4, "{len} bytes of reply");
    let transaction = if endpoint.transport == Transport::Tcp {
        let mark = u32::from_be_bytes(out[..4].try_into().unwrap());
        assert_eq!(mark, 1 << 31 | (len - 4) as u32);
        &out[4..8]
    } else {
        // A small question from a forged address must not become a large answer elsewhere.
        assert!(len <= 1024, "{len} bytes over UDP");
        assert_eq!(reply.body, Body::Bytes);
        &out[..4]
    };
    assert_eq!(transaction, &message[..4]);
}

/// However a stream is cut, the same records come out of it, and no more is kept than one record.
#[test]
fn records() {
    let seeds = fuzz::corpus(include_str!("../tests/corpus/records.txt"));
    fuzz::run("records", &seeds, |stream| {
        let whole = cut(stream, usize::MAX);
        for piece in [1, 3, 4, 7] {
            assert_eq!(cut(stream, piece), whole, "in pieces of {piece}");
        }
    });
}

/// The records of a stream, and whether it is one to its end.
fn cut(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, bool) {
    let (mut records, mut found, mut rest) = (Records::new(), Vec::new(), stream);
    while !rest.is_empty() {
        let space = records.space();
        assert!(!space.is_empty() && space.len() <= MAX_RECORD + 4);
        let count = space.len().min(piece).min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        records.filled(count);
        rest = &rest[count..];
        loop {
            match records.next_record() {
                Ok(Some(record)) => found.push(record.to_vec()),
                Ok(None) => break,
                Err(_) => return (found, false),
            }
        }
    }
    (found, true)
}
