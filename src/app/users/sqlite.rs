//! The users in a SQLite file: the only place of the program that knows of SQL.
//!
//! Statements are prepared anew for each use. The hot path reads users from the cache in
//! front, and a look-up costs some ten microseconds with that; keeping statements would take
//! two more crates.

mod opening;
mod place;
mod schema;
mod served;
mod tokens;

pub use served::ServedStore;
pub use tokens::SqliteWriter;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row, ffi};

use super::{Changes, StoreError, User, UserStore};
use crate::app::password::PasswordHash;
use crate::limits::{DATABASE_WAIT_CARRYING, USER_CHANGES_MAX};
use crate::time::{Instant, UnixSeconds};
use place::{Place, Stamp};

const SELECT: &str =
    "SELECT id, name, password_hash, created_at, disabled, tokens_valid_from FROM users";

/// What a database is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To look: the file must be there, and nothing in it changes.
    Read,
    /// To serve: the file must be there, and nobody is waited for longer than a turn can bear.
    Serve,
    /// To write for a server, in a thread that may wait a while.
    Write,
    /// To change users there are: the file must be there.
    Change,
    /// To add users: the file is made where there is none.
    Administer,
}

/// Users in a SQLite file, with a write-ahead log beside it. What is committed survives the
/// loss of power.
///
/// What a command commits is carried into the file before it says that it is done: nothing of the
/// users stands in the write-ahead log alone while nobody writes.
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
    mode: Mode,
    /// The files that are open; `None` while they are being opened.
    place: Option<Place>,
    /// The stamp of the database file when changes were asked for last.
    stamp: Option<Stamp>,
    /// The last change that was told, or is our own: its number and mark.
    last_change: (i64, i64),
    /// SQLite's `data_version` when it was asked for last.
    data_version: i64,
    /// SQLite's `schema_version` when the schema was last found to be ours.
    schema_version: i64,
    /// True when it is only read and as an older framegate made it.
    is_of_the_first_version: bool,
}

impl SqliteStore {
    /// Adds `user`. False, and nothing done, when the id is taken. Of an id that was removed, the
    /// tokens issued until now are void, whatever `user` says.
    ///
    /// # Errors
    ///
    /// When the user could not be added.
    pub fn add(&mut self, user: &User) -> Result<bool, StoreError> {
        self.write(|connection| insert(connection, user))
    }

    /// Adds all of `users`, or none: then with the index of the first whose id is taken.
    ///
    /// # Errors
    ///
    /// When they could not be added; then none is.
    pub fn add_all(&mut self, users: &[User]) -> Result<Option<usize>, StoreError> {
        self.transact(|connection| {
            for (index, user) in users.iter().enumerate() {
                if !insert(connection, user)? {
                    return Ok((Some(index), Outcome::RollBack));
                }
            }
            Ok((None, Outcome::Commit))
        })
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

    /// The files we have open must still be those that others open: else commands would disable
    /// users, and we would never know.
    fn check_in_place(&self) -> Result<Stamp, StoreError> {
        let stamp = self.place.as_ref().and_then(Place::stamp);
        stamp.ok_or_else(|| self.moved())
    }

    fn moved(&self) -> StoreError {
        StoreError::Moved {
            path: self.path.clone(),
        }
    }

    /// Runs a statement that changes one user; false when there is no such user.
    fn change(&mut self, sql: &str, params: impl Params) -> Result<bool, StoreError> {
        self.write(|connection| Ok(connection.execute(sql, params)? > 0))
    }

    /// Runs `work` in a transaction of its own, and commits it.
    fn write<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.transact(|connection| Ok((work(connection)?, Outcome::Commit)))
    }

    /// Runs `work` in a transaction of its own. What fails leaves nothing changed.
    fn transact<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<(T, Outcome)>,
    ) -> Result<T, StoreError> {
        self.check_in_place()?;
        self.execute("BEGIN IMMEDIATE")?;
        let before = self.last_change;
        let worked = self.work(work);
        let ended = match &worked {
            Ok((_, Outcome::Commit)) => self.commit(),
            Ok((_, Outcome::RollBack)) | Err(_) => Ok(()),
        };
        if !self.connection.is_autocommit() {
            self.last_change = before;
            self.execute("ROLLBACK")?;
        }
        ended.and(worked).map(|(value, _)| value)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.check_in_place()?;
        self.execute("COMMIT")?;
        self.carry()
    }

    /// Within a transaction.
    fn work<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.check_schema_again()?;
        let before = self.newest_change()?;
        let worked = work(&self.connection).map_err(|error| self.failure(error))?;
        if before == self.last_change {
            // What follows is our own, and nothing of others lies between.
            self.last_change = self.newest_change()?;
        }
        Ok(worked)
    }

    /// Carries what was committed from the write-ahead log into the database file, so that a copy
    /// of that file has it, and so that it is not lost with the log. Where somebody reads for long,
    /// it stays where it is, and nothing is wrong.
    fn carry(&mut self) -> Result<(), StoreError> {
        let (wait, how) = match self.mode {
            Mode::Serve => (self.mode.wait(), "PASSIVE"),
            _ => (DATABASE_WAIT_CARRYING, "TRUNCATE"),
        };
        let wait_for = |wait| self.connection.busy_timeout(wait);
        wait_for(wait).map_err(|error| self.failure(error))?;
        // Its answer is a row of three numbers; that it could not is none of our failures.
        let _ = self.value::<i64>(&format!("PRAGMA wal_checkpoint({how})"));
        wait_for(self.mode.wait()).map_err(|error| self.failure(error))?;
        // What was committed to files that are gone is not done.
        self.check_in_place().map(drop)
    }

    /// The newest of the recorded changes: its number and its mark.
    fn newest_change(&self) -> Result<(i64, i64), StoreError> {
        if self.is_of_the_first_version {
            return Ok((0, 0));
        }
        schema::newest_change(&self.connection).map_err(|error| self.failure(error))
    }

    /// The users of the changes since the last one that was told. In one reading of the file.
    fn changes_since(&mut self) -> Result<Option<Changes>, StoreError> {
        self.check_schema_again()?;
        let since = self.last_change;
        let newest = self.newest_change()?;
        self.last_change = newest;
        if newest == since {
            return Ok(Some(Changes::None));
        }
        let ids = schema::changes_since(&self.connection, since, USER_CHANGES_MAX);
        Ok(match ids.map_err(|error| self.failure(error))? {
            // The change we know is not among them: it was long ago, or this is another database.
            None => None,
            Some(ids) if ids.len() > USER_CHANGES_MAX => Some(Changes::All),
            Some(ids) => Some(Changes::Of(ids)),
        })
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
        self.check_in_place()?;
        self.connection
            .query_row(&format!("{SELECT} WHERE id = ?1"), [id], read)
            .optional()
            .map_err(|error| self.failure(error))
    }

    fn changed(&mut self, _: Instant) -> Result<Changes, StoreError> {
        let stamp = Some(self.check_in_place()?);
        let data_version = self.pragma("data_version")?;
        let is_committed = data_version != self.data_version;
        if !is_committed && stamp == self.stamp {
            return Ok(Changes::None);
        }
        if stamp != self.stamp {
            // Somebody wrote to the file: SQLite, which carries commits into it, or another
            // program past its locks, and that may be both. What was read of it before counts for
            // nothing.
            self.execute("PRAGMA shrink_memory")?;
        }
        let changes = self.reading(|store| {
            // A commit may have come between.
            let is_committed = store.pragma("data_version")? != store.data_version;
            match store.changes_since()? {
                Some(changes) if is_committed || changes == Changes::None => Ok(changes),
                None if is_committed => Ok(Changes::All),
                // Another database was copied over ours.
                _ => Err(StoreError::Moved {
                    path: store.path.clone(),
                }),
            }
        })?;
        (self.data_version, self.stamp) = (data_version, stamp);
        Ok(changes)
    }

    fn check(&mut self) -> Result<(), StoreError> {
        self.check_in_place()?;
        self.check_readable()
    }
}

/// The last to leave a database carries what is in its log into it, and removes the log. That must
/// not be done to files that are another's by now.
impl Drop for SqliteStore {
    fn drop(&mut self) {
        if self.place.is_some() && self.check_in_place().is_err() {
            let leave = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            // It fails for no connection that is open.
            let _ = self.connection.set_db_config(leave, true);
        }
    }
}

/// What becomes of a transaction.
enum Outcome {
    Commit,
    RollBack,
}

/// An id that was removed begins with its tokens void until now, and at the least for as long as
/// they were void when it was removed.
fn insert(connection: &Connection, user: &User) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare(
        "INSERT INTO users VALUES (?1, ?2, ?3, ?4, ?5, nullif(max(ifnull(?6, 0), ifnull((
             SELECT max(removed.tokens_valid_from, clock.latest + 1, ?4 + 1)
             FROM removed, clock WHERE removed.id = ?1), 0)), 0))
         ON CONFLICT DO NOTHING",
    )?;
    let changes = statement.execute((
        &*user.id,
        &*user.name,
        user.password_hash.as_ref().map(PasswordHash::as_str),
        integer(user.created_at),
        user.disabled,
        user.tokens_valid_from.map(integer),
    ))?;
    tokens::see(connection, user.created_at)?;
    Ok(changes > 0)
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
        // A query of ours is short, and so is whatever we write.
        ErrorCode::DatabaseCorrupt | ErrorCode::OperationInterrupted | ErrorCode::TooBig => {
            StoreError::Corrupt { path }
        }
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
