//! Listeners on Unix sockets, and what stands at a path.
//!
//! Promises to remove no file but that of a socket on which no program listens, and to wait for no
//! other program. Refuses to know what connects.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, socket_with,
};

use super::{BACKLOG, Inner};

/// Names a file whatever its path: its device, and its number there (POSIX.1-2017 §4.1).
pub(super) type FileId = (u64, u64);

/// Binds and listens at a path. The file of a socket on which no program listens is removed first.
///
/// # Errors
/// When something else stands there, or it is not allowed.
pub(super) fn bind_unix(path: &Path, mode: u32) -> io::Result<Inner> {
    let address = SocketAddrUnix::new(path)?;
    let socket = unix_socket()?;
    // Linux makes the file with the mode of the socket, less the umask: so it is never open to more
    // users than was asked for, not even between two calls. What the umask took is given back
    // below.
    let permissions = Permissions::from_mode(mode);
    let socket = File::from(socket);
    socket.set_permissions(permissions.clone())?;
    // Another server may replace the file while we look: then it is not the one that was abandoned.
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

/// Returns a socket that does not block, as mio wants it.
fn unix_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

/// True when no program listens at the path any longer: a socket's file outlives the program that
/// made it. A socket whose queue is full is in use: connect(2) does not wait for a place in it (man
/// 2 connect: EAGAIN).
fn is_abandoned(path: &Path, address: &SocketAddrUnix) -> bool {
    let refused = || connect(unix_socket()?, address).map_err(io::Error::from);
    is_socket(path) && refused().is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// True when a socket stands at the path itself, and not a link to one.
pub(super) fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

/// Returns what names the file at the path; `None` where there is none.
pub(super) fn file_id(path: &Path) -> Option<FileId> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

/// Names what stands at a path, for an error: no socket can be made there.
pub(super) fn what_stands_at(path: &Path) -> &'static str {
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::Listener;
    use super::*;
    use crate::config::Listen;
    use crate::server::Peer;

    const MODE: u32 = 0o660;

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
