//! From when on tokens are good, and the latest second that was seen.

use rusqlite::{Connection, OptionalExtension as _};

use super::{SqliteStore, integer, seconds};
use crate::app::password::PasswordHash;
use crate::app::users::{Dated, Revocation, StoreError, UserWriter, outrun};
use crate::time::UnixSeconds;

impl SqliteStore {
    /// Voids every token of `id` that was issued until now, as `clock` tells it: tokens that
    /// others sign until they see the commit, too. `leeway_seconds` is `LEEWAY`. False when there
    /// is no such user.
    ///
    /// # Errors
    ///
    /// When that is not done for good.
    pub fn revoke(
        &mut self,
        id: &str,
        clock: &dyn Fn() -> UnixSeconds,
        leeway_seconds: u64,
    ) -> Result<bool, StoreError> {
        let revocation = until_now(id, leeway_seconds);
        let from = outrun(
            clock,
            |from| *from,
            |ahead| self.write(|connection| void(connection, &revocation, clock().plus(ahead))),
        );
        from.map(|from| from.is_some())
    }

    /// Sets the password of `id`, or takes it away, and voids the user's tokens as
    /// [`revoke`](SqliteStore::revoke) does. False when there is no such user.
    ///
    /// # Errors
    ///
    /// When that is not done for good.
    pub fn renew_password(
        &mut self,
        id: &str,
        hash: Option<&PasswordHash>,
        clock: &dyn Fn() -> UnixSeconds,
        leeway_seconds: u64,
    ) -> Result<bool, StoreError> {
        let hash = hash.map(PasswordHash::as_str);
        let revocation = until_now(id, leeway_seconds);
        let from = outrun(
            clock,
            |from| *from,
            |ahead| {
                self.write(|connection| {
                    connection.execute(
                        "UPDATE users SET password_hash = ?2 WHERE id = ?1",
                        (id, hash),
                    )?;
                    void(connection, &revocation, clock().plus(ahead))
                })
            },
        );
        from.map(|from| from.is_some())
    }
}

impl UserWriter for SqliteStore {
    fn write(
        &mut self,
        revocations: &[Revocation],
        seen: Option<UnixSeconds>,
        clock: &dyn Fn() -> UnixSeconds,
    ) -> Result<(), StoreError> {
        let earliest = |from: &Option<UnixSeconds>| *from;
        outrun(clock, earliest, |ahead| {
            SqliteStore::write(self, |connection| {
                let now = clock().plus(ahead);
                see(connection, seen.unwrap_or_default())?;
                let mut earliest: Option<UnixSeconds> = None;
                for revocation in revocations {
                    // A token that is known to bear a later date is as one that was seen.
                    see(connection, revocation.issued_until)?;
                    let from = void(connection, revocation, now)?;
                    earliest = earliest.into_iter().chain(from).min();
                }
                Ok(earliest)
            })
        })
        .map(drop)
    }
}

/// A command knows of no token that was issued.
fn until_now(id: &str, leeway_seconds: u64) -> Revocation {
    Revocation {
        id: id.into(),
        issued_until: UnixSeconds(0),
        leeway_seconds,
    }
}

/// Voids the tokens of the user that were issued until `now`, within a transaction. `None` when there
/// is no such user.
fn void(
    connection: &Connection,
    revocation: &Revocation,
    now: UnixSeconds,
) -> rusqlite::Result<Option<UnixSeconds>> {
    let seen = connection.query_row("SELECT latest FROM clock", [], |row| {
        seconds(0, row.get(0)?)
    })?;
    let dated = connection
        .query_row(
            "SELECT tokens_valid_from, created_at FROM users WHERE id = ?1",
            [&revocation.id],
            |row| {
                let from: Option<i64> = row.get(0)?;
                Ok(Dated {
                    tokens_valid_from: from.map(|from| seconds(0, from)).transpose()?,
                    created_at: seconds(1, row.get(1)?)?,
                    seen,
                    issued_until: revocation.issued_until,
                })
            },
        )
        .optional()?;
    let Some(dated) = dated else { return Ok(None) };
    let from = dated.valid_from(now, revocation.leeway_seconds);
    connection.execute(
        "UPDATE users SET tokens_valid_from = ?2 WHERE id = ?1",
        (&revocation.id, integer(from)),
    )?;
    see(connection, now)?;
    Ok(Some(from))
}

/// Keeps in mind that this second was seen, within a transaction.
pub(super) fn see(connection: &Connection, second: UnixSeconds) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE clock SET latest = ?1 WHERE latest < ?1",
        [integer(second)],
    )?;
    Ok(())
}

/// The database of a server, written to by a connection of its own for each commit.
///
/// It is never kept open: SQLite has one mapping of a `-shm` for all connections of a process, so
/// that a server whose files were replaced could not open the new ones beside it.
pub struct SqliteWriter {
    path: std::path::PathBuf,
}

impl SqliteWriter {
    /// The writer of the database at `path`.
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open`].
    pub fn open(path: &std::path::Path) -> Result<SqliteWriter, StoreError> {
        let path = path.to_owned();
        SqliteStore::open(&path, super::Mode::Write).map(|_| SqliteWriter { path })
    }
}

impl UserWriter for SqliteWriter {
    fn write(
        &mut self,
        revocations: &[Revocation],
        seen: Option<UnixSeconds>,
        clock: &dyn Fn() -> UnixSeconds,
    ) -> Result<(), StoreError> {
        let mut store = SqliteStore::open(&self.path, super::Mode::Write)?;
        UserWriter::write(&mut store, revocations, seen, clock)
    }
}
