//! Ports that a broker can have again after it was down.

use std::collections::{BTreeMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

use super::options::Listener;

/// Below the range that the kernel takes local ports of outgoing connections from: there, a client could be given the
/// port of a broker that is down for a moment.
const RANGE: std::ops::Range<u16> = 12_000..32_000;
const ATTEMPTS: usize = 1_000;

/// Where one broker listens.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    listeners: BTreeMap<Listener, u16>,
    /// Of the controllers' quorum.
    pub(crate) controller: u16,
    /// Of the JMX exporter.
    pub(crate) metrics: u16,
}

impl Ports {
    /// Free ports, none of which this process has handed out before.
    ///
    /// # Errors
    /// When no port is free.
    pub(crate) fn choose() -> Result<Self> {
        let mut listeners = BTreeMap::new();
        for listener in Listener::ALL {
            listeners.insert(listener, free()?);
        }
        Ok(Self { listeners, controller: free()?, metrics: free()? })
    }

    /// The address of a listener.
    pub(crate) fn of(&self, listener: Listener) -> SocketAddr {
        // Every listener has one: see `choose`.
        loopback(self.listeners.get(&listener).copied().unwrap_or_default())
    }
}

/// A port of the loopback interface.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn free() -> Result<u16> {
    static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = taken.get_or_insert_default();
    for _ in 0..ATTEMPTS {
        let port = fastrand::u16(RANGE);
        if TcpListener::bind(loopback(port)).is_ok() && taken.insert(port) {
            return Ok(port);
        }
    }
    bail!("no free port between {} and {}", RANGE.start, RANGE.end)
}
