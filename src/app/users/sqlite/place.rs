//! Where a database lies, and whether the files that were opened still lie there.
//!
//! SQLite does not notice when its files are removed, moved or replaced: it goes on in what it has
//! open, and another process, which opens what lies there now, would write what is never seen.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{self, Timespec};
use rustix::process::{self, Flock, FlockType};

/// The least length of a `-shm` file (Write-Ahead Logging format §2.1): it is mapped, and reading
/// beyond its end kills the process.
const SHARED_MEMORY_BYTES_MIN: u64 = 32 * 1_024;

/// The files of an open database.
#[derive(Debug)]
pub(super) struct Place {
    /// As it was named; what it is a link to may change.
    database: PathBuf,
    log: PathBuf,
    shared_memory: PathBuf,
    files: [File; 3],
}

/// Which file it is, wherever it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct File {
    device: u64,
    inode: u64,
}

/// What changes whenever somebody writes to a file past SQLite's locks, and when SQLite does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    file: File,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Place {
    /// Where the files are that lie there now.
    pub(super) fn of(database: &Path) -> io::Result<Place> {
        let (log, shared_memory) = beside(database)?;
        let files = [database, &log, &shared_memory];
        let [database_file, log_file, shared_memory_file] = files.map(fs::metadata);
        Ok(Place {
            files: [
                File::of(&database_file?),
                File::of(&log_file?),
                File::of(&shared_memory_file?),
            ],
            database: database.to_owned(),
            log,
            shared_memory,
        })
    }

    /// The stamp of the database file, if all three files still lie where they lay. Three calls of
    /// the system.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        let database = fs::metadata(&self.database).ok()?;
        let log = fs::metadata(&self.log).ok()?;
        let shared_memory = fs::metadata(&self.shared_memory).ok()?;
        let are_there = [&database, &log, &shared_memory].map(File::of) == self.files
            && shared_memory.len() >= SHARED_MEMORY_BYTES_MIN;
        are_there.then(|| Stamp::of(&database))
    }
}

impl File {
    fn of(metadata: &Metadata) -> File {
        File {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            file: File::of(metadata),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The stamp of what lies at `path`, if that is a file.
    pub(super) fn at(path: &Path) -> Option<Stamp> {
        let metadata = fs::metadata(path).ok()?;
        metadata.is_file().then(|| Stamp::of(&metadata))
    }
}

/// The `-wal` and the `-shm` of a database: beside the file itself, not beside a link to it.
pub(super) fn beside(database: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let file = fs::canonicalize(database)?;
    let named = |ending: &str| {
        let mut name = file.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    Ok((named("-wal"), named("-shm")))
}

/// Whether another process has the database open, and none has the `-shm` that lies beside it: then
/// it has one that was removed. Not to be asked while this process has the database open: closing
/// a file gives up all locks of the process on it (POSIX.1-2024 `fcntl`).
pub(super) fn is_used_elsewhere(database: &Path) -> io::Result<bool> {
    let (_, shared_memory) = beside(database)?;
    if !is_locked(&fs::File::open(database)?, DATABASE_READERS)? {
        return Ok(false);
    }
    match fs::File::open(shared_memory) {
        Ok(file) => Ok(!is_locked(&file, SHARED_MEMORY_USERS)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Bytes of a file: the first, and how many.
type Bytes = (u64, u64);
/// The bytes a process locks for reading while it has a database open (SQLite file format §1.3.1,
/// `os.h` `SHARED_FIRST`).
const DATABASE_READERS: Bytes = (0x4000_0002, 510);
/// The byte a process locks for reading while it has a `-shm` open (`os_unix.c` `UNIX_SHM_DMS`).
const SHARED_MEMORY_USERS: Bytes = (128, 1);

/// Whether another process holds a lock on any of the bytes.
fn is_locked(file: &fs::File, (start, length): Bytes) -> io::Result<bool> {
    let mut lock = Flock::from(FlockType::WriteLock);
    (lock.start, lock.length) = (start, length);
    Ok(process::fcntl_getlk(file, &lock)?.is_some())
}

/// Waits. Only for commands: a server's loop waits in its poll alone.
pub(super) fn pause(time: Duration) {
    let time = Timespec::try_from(time).unwrap_or_default();
    // A signal may end it early.
    let _ = event::poll(&mut [], Some(&time));
}
