//! Where a database lies, and whether the files that were opened still lie there.
//!
//! SQLite does not notice when its files are removed, moved or replaced: it goes on in what it has
//! open, and another process, which opens what lies there now, would write what is never seen.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
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

/// The first of the files beside a database that is there and is no file: a pipe, which would be
/// waited for.
pub(super) fn no_file_beside(database: &Path) -> io::Result<Option<PathBuf>> {
    let (log, shared_memory) = beside(database)?;
    let mut journal = fs::canonicalize(database)?.into_os_string();
    journal.push("-journal");
    let paths = [log, shared_memory, journal.into()];
    let is_other = |path: &PathBuf| fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
    Ok(paths.into_iter().find(is_other))
}

/// Whether another process has the database open, and none has the `-shm` that lies beside it: then
/// it has one that was removed. Not to be asked while this process has the database open: closing
/// a file gives up all locks of the process on it (POSIX.1-2024 `fcntl`).
pub(super) fn is_used_elsewhere(database: &Path) -> io::Result<bool> {
    let (_, shared_memory) = beside(database)?;
    let any = FlockType::WriteLock;
    if !is_locked(&fs::File::open(database)?, DATABASE_READERS, any)? {
        return Ok(false);
    }
    match fs::File::open(shared_memory) {
        Ok(file) => Ok(!is_locked(&file, SHARED_MEMORY_USERS, any)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// The `-shm` of a served database, to see who else holds locks on it.
///
/// SQLite sleeps and tries again, for ten seconds in all and whatever the busy timeout is, where
/// another process keeps it from a read mark (`wal.c` `walTryBeginRead`). No framegate and no SQLite
/// keeps a mark for longer than it takes to set one; a loop must not wait for another program.
///
/// It is open for as long as the process serves that file: closing it would give up the locks that
/// SQLite holds on it (POSIX.1-2024 `fcntl`).
#[derive(Debug)]
pub(super) struct ReadMarks {
    shared_memory: fs::File,
    of: File,
}

impl ReadMarks {
    /// Those of the `-shm` that lies beside the database now; `kept` if they are.
    pub(super) fn of(database: &Path, kept: Option<ReadMarks>) -> io::Result<ReadMarks> {
        let (_, path) = beside(database)?;
        let metadata = fs::metadata(&path)?;
        if !metadata.is_file() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let of = File::of(&metadata);
        match kept {
            Some(kept) if kept.of == of => Ok(kept),
            _ => {
                let shared_memory = fs::File::open(path)?;
                let of = File::of(&shared_memory.metadata()?);
                Ok(ReadMarks { shared_memory, of })
            }
        }
    }

    /// Waits until SQLite can begin to read, for `patience` at the most; then it is false. One call of
    /// the system where nobody holds a mark.
    pub(super) fn wait(&self, patience: Duration) -> io::Result<bool> {
        const STEP: Duration = Duration::from_millis(1);
        let mut left = patience;
        while !self.can_read()? {
            let Some(rest) = left.checked_sub(STEP) else {
                return Ok(false);
            };
            left = rest;
            pause(STEP);
        }
        Ok(true)
    }

    fn can_read(&self) -> io::Result<bool> {
        let is_held = |bytes| self.is_held_alone(bytes);
        if !is_held(READ_MARKS)? {
            return Ok(true);
        }
        // A reader that needs nothing of the log locks the first mark, and no other.
        Ok(!is_held(READ_MARK_OF_THE_FILE)? && self.is_log_carried()?)
    }

    fn is_held_alone(&self, bytes: Bytes) -> io::Result<bool> {
        is_locked(&self.shared_memory, bytes, FlockType::ReadLock)
    }

    /// Whether everything in the log is in the file as well (Write-Ahead Logging format §2.1:
    /// `mxFrame` and `nBackfill`).
    fn is_log_carried(&self) -> io::Result<bool> {
        let number_at = |offset| {
            let mut bytes = [0; 4];
            self.shared_memory.read_exact_at(&mut bytes, offset)?;
            Ok::<_, io::Error>(u32::from_ne_bytes(bytes))
        };
        Ok(number_at(16)? == number_at(96)?)
    }
}

/// Bytes of a file: the first, and how many.
type Bytes = (u64, u64);
/// The byte of the first read mark, which readers lock that need nothing of the log; and the bytes
/// of the four others (Write-Ahead Logging format §2.3.1: `WAL_READ_LOCK`).
const READ_MARK_OF_THE_FILE: Bytes = (123, 1);
const READ_MARKS: Bytes = (124, 4);
/// The bytes a process locks for reading while it has a database open (SQLite file format §1.3.1,
/// `os.h` `SHARED_FIRST`).
const DATABASE_READERS: Bytes = (0x4000_0002, 510);
/// The byte a process locks for reading while it has a `-shm` open (`os_unix.c` `UNIX_SHM_DMS`).
const SHARED_MEMORY_USERS: Bytes = (128, 1);

/// Whether another process holds a lock on any of the bytes that keeps us from one of the `kind`.
fn is_locked(file: &fs::File, (start, length): Bytes, kind: FlockType) -> io::Result<bool> {
    let mut lock = Flock::from(kind);
    (lock.start, lock.length) = (start, length);
    Ok(process::fcntl_getlk(file, &lock)?.is_some())
}

/// Waits. A server's loop waits in its poll, and here no longer than for a busy database.
pub(super) fn pause(time: Duration) {
    let time = Timespec::try_from(time).unwrap_or_default();
    // A signal may end it early.
    let _ = event::poll(&mut [], Some(&time));
}
