//! Tells systemd how the service is (`sd_notify(3)`): one datagram to the socket that `$NOTIFY_SOCKET` names.
//!
//! With `Type=notify-reload` systemd sends SIGHUP and waits for `RELOADING=1` and the `READY=1` after it.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where to tell, if anybody asked.
#[derive(Clone, Debug, Default)]
pub struct Notifier(Option<OsString>);

impl Notifier {
    /// Tells whoever started this process, if they asked for it in `$NOTIFY_SOCKET`.
    #[must_use]
    pub fn from_env() -> Self {
        Self(std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()))
    }

    /// Tells that socket: a path, or an abstract name after `@`.
    #[must_use]
    pub fn to(socket: impl Into<OsString>) -> Self {
        Self(Some(socket.into()))
    }

    /// Started, or done with a reload.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// About to read the configuration again.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let microseconds = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// About to end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, state: &str) {
        let Some(socket) = &self.0 else { return };
        let send = || -> io::Result<usize> {
            let sender = UnixDatagram::unbound()?;
            match socket.as_bytes().split_first() {
                Some((b'@', name)) => {
                    sender.send_to_addr(state.as_bytes(), &SocketAddr::from_abstract_name(name)?)
                }
                _ => sender.send_to(state.as_bytes(), socket),
            }
        };
        if let Err(error) = send() {
            tracing::warn!(%error, state, "cannot notify systemd");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn states_arrive_at_a_socket_with_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(&path);
        notifier.ready();
        assert_eq!(receive(&socket), "READY=1");
        notifier.reloading();
        let reloading = receive(&socket);
        let since_boot: u64 =
            reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!(since_boot > 0);
        notifier.stopping();
        assert_eq!(receive(&socket), "STOPPING=1");
    }

    #[test]
    fn states_arrive_at_an_abstract_socket() {
        let name = format!("daemon-kit-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Notifier::to(format!("@{name}")).ready();
        assert_eq!(receive(&socket), "READY=1");
    }

    #[test]
    fn nobody_asked_and_nobody_there_are_no_errors() {
        Notifier::default().ready();
        Notifier::to("/nonexistent/socket").ready();
    }
}
