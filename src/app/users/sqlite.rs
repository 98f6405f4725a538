//! The users in a SQLite file: the only file of the program that knows of SQL.
//!
//! Statements are prepared anew for each use. The hot path reads users from the cache in
//! front, and a look-up costs some ten microseconds with that; keeping statements would take
//! two more crates.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{
    Connection, ErrorCode, FileControl, MAIN_DB, OpenFlags, OptionalExtension, Params, Row,
    TransactionBehavior, ffi,
};

use super::{StoreError, User, UserStore};
use crate::app::password::PasswordHash;
use crate::limits::{
    DATABASE_CACHE_KIB, DATABASE_SWITCHES_MAX, DATABASE_WAIT_ADMINISTERING, DATABASE_WAIT_SERVING,
};
use crate::time::UnixSeconds;

/// `fgat`: what tells our files from other programs' (SQLite file format §1.3.16).
const APPLICATION_ID: i64 = 0x6667_6174;
/// The version of the schema, kept in the file as its `user_version`.
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE users (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        password_hash TEXT,
        created_at INTEGER NOT NULL,
        disabled INTEGER NOT NULL DEFAULT 0,
        tokens_valid_from INTEGER
    ) STRICT, WITHOUT ROWID";

const SELECT: &str =
    "SELECT id, name, password_hash, created_at, disabled, tokens_valid_from FROM users";

/// What a database is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To serve: the file must be there, and nobody is waited for longer than a turn can bear.
    Serve,
    /// To administer users: the file is made where there is none.
    Administer,
}

/// Users in a SQLite file, with a write-ahead log beside it. What is committed survives the
/// loss of power.
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
    /// SQLite's `data_version` when it was asked for last.
    data_version: i64,
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
        let mut store = SqliteStore {
            connection: connect(path)?,
            path: path.to_owned(),
            data_version: 0,
        };
        store.check_writable()?;
        store.configure(mode)?;
        store.settle(mode)?;
        store.data_version = store.pragma("data_version")?;
        Ok(store)
    }

    /// Adds `user`. False, and nothing done, when the id is taken.
    ///
    /// # Errors
    ///
    /// When the user could not be added.
    pub fn add(&mut self, user: &User) -> Result<bool, StoreError> {
        insert(&self.connection, user).map_err(|error| self.failure(error))
    }

    /// Adds all of `users`, or none: then with the index of the first whose id is taken.
    ///
    /// # Errors
    ///
    /// When they could not be added; then none is.
    pub fn add_all(&mut self, users: &[User]) -> Result<Option<usize>, StoreError> {
        insert_all(&mut self.connection, users).map_err(|error| failure(&self.path, error))
    }

    /// Hands each user to `each`, in the order of their ids, until it breaks.
    ///
    /// # Errors
    ///
    /// When the users could not be read; `each` may have seen some.
    pub fn list(&self, each: impl FnMut(User) -> ControlFlow<()>) -> Result<(), StoreError> {
        list(&self.connection, each).map_err(|error| self.failure(error))
    }

    /// Removes the user called `id`. False when there is none.
    ///
    /// # Errors
    ///
    /// When the user could not be removed.
    pub fn remove(&mut self, id: &str) -> Result<bool, StoreError> {
        self.change("DELETE FROM users WHERE id = ?1", [id])
    }

    /// Sets the password of `id`, or takes it away. False when there is no such user.
    ///
    /// # Errors
    ///
    /// When the password could not be set.
    pub fn set_password(
        &mut self,
        id: &str,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, StoreError> {
        let hash = hash.map(PasswordHash::as_str);
        self.change(
            "UPDATE users SET password_hash = ?2 WHERE id = ?1",
            (id, hash),
        )
    }

    /// Disables or enables `id`. False when there is no such user.
    ///
    /// # Errors
    ///
    /// When that could not be set.
    pub fn set_disabled(&mut self, id: &str, disabled: bool) -> Result<bool, StoreError> {
        self.change(
            "UPDATE users SET disabled = ?2 WHERE id = ?1",
            (id, disabled),
        )
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
        let wait = match mode {
            Mode::Serve => DATABASE_WAIT_SERVING,
            Mode::Administer => DATABASE_WAIT_ADMINISTERING,
        };
        // With FULL a commit has reached the disk when it returns: a revocation that was
        // answered for is not undone by a loss of power.
        let pragmas = format!(
            "PRAGMA synchronous = FULL; PRAGMA cache_size = -{DATABASE_CACHE_KIB};
             PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;"
        );
        self.connection
            .busy_timeout(wait)
            .and_then(|()| self.connection.execute_batch(&pragmas))
            .map_err(|error| self.failure(error))
    }

    /// Sees to it that the file is a database of ours, before anything is written to it.
    fn settle(&mut self, mode: Mode) -> Result<(), StoreError> {
        // One reading of the file: another process may be making the database.
        self.execute("BEGIN")?;
        let is_ours = self.is_ours();
        self.execute("ROLLBACK")?;
        if !is_ours? {
            match mode {
                Mode::Serve => return Err(missing(&self.path)),
                Mode::Administer => self.make_schema()?,
            }
        }
        self.check_readable()?;
        self.use_write_ahead_log()
    }

    /// False for a file with nothing in it.
    fn is_ours(&self) -> Result<bool, StoreError> {
        let path = self.path.clone();
        let tables: i64 = self.value("SELECT count(*) FROM sqlite_schema")?;
        match (self.pragma("application_id")?, self.pragma("user_version")?) {
            (0, 0) if tables == 0 => Ok(false),
            (APPLICATION_ID, SCHEMA_VERSION) => Ok(true),
            (APPLICATION_ID, version) if version > SCHEMA_VERSION => {
                Err(StoreError::TooNew { path, version })
            }
            _ => Err(StoreError::NotOurs { path }),
        }
    }

    /// Makes the table, and the marks that the file is ours, all at once or not at all.
    fn make_schema(&mut self) -> Result<(), StoreError> {
        self.execute("BEGIN IMMEDIATE")?;
        // Another process may have been faster.
        let made = match self.is_ours() {
            Ok(false) => self.execute(&format!(
                "{SCHEMA}; PRAGMA application_id = {APPLICATION_ID};
                 PRAGMA user_version = {SCHEMA_VERSION}; COMMIT"
            )),
            Ok(true) => self.execute("ROLLBACK"),
            Err(error) => Err(error),
        };
        // When it failed the connection is given up, and what it began with it.
        made
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

    /// The file we have open must still be the one the commands open: else they would
    /// disable users, and we would never know.
    fn check_in_place(&self) -> Result<(), StoreError> {
        let mut moved = 0;
        self.connection
            .file_control(Some(MAIN_DB), FileControl::HasMoved(&mut moved))
            .map_err(|error| self.failure(error))?;
        match moved {
            0 => Ok(()),
            _ => Err(StoreError::Moved {
                path: self.path.clone(),
            }),
        }
    }

    /// Whether there is any user is not the question; whether it can be told is.
    fn check_readable(&self) -> Result<(), StoreError> {
        self.value::<bool>("SELECT EXISTS (SELECT 1 FROM users)")
            .map(drop)
    }

    /// Runs a statement that changes one user; false when there is no such user.
    fn change(&self, sql: &str, params: impl Params) -> Result<bool, StoreError> {
        let changes = self.connection.execute(sql, params);
        changes
            .map(|changes| changes > 0)
            .map_err(|error| self.failure(error))
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        let done = self.connection.execute_batch(sql);
        done.map_err(|error| self.failure(error))
    }

    fn pragma(&self, name: &str) -> Result<i64, StoreError> {
        self.value(&format!("PRAGMA {name}"))
    }

    fn value<T: rusqlite::types::FromSql>(&self, sql: &str) -> Result<T, StoreError> {
        self.connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(|error| self.failure(error))
    }

    fn failure(&self, error: rusqlite::Error) -> StoreError {
        failure(&self.path, error)
    }
}

impl UserStore for SqliteStore {
    fn user(&mut self, id: &str) -> Result<Option<User>, StoreError> {
        self.connection
            .query_row(&format!("{SELECT} WHERE id = ?1"), [id], read)
            .optional()
            .map_err(|error| self.failure(error))
    }

    fn revoke(&mut self, id: &str, issued_until: UnixSeconds) -> Result<bool, StoreError> {
        self.change(
            "UPDATE users SET tokens_valid_from = max(ifnull(tokens_valid_from, 0), ?2) + 1
             WHERE id = ?1",
            (id, integer(issued_until)),
        )
    }

    fn changed(&mut self) -> Result<bool, StoreError> {
        self.check_in_place()?;
        let data_version = self.pragma("data_version")?;
        let changed = data_version != self.data_version;
        self.data_version = data_version;
        Ok(changed)
    }

    fn check(&mut self) -> Result<(), StoreError> {
        self.check_in_place()?;
        self.check_readable()
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

fn connect(path: &Path) -> Result<Connection, StoreError> {
    // A pipe would be waited for, and a directory is told of more clearly here.
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

fn insert(connection: &Connection, user: &User) -> rusqlite::Result<bool> {
    let mut statement = connection
        .prepare("INSERT INTO users VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING")?;
    let changes = statement.execute((
        &*user.id,
        &*user.name,
        user.password_hash.as_ref().map(PasswordHash::as_str),
        integer(user.created_at),
        user.disabled,
        user.tokens_valid_from.map(integer),
    ))?;
    Ok(changes > 0)
}

fn insert_all(connection: &mut Connection, users: &[User]) -> rusqlite::Result<Option<usize>> {
    // What is not committed is rolled back when it goes out of scope.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (index, user) in users.iter().enumerate() {
        if !insert(&transaction, user)? {
            return Ok(Some(index));
        }
    }
    transaction.commit()?;
    Ok(None)
}

fn list(
    connection: &Connection,
    mut each: impl FnMut(User) -> ControlFlow<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("{SELECT} ORDER BY id"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if each(read(row)?).is_break() {
            break;
        }
    }
    Ok(())
}

/// Reads a row of [`SELECT`].
fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    let password_hash: Option<Box<str>> = row.get(2)?;
    let tokens_valid_from: Option<i64> = row.get(5)?;
    Ok(User {
        id: row.get(0)?,
        name: row.get(1)?,
        password_hash: password_hash.map(PasswordHash::from_store),
        created_at: seconds(3, row.get(3)?)?,
        disabled: row.get(4)?,
        tokens_valid_from: tokens_valid_from
            .map(|value| seconds(5, value))
            .transpose()?,
    })
}

fn seconds(column: usize, value: i64) -> rusqlite::Result<UnixSeconds> {
    u64::try_from(value)
        .map(UnixSeconds)
        .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn integer(seconds: UnixSeconds) -> i64 {
    i64::try_from(seconds.0).unwrap_or(i64::MAX)
}

fn missing(path: &Path) -> StoreError {
    StoreError::Missing {
        path: path.to_owned(),
    }
}

fn cannot_open(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::NotFound if path.parent().is_some_and(is_here) => missing(path),
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

fn failure(path: &Path, error: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    let rusqlite::Error::SqliteFailure(error, message) = error else {
        // A column holds what we would not write.
        return StoreError::Corrupt { path };
    };
    match error.code {
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed => StoreError::Busy,
        ErrorCode::DiskFull => StoreError::Full,
        ErrorCode::SystemIoFailure => StoreError::Io,
        ErrorCode::OutOfMemory => StoreError::OutOfMemory,
        ErrorCode::DatabaseCorrupt => StoreError::Corrupt { path },
        ErrorCode::NotADatabase => StoreError::NotOurs { path },
        // Our statements are right, so the table is not the one we made.
        _ if error.extended_code == ffi::SQLITE_ERROR => StoreError::Corrupt { path },
        _ if error.extended_code == ffi::SQLITE_READONLY_DBMOVED => StoreError::Moved { path },
        // The file could be opened, so these are about the files beside it.
        ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
            StoreError::ReadOnly { path }
        }
        _ => StoreError::Unexpected {
            reason: message.unwrap_or_else(|| error.to_string()).into(),
        },
    }
}

#[cfg(test)]
mod tests;
