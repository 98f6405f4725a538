//! Where connections come from: TCP addresses and Unix sockets.

mod look;

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use mio::event::Source;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr, socket_peercred};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, socket_with,
};

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
        /// The file that we made there.
        file: FileId,
    },
}

/// Names a file whatever its path (POSIX.1-2017 §4.1): its device, and its number there.
type FileId = (u64, u64);

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
    /// Binds and listens on each of `listen`. `[::]:P` takes IPv4 too, unless `0.0.0.0:P` stands
    /// beside it.
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
                Listener::of(listen, bind_ipv6_only(*address).and_then(watched))
            }
            _ => Listener::bind(listen, socket_mode),
        };
        listen.iter().map(bind).collect()
    }

    /// Binds and listens, on a Unix socket with the mode `socket_mode`. One that nobody listens on
    /// any longer is taken over.
    ///
    /// # Errors
    /// When the address is taken, not ours, or not allowed.
    pub fn bind(listen: &Listen, socket_mode: u32) -> Result<Listener, ListenError> {
        let bound = match listen {
            Listen::Tcp(address) => std::net::TcpListener::bind(address).and_then(watched),
            Listen::Unix(path) => bind_unix(path, socket_mode),
        };
        Listener::of(listen, bound)
    }

    fn of(listen: &Listen, bound: io::Result<Inner>) -> Result<Listener, ListenError> {
        bound
            .map(|inner| Listener { inner })
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
                // man 7 unix, SO_PEERCRED: whose process it was when it connected.
                let user = socket_peercred(&stream).ok();
                let user = user.map(|credentials| credentials.uid.as_raw());
                Ok((Socket::Unix(stream), Peer::on_unix_socket(user)))
            }
        }
    }

    /// Asks the kernel whether somebody waits. One accept too many would tell that too, but it makes
    /// a socket and a file before it looks. Who comes after a `false` is an event.
    pub(super) fn has_more(&self) -> bool {
        let descriptor = match &self.inner {
            Inner::Tcp { listener, .. } => listener.as_fd(),
            Inner::Unix { listener, .. } => listener.as_fd(),
        };
        let mut asked = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
        // Where this fails, accept(2) says what is wrong.
        poll(&mut asked, Some(&Timespec::default())) != Ok(0)
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

/// As std binds, but for IPv6 alone (RFC 3493 §5.3).
fn bind_ipv6_only(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET6, SocketType::STREAM, flags, None)?;
    set_socket_reuseaddr(&socket, true)?;
    set_ipv6_v6only(&socket, true)?;
    bind(&socket, &address)?;
    Ok(socket.into())
}

/// Listens, as mio wants it.
fn watched(listener: std::net::TcpListener) -> io::Result<Inner> {
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

fn bind_unix(path: &Path, mode: u32) -> io::Result<Inner> {
    let address = SocketAddrUnix::new(path)?;
    let socket = unix_socket()?;
    // Linux makes the file with the mode of the socket, less the umask: it is never wider than
    // asked for. What the umask took is given back then.
    let permissions = Permissions::from_mode(mode);
    let socket = File::from(socket);
    socket.set_permissions(permissions.clone())?;
    let taken = file_id(path);
    match bind(&socket, &address) {
        Err(Errno::ADDRINUSE) if is_abandoned(path, &address) && file_id(path) == taken => {
            fs::remove_file(path)?;
            bind(&socket, &address)?;
        }
        result => result?,
    }
    fs::set_permissions(path, permissions)?;
    let file = file_id(path).ok_or(ErrorKind::NotFound)?;
    rustix::net::listen(&socket, BACKLOG)?;
    let listener = UnixListener::from(OwnedFd::from(socket));
    Ok(Inner::Unix {
        listener: mio::net::UnixListener::from_std(listener),
        path: path.to_owned(),
        file,
    })
}

/// One that does not block, as mio wants it.
fn unix_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

/// A socket's file outlives the program that made it. One whose queue is full is somebody's:
/// connect(2) does not wait for a place in it (man 2 connect: EAGAIN).
fn is_abandoned(path: &Path, address: &SocketAddrUnix) -> bool {
    let refused = || connect(unix_socket()?, address).map_err(io::Error::from);
    is_socket(path) && refused().is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

fn file_id(path: &Path) -> Option<FileId> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

/// What an error says of a path that no socket can be made at.
fn what_stands_at(path: &Path) -> &'static str {
    let Ok(file) = fs::symlink_metadata(path) else {
        return "something";
    };
    match file.file_type() {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_file() => "a plain file",
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_fifo() => "a named pipe",
        _ => "a device",
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Inner::Unix { path, file, .. } = &self.inner
            // Another server's may stand there by now.
            && file_id(path) == Some(*file)
        {
            // Should it stay, the next start takes it over.
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

    /// A path of its own.
    fn path(name: &str) -> PathBuf {
        let name = format!("framegate-listener-{}-{name}", std::process::id());
        std::env::temp_dir().join(name)
    }

    fn bound(path: &Path) -> Result<Listener, String> {
        let listen = Listen::Unix(path.to_owned());
        Listener::bind(&listen, MODE).map_err(|error| error.to_string())
    }

    #[test]
    fn a_socket_that_a_program_left_behind_is_taken_over_and_one_in_use_is_not() {
        let path = path("left.sock");
        drop(UnixListener::bind(&path).unwrap());
        let listener = bound(&path).unwrap();
        let refused = bound(&path).unwrap_err();
        assert!(
            refused.contains("another program listens there"),
            "{refused}"
        );
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_whose_queue_is_full_is_told_to_be_in_use_at_once() {
        let path = path("full.sock");
        let full = UnixListener::bind(&path).unwrap();
        // A second listen(2) makes the queue as short as it can be.
        rustix::net::listen(&full, 0).unwrap();
        let address = SocketAddrUnix::new(&path).unwrap();
        let waiting: Vec<OwnedFd> = std::iter::from_fn(|| {
            let socket = unix_socket().unwrap();
            connect(&socket, &address).is_ok().then_some(socket)
        })
        .collect();
        assert!(!waiting.is_empty());
        let refused = bound(&path).unwrap_err();
        assert!(
            refused.contains("another program listens there"),
            "{refused}"
        );
        assert!(path.exists());
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_socket_is_named_and_stays() {
        let place = path("what");
        fs::create_dir(&place).unwrap();
        let at = |name: &str| place.join(name);
        fs::create_dir(at("directory")).unwrap();
        fs::write(at("file"), "kept").unwrap();
        std::os::unix::fs::symlink("nowhere", at("link")).unwrap();
        for (name, what) in [
            ("directory", "a directory stands there; remove it"),
            ("file", "a plain file stands there; remove it"),
            ("link", "a symbolic link stands there; remove it"),
            ("none/x", "there is no such directory; make it"),
        ] {
            let refused = bound(&at(name)).unwrap_err();
            let told = format!("cannot listen on unix:{}: {what}", at(name).display());
            assert!(refused.starts_with(&told), "{refused}");
        }
        assert_eq!(fs::read(at("file")).unwrap(), b"kept");
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn a_server_that_goes_leaves_the_socket_of_another_that_came() {
        let path = path("other.sock");
        let first = bound(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let second = bound(&path).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_peer_on_a_unix_socket_is_known_by_its_user() {
        let path = path("user.sock");
        let listener = bound(&path).unwrap();
        let _peer = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let (_, peer) = listener.accept().unwrap();
        let own = rustix::process::getuid().as_raw();
        assert_eq!(peer, Peer::on_unix_socket(Some(own)));
    }
}
