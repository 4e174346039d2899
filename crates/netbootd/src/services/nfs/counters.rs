//! Calls and bytes per client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Most clients that are counted apart.
const MAX_CLIENTS: usize = 4096;

/// Every client that has connected, by address.
#[derive(Debug, Default)]
pub struct Counters {
    clients: Mutex<HashMap<IpAddr, Arc<ClientCounter>>>,
}

/// One client's counters; its connections add to them.
#[derive(Debug, Default)]
pub(super) struct ClientCounter {
    calls: AtomicU64,
    bytes_sent: AtomicU64,
    discarded: AtomicU64,
    connections: AtomicUsize,
    last_call: AtomicU64,
}

/// What one client has done since the daemon started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        });
        figures.collect()
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
    client: Arc<ClientCounter>,
    activity: Activity,
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
    pub(super) fn new(client: Arc<ClientCounter>) -> Self {
        client.connections.fetch_add(1, Relaxed);
        Self {
            client,
            activity: Activity(Arc::new(AtomicU64::new(now()))),
        }
    }

    pub(super) fn activity(&self) -> Activity {
        self.activity.clone()
    }

    pub(super) fn answered(&self, calls: u64, bytes: u64) {
        let now = now();
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

fn now() -> u64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
