//! The ports of a broker, which stay when it is down.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Result;

use super::options::Listener;
use crate::process::{free_address, loopback};

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
    /// Free ports.
    ///
    /// # Errors
    /// When no port is free.
    pub(crate) fn choose() -> Result<Self> {
        let mut listeners = BTreeMap::new();
        for listener in Listener::ALL {
            listeners.insert(listener, free_address()?.port());
        }
        Ok(Self { listeners, controller: free_address()?.port(), metrics: free_address()?.port() })
    }

    /// The address of a listener.
    pub(crate) fn of(&self, listener: Listener) -> SocketAddr {
        // Every listener has one: see `choose`.
        loopback(self.listeners.get(&listener).copied().unwrap_or_default())
    }
}
