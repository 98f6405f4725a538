//! Whether there can be a listener, without making one.
//!
//! Promises to change nothing, and to say what [`Listener::bind`] would say of a Unix socket's
//! path. Refuses to judge TCP addresses: to learn whether one is free takes a bind.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use rustix::net::SocketAddrUnix;

use super::{ListenError, Listener};
use crate::config::Listen;

impl Listener {
    /// Looks whether a Unix socket can be made at each path of `listen`. A socket that is there may
    /// be the running server's, and passes.
    ///
    /// # Errors
    /// What [`Listener::bind`] would say.
    pub fn look_at_all(listen: &[Listen]) -> Result<(), ListenError> {
        listen.iter().try_for_each(|listen| match listen {
            Listen::Tcp(_) => Ok(()),
            Listen::Unix(path) => look(path).map_err(|error| ListenError {
                listen: listen.clone(),
                error,
            }),
        })
    }
}

/// Looks at one path.
///
/// # Errors
/// What stands in the way of a socket there.
fn look(path: &Path) -> io::Result<()> {
    // A path may be too long for a socket, though not for a file.
    SocketAddrUnix::new(path)?;
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => Ok(()),
        Ok(_) => Err(ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // A bare name has an empty parent, which is the working directory.
            let directory = path.parent().unwrap_or(path);
            fs::metadata(Path::new(".").join(directory)).map(drop)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_look_says_what_a_listener_would_and_changes_nothing() {
        let name = format!("framegate-look-{}", std::process::id());
        let place = std::env::temp_dir().join(name);
        fs::create_dir(&place).unwrap();
        let at = |name: &str| place.join(name);
        fs::create_dir(at("directory")).unwrap();
        fs::write(at("file"), "").unwrap();
        symlink("nowhere", at("link")).unwrap();
        let names = || {
            let entries = fs::read_dir(&place).unwrap();
            let mut names: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
            names.sort();
            names
        };
        let there = names();
        let long = "long".repeat(30);
        for name in ["directory", "file", "link", "none/x", "file/x", &long] {
            let listen = Listen::Unix(at(name));
            let looked = Listener::look_at_all(std::slice::from_ref(&listen)).unwrap_err();
            let bound = Listener::bind(&listen, 0o600).unwrap_err();
            assert_eq!(looked.to_string(), bound.to_string());
        }
        assert_eq!(names(), there);
        // The server that this path is for may be running.
        drop(UnixListener::bind(at("socket")).unwrap());
        for name in ["socket", "free"] {
            assert!(Listener::look_at_all(&[Listen::Unix(at(name))]).is_ok());
        }
        assert!(Listener::look_at_all(&[Listen::Unix("free.sock".into())]).is_ok());
        fs::remove_dir_all(&place).unwrap();
    }
}
