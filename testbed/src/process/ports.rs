//! Ports that a server can have again after it was down.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

/// Below the range that the kernel takes local ports of outgoing connections from: there, a client could be given the
/// port of a server that is not up yet, or down for a moment.
const RANGE: std::ops::Range<u16> = 12_000..32_000;
const ATTEMPTS: usize = 1_000;

/// A free address of the loopback interface, which this process has not handed out before.
///
/// # Errors
/// When no port is free.
pub fn free_address() -> Result<SocketAddr> {
    static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = taken.get_or_insert_default();
    for _ in 0..ATTEMPTS {
        let port = fastrand::u16(RANGE);
        if TcpListener::bind(loopback(port)).is_ok() && taken.insert(port) {
            return Ok(loopback(port));
        }
    }
    bail!("no free port between {} and {}", RANGE.start, RANGE.end)
}

/// A port of the loopback interface.
#[must_use]
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_is_handed_out_twice_and_none_that_a_client_could_be_given() {
        let local = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
        let first: u16 = local.split_whitespace().next().unwrap().parse().unwrap();
        let addresses: HashSet<SocketAddr> = (0..200).map(|_| free_address().unwrap()).collect();
        assert_eq!(addresses.len(), 200);
        assert!(addresses.iter().all(|address| address.port() < first), "clients get ports from {first} on");
    }
}
