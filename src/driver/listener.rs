//! Where connections come from: TCP addresses here, Unix sockets in `unix`; `look` says what would
//! be in the way of a listener.
//!
//! Promises that an error says what would be right, and that a failure of one connection is told
//! apart from one of ours. Refuses to know who may connect: the core decides that after the accept.

mod look;
mod unix;

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use mio::event::Source;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr, socket_peercred};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

use crate::config::Listen;
use crate::server::Peer;

use super::socket::Socket;
use unix::{FileId, bind_unix, file_id, is_socket, what_stands_at};

/// Connections that the kernel completes ahead of us. mio and std ask for 128, which 5,000 clients
/// that come at once overrun; the kernel cuts this to `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;

/// A listener that is bound, and removes its Unix socket's file when it is dropped.
#[derive(Debug)]
pub struct Listener {
    inner: Inner,
}

/// A listener of either kind, with where it listens.
#[derive(Debug)]
enum Inner {
    Tcp {
        listener: mio::net::TcpListener,
        address: SocketAddr,
    },
    Unix {
        listener: mio::net::UnixListener,
        path: PathBuf,
        /// The file that we made there: another program may put its own at the path later.
        file: FileId,
    },
}

/// Why there is no listener, and where.
#[derive(Debug)]
pub struct ListenError {
    listen: Listen,
    error: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.listen {
            Listen::Tcp(address) => write!(f, "cannot listen on {address}: ")?,
            Listen::Unix(path) => write!(f, "cannot listen on unix:{}: ", path.display())?,
        }
        match (self.error.kind(), &self.listen) {
            (ErrorKind::AddrInUse, Listen::Unix(path)) if !is_socket(path) => write!(
                f,
                "{} stands there; remove it, or choose another --listen",
                what_stands_at(path)
            ),
            (ErrorKind::AddrInUse, _) => {
                f.write_str("another program listens there; stop it, or choose another --listen")
            }
            (ErrorKind::NotFound, _) => {
                f.write_str("there is no such directory; make it, or choose another --listen")
            }
            (ErrorKind::PermissionDenied, _) => {
                f.write_str("not allowed; ports below 1024 need a privilege, and a path needs a writable directory")
            }
            (ErrorKind::AddrNotAvailable, _) => {
                f.write_str("this machine has no such address; choose another --listen")
            }
            _ => write!(f, "{}", self.error),
        }
    }
}

impl std::error::Error for ListenError {}

impl Listener {
    /// Binds and listens on each of `listen`. `[::]:P` takes IPv4 connections too, unless
    /// `0.0.0.0:P` is listened on as well.
    ///
    /// # Errors
    /// The first that cannot be had.
    pub fn bind_all(listen: &[Listen], socket_mode: u32) -> Result<Vec<Listener>, ListenError> {
        let is_beside = |address: SocketAddr| {
            let ipv4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            address.ip() == Ipv6Addr::UNSPECIFIED && listen.contains(&Listen::Tcp(ipv4))
        };
        let bind = |listen: &Listen| match listen {
            Listen::Tcp(address) if is_beside(*address) => {
                // Otherwise the two would be one address to the kernel, and the second bind would
                // fail.
                Listener::of(listen, bind_ipv6_only(*address).and_then(watched))
            }
            _ => Listener::bind(listen, socket_mode),
        };
        listen.iter().map(bind).collect()
    }

    /// Binds and listens on one address or path; a Unix socket gets the mode `socket_mode`. The
    /// file of a socket on which no program listens any longer is replaced.
    ///
    /// # Errors
    /// When the address is in use, is not this machine's, or is not allowed.
    pub fn bind(listen: &Listen, socket_mode: u32) -> Result<Listener, ListenError> {
        let bound = match listen {
            Listen::Tcp(address) => std::net::TcpListener::bind(address).and_then(watched),
            Listen::Unix(path) => bind_unix(path, socket_mode),
        };
        Listener::of(listen, bound)
    }

    /// Adds to an error where it happened.
    fn of(listen: &Listen, bound: io::Result<Inner>) -> Result<Listener, ListenError> {
        bound
            .map(|inner| Listener { inner })
            .map_err(|error| ListenError {
                listen: listen.clone(),
                error,
            })
    }

    /// Returns what the loop watches.
    pub(super) fn source(&mut self) -> &mut dyn Source {
        match &mut self.inner {
            Inner::Tcp { listener, .. } => listener,
            Inner::Unix { listener, .. } => listener,
        }
    }

    /// Returns the next connection that waits, with its peer.
    ///
    /// # Errors
    /// As accept(2) fails; `WouldBlock` when none waits.
    pub(super) fn accept(&self) -> io::Result<(Socket, Peer)> {
        match &self.inner {
            Inner::Tcp { listener, .. } => {
                let (stream, peer) = listener.accept()?;
                Ok((Socket::Tcp(stream), Peer::from(peer)))
            }
            Inner::Unix { listener, .. } => {
                let (stream, _) = listener.accept()?;
                // man 7 unix, SO_PEERCRED: the user whose process it was when it connected.
                let user = socket_peercred(&stream).ok();
                let user = user.map(|credentials| credentials.uid.as_raw());
                Ok((Socket::Unix(stream), Peer::on_unix_socket(user)))
            }
        }
    }

    /// Asks the kernel whether another connection waits. One accept too many would tell that too,
    /// but it makes a socket and a file before it looks. A connection that comes after a `false` is
    /// an event.
    pub(super) fn has_more(&self) -> bool {
        let descriptor = match &self.inner {
            Inner::Tcp { listener, .. } => listener.as_fd(),
            Inner::Unix { listener, .. } => listener.as_fd(),
        };
        let mut asked = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
        // If this fails, say yes: accept(2) then tells what is wrong.
        poll(&mut asked, Some(&Timespec::default())) != Ok(0)
    }
}

/// True when an error of accept(2) is of the one connection that was next, and not of us: Linux
/// hands on what went wrong on the network before the accept (man 2 accept). The next may be
/// accepted at once.
pub(super) fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::INTR
                | Errno::INVAL
                | Errno::PROTO
                | Errno::NETDOWN
                | Errno::NOPROTOOPT
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::OPNOTSUPP
                | Errno::NETUNREACH
        )
    )
}

/// True when an error of accept(2) is for want of a descriptor, of the process or of the system.
pub(super) fn is_want_of_descriptors(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

/// Binds as std does, but for IPv6 alone (RFC 3493 §5.3).
fn bind_ipv6_only(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET6, SocketType::STREAM, flags, None)?;
    set_socket_reuseaddr(&socket, true)?;
    set_ipv6_v6only(&socket, true)?;
    bind(&socket, &address)?;
    Ok(socket.into())
}

/// Listens on a bound socket, as mio wants it.
fn watched(listener: std::net::TcpListener) -> io::Result<Inner> {
    // std has called listen(2) already; a second call only changes the backlog.
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    // A turn's answers leave in one write, so there is nothing for the kernel to wait for. An
    // accepted socket inherits this from its listener.
    rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
    let address = listener.local_addr()?;
    Ok(Inner::Tcp {
        listener: mio::net::TcpListener::from_std(listener),
        address,
    })
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Inner::Unix { path, file, .. } = &self.inner
            // Another server may have put its socket there by now.
            && file_id(path) == Some(*file)
        {
            // If the file stays, the next start replaces it.
            let _ = fs::remove_file(path);
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            Inner::Tcp { address, .. } => write!(f, "ws://{address}/ws"),
            Inner::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODE: u32 = 0o660;

    fn error(errno: Errno) -> io::Error {
        errno.into()
    }

    #[test]
    fn what_befell_one_connection_is_told_apart_from_what_befalls_us() {
        for errno in [
            Errno::CONNABORTED,
            Errno::PROTO,
            Errno::INTR,
            Errno::NETUNREACH,
        ] {
            assert!(is_of_one_connection(&error(errno)), "{errno}");
            assert!(!is_want_of_descriptors(&error(errno)), "{errno}");
        }
        for errno in [Errno::MFILE, Errno::NFILE] {
            assert!(is_want_of_descriptors(&error(errno)), "{errno}");
            assert!(!is_of_one_connection(&error(errno)), "{errno}");
        }
        for errno in [Errno::NOMEM, Errno::NOBUFS, Errno::PERM] {
            assert!(!is_of_one_connection(&error(errno)), "{errno}");
            assert!(!is_want_of_descriptors(&error(errno)), "{errno}");
        }
    }

    #[test]
    fn a_listener_has_more_until_the_last_who_waits_is_accepted() {
        let any = "127.0.0.1:0".parse().expect("an address");
        let listener = Listener::bind(&Listen::Tcp(any), MODE).expect("a free port");
        let Inner::Tcp { address, .. } = listener.inner else {
            panic!("it is bound to an address");
        };
        // connect(2) ends when the kernel has put the connection where accept(2) finds it.
        let waiting =
            [(); 2].map(|()| std::net::TcpStream::connect(address).expect("there is room"));
        for is_more in [true, false] {
            assert!(listener.accept().is_ok());
            assert_eq!(listener.has_more(), is_more);
        }
        drop(waiting);
    }

    #[test]
    fn every_address_of_both_families_is_listened_on_side_by_side() {
        // A port that is free for both, as like as not: any that is taken is tried no more.
        let listeners = (0..100).find_map(|_| {
            let free = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let of = |ip: &str| Listen::Tcp(format!("{ip}:{port}").parse().unwrap());
            Listener::bind_all(&[of("[::]"), of("0.0.0.0")], MODE).ok()
        });
        let listeners = listeners.unwrap();
        for (listener, from) in listeners.iter().zip(["::1", "127.0.0.1"]) {
            let Inner::Tcp { address, .. } = listener.inner else {
                panic!("it is bound to an address");
            };
            let from: std::net::IpAddr = from.parse().unwrap();
            let _client = std::net::TcpStream::connect((from, address.port())).unwrap();
            let (_, peer) = listener.accept().unwrap();
            assert_eq!(peer.address, Some(from));
        }
    }

    #[test]
    fn an_address_in_use_is_told_in_a_line_that_helps() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("it is bound");
        let refused = Listener::bind(&Listen::Tcp(address), MODE).expect_err("it is taken");
        let line = refused.to_string();
        assert!(
            line.starts_with(&format!("cannot listen on {address}: another program")),
            "{line}"
        );
    }
}
