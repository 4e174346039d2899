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
    /// Counts a connection for as long as the value lives, or says `None` if there are `most`.
    pub(super) fn connect(self: &Arc<Self>, most: usize) -> Option<Connected> {
        let connected = Connected(Arc::clone(self));
        (self.connections.fetch_add(1, Relaxed) < most).then_some(connected)
    }

    pub(super) fn answered(&self, calls: u64, bytes: u64) {
        self.calls.fetch_add(calls, Relaxed);
        self.bytes_sent.fetch_add(bytes, Relaxed);
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        self.last_call.store(now.as_secs(), Relaxed);
    }

    pub(super) fn discarded(&self) {
        self.discarded.fetch_add(1, Relaxed);
    }
}

/// One connection, counted.
#[derive(Debug)]
pub(super) struct Connected(Arc<ClientCounter>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

impl std::ops::Deref for Connected {
    type Target = ClientCounter;

    fn deref(&self) -> &ClientCounter {
        &self.0
    }
}
