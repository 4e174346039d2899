//! Calls, bytes and times: of each client, and of each export.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use ::nfs::FileHandle;

use super::ExportedFiles;
use super::histogram::{BUCKETS, Histogram};
use super::places::{Place, PlaceFigures, Places};

/// Most clients that are counted apart.
const MAX_CLIENTS: usize = 4096;
/// Most exports that are counted apart; and most of one client.
const MAX_EXPORTS: usize = 512;
const MAX_EXPORTS_OF_CLIENT: usize = 16;

/// Every client that has connected, by address.
#[derive(Debug, Default)]
pub struct Counters {
    clients: Mutex<HashMap<IpAddr, Arc<ClientCounter>>>,
    places: Places<MAX_EXPORTS>,
    times: Histogram,
}

/// One client's counters; its connections add to them.
#[derive(Debug, Default)]
pub(super) struct ClientCounter {
    calls: AtomicU64,
    bytes_sent: AtomicU64,
    discarded: AtomicU64,
    connections: AtomicUsize,
    last_call: AtomicU64,
    places: Places<MAX_EXPORTS_OF_CLIENT>,
    times: Histogram,
}

/// What one client has done since the daemon started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFigures {
    /// Its address.
    pub address: IpAddr,
    /// Calls answered.
    pub calls: u64,
    /// Bytes of replies, record marks included.
    pub bytes_sent: u64,
    /// Messages that got no answer.
    pub discarded: u64,
    /// Connections now.
    pub connections: usize,
    /// When it last called, in seconds since 1970; 0 for never.
    pub last_call: u64,
    /// What it asked of each export, the last asked first.
    pub exports: Vec<PlaceFigures>,
    /// Calls by how long they took: bucket 0 is below 1 µs, bucket `n` below 2ⁿ µs.
    pub times: [u64; BUCKETS],
}

impl Counters {
    /// All clients, in no order.
    pub fn figures(&self) -> Vec<ClientFigures> {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let figures = clients.iter().map(|(address, client)| ClientFigures {
            address: *address,
            calls: client.calls.load(Relaxed),
            bytes_sent: client.bytes_sent.load(Relaxed),
            discarded: client.discarded.load(Relaxed),
            connections: client.connections.load(Relaxed),
            last_call: client.last_call.load(Relaxed),
            exports: client.places.figures(),
            times: client.times.counts(),
        });
        figures.collect()
    }

    /// What all clients asked of each export, the last asked first.
    pub fn exports(&self) -> Vec<PlaceFigures> {
        self.places.figures()
    }

    /// All calls by how long they took, as in [`ClientFigures::times`].
    pub fn times(&self) -> [u64; BUCKETS] {
        self.times.counts()
    }

    /// The counters of one address. When there are too many addresses, those of clients that are
    /// not connected are forgotten.
    pub(super) fn client(&self, address: IpAddr) -> Arc<ClientCounter> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS && !clients.contains_key(&address) {
            clients.retain(|_, client| client.connections.load(Relaxed) > 0);
        }
        clients.entry(address).or_default().clone()
    }
}

impl ClientCounter {
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }
}

/// One connection, counted for as long as the value lives.
#[derive(Debug)]
pub(super) struct Connected {
    counters: Arc<Counters>,
    client: Arc<ClientCounter>,
    activity: Activity,
}

/// Counts by export what one connection, or one thread for it, answers.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    counters: Arc<Counters>,
    client: Arc<ClientCounter>,
    /// Calls come in runs on one file: its places, the client's and everybody's.
    last: Option<(FileHandle, Option<[Arc<Place>; 2]>)>,
}

impl Answered {
    /// One call about this file was answered with so many bytes.
    pub(super) fn call(&mut self, files: &dyn ExportedFiles, file: &FileHandle, bytes: u64) {
        if self.last.as_ref().is_none_or(|(last, _)| last != file) {
            let places = files.place(file).map(|name| {
                let client = self.client.places.get(&name);
                [client, self.counters.places.get(&name)]
            });
            self.last = Some((*file, places));
        }
        if let Some((_, Some(places))) = &self.last {
            places.iter().for_each(|place| place.answered(bytes));
        }
    }
}

/// When a connection was last of use, in milliseconds since 1970.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(Arc<AtomicU64>);

impl Activity {
    pub(super) fn last(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Connected {
    pub(super) fn new(counters: Arc<Counters>, client: Arc<ClientCounter>) -> Self {
        client.connections.fetch_add(1, Relaxed);
        Self {
            counters,
            client,
            activity: Activity(Arc::new(AtomicU64::new(now()))),
        }
    }

    pub(super) fn activity(&self) -> Activity {
        self.activity.clone()
    }

    /// A counter by export.
    pub(super) fn by_export(&self) -> Answered {
        Answered {
            counters: Arc::clone(&self.counters),
            client: Arc::clone(&self.client),
            last: None,
        }
    }

    /// Calls that came at `since` were answered with so many bytes.
    pub(super) fn answered(&self, calls: u64, bytes: u64, since: Instant) {
        let now = now();
        let took = since.elapsed();
        self.client.times.add(calls, took);
        self.counters.times.add(calls, took);
        self.client.calls.fetch_add(calls, Relaxed);
        self.client.bytes_sent.fetch_add(bytes, Relaxed);
        self.client.last_call.store(now / 1000, Relaxed);
        self.activity.0.store(now, Relaxed);
    }

    pub(super) fn discarded(&self) {
        self.client.discarded.fetch_add(1, Relaxed);
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.client.connections.fetch_sub(1, Relaxed);
    }
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
