//! What the user database holds: the objects of its schema, how they are made, how an older schema
//! is brought forward, and whether a file holds them and nothing else.
//!
//! Triggers keep the records that no writer may forget, whichever program writes: which users
//! changed, and which ids were removed.

use rusqlite::{Connection, ErrorCode, Row};

/// `fgat`: what tells our files from other programs' (SQLite file format §1.3.16).
pub(super) const APPLICATION_ID: i64 = 0x6667_6174;
/// The version of the schema, kept in the file as its `user_version`.
pub(super) const VERSION: i64 = 2;
/// The first version: `users` alone, without bounds.
pub(super) const VERSION_FIRST: i64 = 1;

/// The table of users. Its bounds are those of [`User`](super::User) (`limits.rs`); an Argon2
/// string is shorter than its own.
const USERS: &str = "\
CREATE TABLE users (
    id TEXT PRIMARY KEY CHECK (length(CAST(id AS BLOB)) BETWEEN 1 AND 128),
    name TEXT NOT NULL CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 256),
    password_hash TEXT CHECK (length(CAST(password_hash AS BLOB)) <= 512),
    created_at INTEGER NOT NULL CHECK (created_at >= 0),
    disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    tokens_valid_from INTEGER CHECK (tokens_valid_from >= 0)
) STRICT, WITHOUT ROWID";

/// Users as the first version kept them.
const USERS_FIRST: &str = "\
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    password_hash TEXT,
    created_at INTEGER NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    tokens_valid_from INTEGER
) STRICT, WITHOUT ROWID";

/// The ids that were removed, and the second before which their tokens were void then.
const REMOVED: &str = "\
CREATE TABLE removed (
    id TEXT PRIMARY KEY,
    tokens_valid_from INTEGER NOT NULL
) STRICT, WITHOUT ROWID";

/// Which user each of the last changes was of. `mark` tells a change from one of the same number in
/// another copy of the database. There is always one row.
const CHANGES: &str = "\
CREATE TABLE changes (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    mark INTEGER NOT NULL DEFAULT (random())
) STRICT";

/// The latest second that this database has seen, by whatever clock.
const CLOCK: &str = "\
CREATE TABLE clock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    latest INTEGER NOT NULL CHECK (latest >= 0)
) STRICT";

const USER_ADDED: &str = "\
CREATE TRIGGER user_added AFTER INSERT ON users BEGIN
    INSERT INTO changes (id) VALUES (new.id);
    DELETE FROM changes WHERE number <= (SELECT max(number) FROM changes) - 1024;
END";

const USER_CHANGED: &str = "\
CREATE TRIGGER user_changed AFTER UPDATE ON users BEGIN
    INSERT INTO changes (id) VALUES (new.id);
    DELETE FROM changes WHERE number <= (SELECT max(number) FROM changes) - 1024;
END";

const USER_REMOVED: &str = "\
CREATE TRIGGER user_removed AFTER DELETE ON users BEGIN
    INSERT INTO changes (id) VALUES (old.id);
    DELETE FROM changes WHERE number <= (SELECT max(number) FROM changes) - 1024;
    INSERT INTO removed VALUES (old.id, ifnull(old.tokens_valid_from, 0))
        ON CONFLICT (id) DO UPDATE
        SET tokens_valid_from = max(tokens_valid_from, excluded.tokens_valid_from);
END";

const USER_ID_KEPT: &str = "\
CREATE TRIGGER user_id_kept BEFORE UPDATE OF id ON users WHEN old.id <> new.id BEGIN
    SELECT RAISE(ABORT, 'an id never changes: add a user and remove the other');
END";

const TABLES: [&str; 4] = [USERS, REMOVED, CHANGES, CLOCK];
const TRIGGERS: [&str; 4] = [USER_ADDED, USER_CHANGED, USER_REMOVED, USER_ID_KEPT];
const ROWS: &str = "INSERT INTO changes (id) VALUES (''); INSERT INTO clock VALUES (1, 0)";

/// What a file says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing is in it.
    Empty,
    /// A database of ours, of this version.
    Ours(i64),
    /// Something else.
    Foreign,
}

/// What the file of `connection` says it is.
pub(super) fn kind(connection: &Connection) -> rusqlite::Result<Kind> {
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let application_id: i64 = connection.pragma_query_value(None, "application_id", get)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", get)?;
    Ok(match (application_id, version) {
        (0, 0) if objects == 0 => Kind::Empty,
        (APPLICATION_ID, version) => Kind::Ours(version),
        _ => Kind::Foreign,
    })
}

fn get(row: &rusqlite::Row<'_>) -> rusqlite::Result<i64> {
    row.get(0)
}

/// Makes all objects, and the marks that the file is ours. Within a transaction.
pub(super) fn make(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&TABLES.join(";"))?;
    finish(connection)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)
}

/// Brings the first version forward. Within a transaction. Gives back the id of a user that this
/// version does not hold, where there is one: then nothing may be committed.
pub(super) fn migrate(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection.execute_batch(&format!(
        "ALTER TABLE users RENAME TO users_first; {}",
        TABLES.join(";")
    ))?;
    let left = copy_users(connection)?;
    if left.is_none() {
        connection.execute_batch("DROP TABLE users_first")?;
        finish(connection)?;
    }
    Ok(left)
}

/// One by one, so that it can be told which one it was.
fn copy_users(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut ids = connection.prepare("SELECT id FROM users_first")?;
    let mut copy =
        connection.prepare("INSERT INTO users SELECT * FROM users_first WHERE id = ?1")?;
    let mut rows = ids.query([])?;
    while let Some(row) = rows.next()? {
        // Another writer's text need not be UTF-8.
        let id = row.get_ref(0)?.as_bytes_or_null()?.unwrap_or_default();
        let id = String::from_utf8_lossy(id).into_owned();
        match copy.execute([&id]) {
            Ok(1) => {}
            Ok(_) => return Ok(Some(id)),
            Err(rusqlite::Error::SqliteFailure(error, _)) if is_of_the_row(error.code) => {
                return Ok(Some(id));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn is_of_the_row(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::ConstraintViolation | ErrorCode::TooBig)
}

/// Only now: the rows of another version are no changes.
fn finish(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("{};{ROWS}", TRIGGERS.join(";")))?;
    connection.pragma_update(None, "user_version", VERSION)
}

/// The first object of the file that a database of this version would not hold, or not so; `None`
/// when it holds what it should and nothing else.
pub(super) fn stranger(connection: &Connection, version: i64) -> rusqlite::Result<Option<String>> {
    let mut expected: Vec<&str> = match version {
        VERSION_FIRST => vec![USERS_FIRST],
        _ => TABLES.into_iter().chain(TRIGGERS).collect(),
    };
    // `ANALYZE` makes tables of its own; a planner may read what it likes.
    let mut objects = connection.prepare(
        "SELECT name, sql FROM sqlite_schema WHERE name NOT GLOB 'sqlite_stat[0-9]' ORDER BY name",
    )?;
    let mut rows = objects.query([])?;
    while let Some(row) = rows.next()? {
        let sql: Option<String> = row.get(1)?;
        let sql = sql.unwrap_or_default();
        match expected.iter().position(|known| is_same(known, &sql)) {
            Some(index) => _ = expected.swap_remove(index),
            None => return row.get(0).map(Some),
        }
    }
    Ok(expected.first().map(|sql| name_of(sql).to_owned()))
}

/// Whether two statements are the same but for their white space.
fn is_same(one: &str, other: &str) -> bool {
    one.split_ascii_whitespace()
        .eq(other.split_ascii_whitespace())
}

/// What a statement of ours makes: `CREATE TABLE name …`.
fn name_of(sql: &str) -> &str {
    sql.split_ascii_whitespace().nth(2).unwrap_or_default()
}

/// The newest of the recorded changes: its number and its mark.
pub(super) fn newest_change(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let sql = "SELECT number, mark FROM changes ORDER BY number DESC LIMIT 1";
    connection.query_row(sql, [], read_change)
}

/// The users of the changes after `since`, at most one more than `ids_max`; `None` when that
/// change is not recorded any more.
pub(super) fn changes_since(
    connection: &Connection,
    since: (i64, i64),
    ids_max: usize,
) -> rusqlite::Result<Option<Vec<Box<str>>>> {
    let mut changes = connection.prepare(
        "SELECT number, mark, id FROM changes WHERE number >= ?1 ORDER BY number LIMIT ?2",
    )?;
    let rows_max = i64::try_from(ids_max + 2).unwrap_or(i64::MAX);
    let mut rows = changes.query((since.0, rows_max))?;
    match rows.next()?.map(read_change).transpose()? {
        Some(first) if first == since => {}
        _ => return Ok(None),
    }
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        ids.push(row.get(2)?);
    }
    Ok(Some(ids))
}

fn read_change(row: &Row<'_>) -> rusqlite::Result<(i64, i64)> {
    Ok((row.get(0)?, row.get(1)?))
}
