//! The two listening sockets: given to us by who started this process, or bound here; and given to the next process, which is
//! this one with another program (`handover`).
//!
//! Both ways speak the protocol of systemd's socket activation (`LISTEN_FDS`). While somebody else has the socket, too, callers
//! wait in its queue when nobody accepts, and none of them is refused or cut off.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail};
use listenfd::ListenFd;
use rustix::io::FdFlags;
use tracing::warn;

use crate::server::Waiting;
use hookgate_model::environment;

/// What the sockets are called where they are handed over, in the order in which they come without names.
const NAMES: [&str; 2] = ["public", "admin"];

/// How many callers may wait in the queue of a socket, if the system allows as many (`net.core.somaxconn`).
const QUEUE: u32 = 4096;

/// Sockets from whoever started the process.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    public: Option<TcpListener>,
    admin: Option<TcpListener>,
}

/// A listening socket, and whether it outlives this process.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) listener: TcpListener,
    pub(super) inherited: bool,
}

impl Inherited {
    /// Takes them, once. To be called before there is a second thread: it changes the environment.
    ///
    /// # Errors
    /// Names that we do not know, or what is no listening TCP socket.
    pub(super) fn take() -> Result<Self> {
        let mut handed = ListenFd::from_env();
        let names = environment::variable("LISTEN_FDNAMES");
        let mut taken = Self::default();
        for (index, name) in named(handed.len(), names.as_deref())?.into_iter().enumerate() {
            let socket = handed.take_tcp_listener(index).with_context(|| format!("`LISTEN_FDS`, socket `{name}`"))?;
            let place = if name == NAMES[0] { &mut taken.public } else { &mut taken.admin };
            *place = socket;
        }
        Ok(taken)
    }

    pub(super) fn public(&mut self, address: SocketAddr) -> Result<Bound> {
        bound("server.listen", self.public.take(), address)
    }

    pub(super) fn admin(&mut self, address: SocketAddr) -> Result<Bound> {
        bound("admin.listen", self.admin.take(), address)
    }
}

/// The names of so many sockets.
fn named(count: usize, names: Option<&str>) -> Result<Vec<&str>> {
    let remedy = "hookgate takes `public` and `admin`; in a socket unit, `FileDescriptorName=` says which it is";
    let named: Vec<&str> = match names {
        Some(names) => names.split(':').take(count).collect(),
        None => NAMES.into_iter().take(count).collect(),
    };
    if named.len() < count {
        bail!("`LISTEN_FDS`: {count} sockets were handed over, and only {} have a name: {remedy}", named.len());
    }
    for (index, name) in named.iter().enumerate() {
        if !NAMES.contains(name) {
            bail!("`LISTEN_FDNAMES`: a socket `{name}` was handed over: {remedy}");
        }
        if named[..index].contains(name) {
            bail!("`LISTEN_FDNAMES`: two sockets `{name}` were handed over: {remedy}");
        }
    }
    Ok(named)
}

fn bound(key: &str, inherited: Option<TcpListener>, address: SocketAddr) -> Result<Bound> {
    let from_outside = inherited.is_some();
    let listener = match inherited {
        Some(listener) => listener,
        None => bind(address).map_err(|error| refused(key, address, &error))?,
    };
    listener.set_nonblocking(true).with_context(|| format!("`{key}`"))?;
    if let Ok(actual) = listener.local_addr()
        && from_outside
        && actual != address
    {
        warn!(key, socket = %actual, configured = %address, "the socket that was handed over has another address");
    }
    Ok(Bound { listener, inherited: from_outside })
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    // Like the standard library, but for the length of the queue.
    let socket = if address.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)?.into_std()
}

fn refused(key: &str, address: SocketAddr, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "`{key}`: {address} is in use; stop what listens there (another hookgate?), or choose another address"
        ),
        ErrorKind::AddrNotAvailable => {
            anyhow!("`{key}`: {address} is no address of this machine; 0.0.0.0 listens on all it has")
        }
        ErrorKind::PermissionDenied => anyhow!(
            "`{key}`: {address} needs a privilege; choose a port from 1024 up, or give the program CAP_NET_BIND_SERVICE"
        ),
        _ => anyhow!("`{key}`: {address} cannot be listened on: {error}"),
    }
}

/// Both sockets a second time, so that they stay open when this process accepts no more.
#[derive(Debug)]
pub(super) struct Spare {
    sockets: Mutex<Option<[TcpListener; 2]>>,
    wanted: AtomicBool,
}

impl Spare {
    /// # Errors
    /// The system gives no more files.
    pub(super) fn of(public: &TcpListener, admin: &TcpListener) -> io::Result<Self> {
        let sockets = [public.try_clone()?, admin.try_clone()?];
        Ok(Self { sockets: Mutex::new(Some(sockets)), wanted: AtomicBool::new(false) })
    }

    /// They are for the next program. To be called before the stop.
    pub(super) fn keep(&self) {
        self.wanted.store(true, Ordering::Release);
    }

    /// They are not: somebody wants the process to end.
    pub(super) fn forget(&self) {
        self.wanted.store(false, Ordering::Release);
    }

    /// The gateway stops. What becomes of those who wait at a socket that was `inherited`, or was not.
    pub(super) fn at_stop(&self, inherited: bool) -> Waiting {
        if self.wanted.load(Ordering::Acquire) {
            return Waiting::Left;
        }
        // Nobody is to wait at a socket that nobody will accept from.
        drop(self.take());
        if inherited { Waiting::Left } else { Waiting::Answered }
    }

    /// The sockets for the next program, if there is to be one.
    pub(super) fn handed_over(&self) -> Option<[TcpListener; 2]> {
        self.take().filter(|_| self.wanted.load(Ordering::Acquire))
    }

    fn take(&self) -> Option<[TcpListener; 2]> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Variables of the environment, by name.
pub(super) type Variables = Vec<(&'static str, String)>;

/// The sockets under numbers that follow one another and stay open in the next program, and the variables that tell it so.
///
/// # Errors
/// The system gives no more files.
pub(super) fn variables(sockets: &[TcpListener; 2]) -> io::Result<(Vec<OwnedFd>, Variables)> {
    let mut from = 64;
    let handed = loop {
        let first = rustix::io::fcntl_dupfd_cloexec(&sockets[0], from)?;
        let second = rustix::io::fcntl_dupfd_cloexec(&sockets[1], first.as_raw_fd() + 1)?;
        if second.as_raw_fd() == first.as_raw_fd() + 1 {
            break vec![first, second];
        }
        from = second.as_raw_fd();
    };
    for socket in &handed {
        rustix::io::fcntl_setfd(socket, FdFlags::empty())?;
    }
    let variables = vec![
        ("LISTEN_FDS", handed.len().to_string()),
        ("LISTEN_FDS_FIRST_FD", handed[0].as_raw_fd().to_string()),
        ("LISTEN_PID", std::process::id().to_string()),
        ("LISTEN_FDNAMES", NAMES.join(":")),
    ];
    Ok((handed, variables))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_in_use_is_told_with_its_key() {
        let first = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = first.local_addr().expect("an address");
        let problem = bound("server.listen", None, address).expect_err("it is taken").to_string();
        assert!(problem.contains("`server.listen`") && problem.contains("is in use"), "{problem}");
    }

    #[test]
    fn sockets_are_told_apart_by_name_or_by_place() {
        assert_eq!(named(2, None).unwrap(), ["public", "admin"]);
        assert_eq!(named(2, Some("admin:public")).unwrap(), ["admin", "public"]);
        assert_eq!(named(1, Some("admin")).unwrap(), ["admin"]);
        assert!(named(0, Some("left over from elsewhere")).unwrap().is_empty());
        for (count, names, part) in [
            (1, Some("hookgate.socket"), "`hookgate.socket`"),
            (2, Some("public:public"), "two sockets `public`"),
            (3, None, "only 2 have a name"),
            (2, Some("public"), "only 1 have a name"),
        ] {
            let problem = named(count, names).unwrap_err().to_string();
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn what_is_handed_over_follows_one_another_and_stays_open() {
        let socket = || TcpListener::bind("127.0.0.1:0").unwrap();
        let sockets = [socket(), socket()];
        let (handed, variables) = variables(&sockets).unwrap();
        assert_eq!(handed[1].as_raw_fd(), handed[0].as_raw_fd() + 1);
        assert!(handed.iter().all(|fd| rustix::io::fcntl_getfd(fd).unwrap().is_empty()));
        assert!(variables.contains(&("LISTEN_FDS_FIRST_FD", handed[0].as_raw_fd().to_string())));
    }

    #[test]
    fn a_plain_stop_keeps_no_socket_open() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let spare = || Spare::of(&socket, &socket).unwrap();
        let plain = spare();
        assert_eq!((plain.at_stop(false), plain.at_stop(true)), (Waiting::Answered, Waiting::Left));
        assert!(plain.handed_over().is_none());
        let next = spare();
        next.keep();
        assert_eq!(next.at_stop(false), Waiting::Left);
        assert!(next.handed_over().is_some());
    }
}
