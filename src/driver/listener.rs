//! Where connections come from: TCP addresses and Unix sockets.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use mio::event::Source;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::config::Listen;
use crate::server::Peer;

use super::socket::Socket;

/// Connections the kernel completes ahead of us. mio and std ask for 128, which 5,000 clients who
/// come at once overrun; the kernel cuts this to `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    inner: Inner,
    /// True while there may be connections to accept: set by an event, and kept until the kernel
    /// says that there are none. Whoever comes behind that answer is an event again.
    pub(super) is_ready: bool,
}

#[derive(Debug)]
enum Inner {
    Tcp {
        listener: mio::net::TcpListener,
        address: SocketAddr,
    },
    Unix {
        listener: mio::net::UnixListener,
        path: PathBuf,
    },
}

/// A listener cannot be had.
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
        match self.error.kind() {
            ErrorKind::AddrInUse => {
                f.write_str("another program listens there; stop it, or choose another --listen")
            }
            ErrorKind::PermissionDenied => {
                f.write_str("not allowed; ports below 1024 need a privilege, and a path needs a writable directory")
            }
            ErrorKind::AddrNotAvailable => {
                f.write_str("this machine has no such address; choose another --listen")
            }
            _ => write!(f, "{}", self.error),
        }
    }
}

impl std::error::Error for ListenError {}

impl Listener {
    /// Binds and listens. A Unix socket that nobody listens on any longer is taken over.
    ///
    /// # Errors
    /// When the address is taken, not ours, or not allowed.
    pub fn bind(listen: &Listen) -> Result<Listener, ListenError> {
        let bound = match listen {
            Listen::Tcp(address) => bind_tcp(*address),
            Listen::Unix(path) => bind_unix(path),
        };
        bound
            .map(|inner| Listener {
                inner,
                is_ready: true,
            })
            .map_err(|error| ListenError {
                listen: listen.clone(),
                error,
            })
    }

    /// What the loop watches.
    pub(super) fn source(&mut self) -> &mut dyn Source {
        match &mut self.inner {
            Inner::Tcp { listener, .. } => listener,
            Inner::Unix { listener, .. } => listener,
        }
    }

    /// The next connection that waits, with its peer.
    pub(super) fn accept(&self) -> io::Result<(Socket, Peer)> {
        match &self.inner {
            Inner::Tcp { listener, .. } => {
                let (stream, peer) = listener.accept()?;
                Ok((Socket::Tcp(stream), Peer::from(peer)))
            }
            Inner::Unix { listener, .. } => {
                let (stream, _) = listener.accept()?;
                Ok((
                    Socket::Unix(stream),
                    Peer {
                        address: None,
                        port: 0,
                    },
                ))
            }
        }
    }

    /// Asks the kernel whether somebody else waits. One accept too many would tell that too, but it
    /// makes a socket and a file before it looks: a refusal took 2 % more.
    pub(super) fn look_for_more(&mut self) {
        let descriptor = match &self.inner {
            Inner::Tcp { listener, .. } => listener.as_fd(),
            Inner::Unix { listener, .. } => listener.as_fd(),
        };
        let mut asked = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
        // Where this fails, accept(2) says what is wrong.
        self.is_ready = poll(&mut asked, Some(&Timespec::default())) != Ok(0);
    }
}

/// True when an error of accept(2) is of the one connection that was next, and not of us: Linux
/// hands on what went wrong on the network before we came (man 2 accept).
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

/// True when an error of accept(2) is for want of a descriptor: of the process or of the system.
pub(super) fn is_want_of_descriptors(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

fn bind_tcp(address: SocketAddr) -> io::Result<Inner> {
    let listener = std::net::TcpListener::bind(address)?;
    // A second listen(2) only changes the backlog.
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    // A turn's answers leave in one write: there is nothing to wait for. What is accepted has it of
    // its listener.
    rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
    let address = listener.local_addr()?;
    Ok(Inner::Tcp {
        listener: mio::net::TcpListener::from_std(listener),
        address,
    })
}

fn bind_unix(path: &Path) -> io::Result<Inner> {
    let listener = match std::os::unix::net::UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_abandoned(path) => {
            std::fs::remove_file(path)?;
            std::os::unix::net::UnixListener::bind(path)?
        }
        result => result?,
    };
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    let listener = mio::net::UnixListener::from_std(listener);
    Ok(Inner::Unix {
        listener,
        path: path.to_owned(),
    })
}

/// A socket's file outlives the program that made it.
fn is_abandoned(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
        && std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Inner::Unix { path, .. } = &self.inner {
            // Should it stay, the next start takes it over.
            let _ = std::fs::remove_file(path);
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
    fn a_listener_is_ready_until_the_last_who_waits_is_accepted() {
        let any = "127.0.0.1:0".parse().expect("an address");
        let mut listener = Listener::bind(&Listen::Tcp(any)).expect("a free port");
        let Inner::Tcp { address, .. } = listener.inner else {
            panic!("it is bound to an address");
        };
        // connect(2) ends when the kernel has put the connection where accept(2) finds it.
        let waiting =
            [(); 2].map(|()| std::net::TcpStream::connect(address).expect("there is room"));
        for is_more in [true, false] {
            assert!(listener.accept().is_ok());
            listener.look_for_more();
            assert_eq!(listener.is_ready, is_more);
        }
        drop(waiting);
    }

    #[test]
    fn an_address_in_use_is_told_in_a_line_that_helps() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("it is bound");
        let refused = Listener::bind(&Listen::Tcp(address)).expect_err("it is taken");
        let line = refused.to_string();
        assert!(
            line.starts_with(&format!("cannot listen on {address}: another program")),
            "{line}"
        );
    }

    #[test]
    fn a_socket_that_a_program_left_behind_is_taken_over_and_one_in_use_is_not() {
        let name = format!("framegate-listener-{}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(std::os::unix::net::UnixListener::bind(&path).expect("it can be made"));
        let listener = Listener::bind(&Listen::Unix(path.clone())).expect("nobody listens there");
        let refused = Listener::bind(&Listen::Unix(path.clone())).expect_err("somebody does");
        assert!(
            refused
                .to_string()
                .contains("another program listens there")
        );
        drop(listener);
        assert!(!path.exists());
    }
}
