//! Opening the user database: what is looked at before anything is done with it, and how it is
//! made or brought forward.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, FileControl, MAIN_DB, OpenFlags};

use super::place::{self, Place};
use super::schema::{self, Kind};
use super::{Mode, SqliteStore, failure};
use crate::app::users::StoreError;
use crate::limits::{
    DATABASE_CACHE_KIB, DATABASE_CHECKED_BYTES_MAX, DATABASE_STEPS_MAX, DATABASE_SWITCHES_MAX,
    DATABASE_VALUE_BYTES_MAX, DATABASE_WAIT_ADMINISTERING, DATABASE_WAIT_SERVING,
    DATABASE_WAIT_WRITING,
};

impl Mode {
    /// How long another process that holds the database is waited for.
    pub(super) fn wait(self) -> Duration {
        match self {
            Mode::Serve => DATABASE_WAIT_SERVING,
            Mode::Write => DATABASE_WAIT_WRITING,
            Mode::Read | Mode::Change | Mode::Administer => DATABASE_WAIT_ADMINISTERING,
        }
    }
}

impl SqliteStore {
    /// Opens the database at `path`. A file we make is its owner's alone to read.
    ///
    /// # Errors
    ///
    /// When the file is missing (to serve), cannot be opened or written to, or is not a
    /// framegate database that we understand; it is left as it was.
    pub fn open(path: &Path, mode: Mode) -> Result<SqliteStore, StoreError> {
        if mode == Mode::Administer {
            make_file(path).map_err(|error| cannot_open(path, &error))?;
        }
        check_files(path)?;
        if matches!(mode, Mode::Change | Mode::Administer) {
            wait_for_one_log(path)?;
        }
        let mut store = SqliteStore {
            connection: connect(path)?,
            path: path.to_owned(),
            mode,
            place: None,
            stamp: None,
            last_change: (0, 0),
            data_version: 0,
            schema_version: 0,
            is_of_the_first_version: false,
        };
        store.check_writable()?;
        store.configure(mode)?;
        store.settle(mode)?;
        store.limit_steps(mode)?;
        store.find_place()?;
        if mode == Mode::Serve {
            store.check_whole()?;
        }
        // Only now: what is told of later is what has changed since it was looked at.
        store.data_version = store.pragma("data_version")?;
        store.last_change = store.reading(|store| store.newest_change())?;
        Ok(store)
    }

    /// Where the files lie that were opened.
    fn find_place(&mut self) -> Result<(), StoreError> {
        let moved = || StoreError::Moved {
            path: self.path.clone(),
        };
        let place = Place::of(&self.path).map_err(|_| moved())?;
        let mut has_moved = 0;
        self.connection
            .file_control(Some(MAIN_DB), FileControl::HasMoved(&mut has_moved))
            .map_err(|error| self.failure(error))?;
        match has_moved {
            0 => self.place = Some(place),
            _ => return Err(moved()),
        }
        Ok(())
    }

    /// A file that is copied there just now is not whole. A large one is not looked at: a server's
    /// loop stands still meanwhile.
    fn check_whole(&self) -> Result<(), StoreError> {
        let bytes = self
            .pragma("page_count")?
            .saturating_mul(self.pragma("page_size")?);
        if bytes > DATABASE_CHECKED_BYTES_MAX {
            return Ok(());
        }
        let found = self
            .connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        match found {
            Ok(found) if found == "ok" => Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                Ok(())
            }
            Ok(_) => Err(StoreError::Corrupt {
                path: self.path.clone(),
            }),
            Err(error) => Err(self.failure(error)),
        }
    }

    /// Before anything is read: a reader of a write-ahead log makes the files beside it.
    fn check_writable(&self) -> Result<(), StoreError> {
        let read_only = self.connection.is_readonly(MAIN_DB);
        match read_only.map_err(|error| self.failure(error))? {
            false => Ok(()),
            true => Err(StoreError::ReadOnly {
                path: self.path.clone(),
            }),
        }
    }

    /// What this connection needs to be: small, and durable.
    fn configure(&self, mode: Mode) -> Result<(), StoreError> {
        // With FULL a commit has reached the disk when it returns: a revocation that was
        // answered for is not undone by a loss of power.
        let pragmas = format!(
            "PRAGMA synchronous = FULL; PRAGMA cache_size = -{DATABASE_CACHE_KIB};
             PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;"
        );
        let length = Limit::SQLITE_LIMIT_LENGTH;
        self.connection
            .busy_timeout(mode.wait())
            .and_then(|()| self.connection.execute_batch(&pragmas))
            .and_then(|()| self.connection.set_limit(length, DATABASE_VALUE_BYTES_MAX))
            .map(drop)
            .map_err(|error| self.failure(error))
    }

    /// A query of a server must end: its loop stands still meanwhile.
    fn limit_steps(&mut self, mode: Mode) -> Result<(), StoreError> {
        if mode != Mode::Serve {
            return Ok(());
        }
        let limited = self
            .connection
            .progress_handler(DATABASE_STEPS_MAX, Some(|| true));
        limited.map_err(|error| self.failure(error))
    }

    /// Sees to it that the file is a database of ours, before anything is written to it.
    fn settle(&mut self, mode: Mode) -> Result<(), StoreError> {
        // One reading of the file: another process may be making the database.
        let kind = self.reading(|store| store.kind())?;
        match (kind, mode) {
            (Kind::Empty, Mode::Administer) => self.renew(schema_made)?,
            (Kind::Empty, Mode::Read | Mode::Serve | Mode::Write | Mode::Change) => {
                return Err(missing(&self.path));
            }
            // The columns that are read have not changed since.
            (Kind::Ours(schema::VERSION_FIRST), Mode::Read) => {
                self.is_of_the_first_version = true;
            }
            (Kind::Ours(schema::VERSION_FIRST), _) => self.renew(schema_migrated)?,
            (Kind::Ours(_) | Kind::Foreign, _) => {}
        }
        self.reading(|store| store.check_schema())?;
        self.use_write_ahead_log()?;
        // With the first reading the files beside it are opened.
        self.check_readable()
    }

    /// What the file is; an error where we cannot use it.
    fn kind(&self) -> Result<Kind, StoreError> {
        let path = self.path.clone();
        match schema::kind(&self.connection).map_err(|error| self.failure(error))? {
            Kind::Foreign => Err(StoreError::NotOurs { path }),
            Kind::Ours(version) if version > schema::VERSION => {
                Err(StoreError::TooNew { path, version })
            }
            Kind::Ours(version) if version < schema::VERSION_FIRST => {
                Err(StoreError::NotOurs { path })
            }
            kind => Ok(kind),
        }
    }

    /// Makes the schema or brings it forward, all at once or not at all.
    fn renew(
        &mut self,
        work: fn(&SqliteStore) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.execute("BEGIN IMMEDIATE")?;
        // When it fails the connection is given up, and what it began with it.
        work(self)?;
        self.execute("COMMIT")
    }

    /// The schema must be ours to the letter: a view or a trigger of somebody else's would answer
    /// for the users, or keep a command from doing what it says it did.
    fn check_schema(&mut self) -> Result<(), StoreError> {
        let Kind::Ours(version) = self.kind()? else {
            return Err(missing(&self.path));
        };
        let schema_version = self.pragma("schema_version")?;
        let stranger = schema::stranger(&self.connection, version);
        match stranger.map_err(|error| self.failure(error))? {
            None => {
                self.schema_version = schema_version;
                Ok(())
            }
            Some(object) => Err(StoreError::Altered {
                path: self.path.clone(),
                object: object.into(),
            }),
        }
    }

    /// As [`check_schema`](SqliteStore::check_schema), if the schema changed since. O(1) otherwise.
    pub(super) fn check_schema_again(&mut self) -> Result<(), StoreError> {
        match self.pragma("schema_version")? == self.schema_version {
            true => Ok(()),
            false => self.check_schema(),
        }
    }

    /// Runs `work` in one reading of the file.
    pub(super) fn reading<T>(
        &mut self,
        work: impl FnOnce(&mut SqliteStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.execute("BEGIN")?;
        let done = work(self);
        self.execute("ROLLBACK")?;
        done
    }

    /// SQLite does not wait for others when it switches the journal, but says that it is busy at
    /// once. For the right to write it does wait; then it is worth another try.
    fn use_write_ahead_log(&mut self) -> Result<(), StoreError> {
        for _ in 0..DATABASE_SWITCHES_MAX {
            match self.value::<String>("PRAGMA journal_mode = WAL") {
                Err(StoreError::Busy) => self.execute("BEGIN IMMEDIATE; ROLLBACK")?,
                mode => return self.check_journal(&mode?),
            }
        }
        Err(StoreError::Busy)
    }

    fn check_journal(&self, mode: &str) -> Result<(), StoreError> {
        match mode {
            "wal" => Ok(()),
            _ => Err(StoreError::CannotOpen {
                path: self.path.clone(),
                reason: "its file system cannot hold a write-ahead log".into(),
            }),
        }
    }

    /// Whether there is any user is not the question; whether it can be told is.
    pub(super) fn check_readable(&self) -> Result<(), StoreError> {
        self.value::<bool>("SELECT EXISTS (SELECT 1 FROM users)")
            .map(drop)
    }
}

/// Makes an empty file, unless there is a file; SQLite gives those beside it the same mode.
fn make_file(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Waits while another process uses the database with a write-ahead log, or its index, that is not
/// the one beside it now: what we committed it would not see, and would write over. A server lets
/// go of such files by itself.
fn wait_for_one_log(path: &Path) -> Result<(), StoreError> {
    const STEP: Duration = Duration::from_millis(10);
    let mut left = DATABASE_WAIT_ADMINISTERING;
    while place::is_used_elsewhere(path).map_err(|error| cannot_open(path, &error))? {
        left = left.checked_sub(STEP).ok_or_else(|| StoreError::InUse {
            path: path.to_owned(),
        })?;
        place::pause(STEP);
    }
    Ok(())
}

/// A pipe would be waited for, and a directory is told of more clearly here.
fn check_files(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Err(error) => return Err(cannot_open(path, &error)),
        Ok(metadata) if metadata.is_dir() => {
            return Err(cannot_open(path, &ErrorKind::IsADirectory.into()));
        }
        Ok(metadata) if !metadata.is_file() => {
            return Err(StoreError::NotOurs {
                path: path.to_owned(),
            });
        }
        Ok(_) => {}
    }
    match place::no_file_beside(path).map_err(|error| cannot_open(path, &error))? {
        None => Ok(()),
        Some(other) => Err(StoreError::CannotOpen {
            path: path.to_owned(),
            reason: format!("{} is no file; remove it", other.display()).into(),
        }),
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    // `:memory:` and `file:…` mean something else to SQLite; no absolute path does.
    let absolute = std::path::absolute(path).map_err(|error| cannot_open(path, &error))?;
    // The one connection is one thread's.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(absolute, flags).map_err(|error| {
        // SQLite keeps the system's reason to itself. Nothing of ours can be locked in a
        // file that it could not open, so that opening it here takes no lock away.
        match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) => cannot_open(path, &error),
            Ok(_) => failure(path, error),
        }
    })
}

fn schema_made(store: &SqliteStore) -> Result<(), StoreError> {
    match store.kind()? {
        Kind::Empty => schema::make(&store.connection).map_err(|error| store.failure(error)),
        // Another process was faster.
        _ => Ok(()),
    }
}

fn schema_migrated(store: &SqliteStore) -> Result<(), StoreError> {
    if store.kind()? != Kind::Ours(schema::VERSION_FIRST) {
        return Ok(());
    }
    let failure = |error| store.failure(error);
    let first = schema::VERSION_FIRST;
    if let Some(object) = schema::stranger(&store.connection, first).map_err(failure)? {
        let path = store.path.clone();
        let object = object.into();
        return Err(StoreError::Altered { path, object });
    }
    match schema::migrate(&store.connection).map_err(failure)? {
        None => Ok(()),
        Some(id) => Err(StoreError::NotMigrated {
            path: store.path.clone(),
            id: id.into(),
        }),
    }
}

pub(super) fn missing(path: &Path) -> StoreError {
    StoreError::Missing {
        path: path.to_owned(),
    }
}

fn cannot_open(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::NotFound if path.parent().is_some_and(is_here) => missing(path),
        ErrorKind::NotFound => StoreError::CannotOpen {
            path: path.to_owned(),
            reason: "there is no such directory; make it".into(),
        },
        _ => StoreError::CannotOpen {
            path: path.to_owned(),
            reason: error.to_string().into(),
        },
    }
}

/// Whether a directory, as the parent of a path, is there; "" is where we are.
fn is_here(directory: &Path) -> bool {
    directory.as_os_str().is_empty() || directory.is_dir()
}
