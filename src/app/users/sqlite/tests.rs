use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Instant as Clock;
use std::{fs, io};

use super::super::tests::{TemporaryDirectory, user};
use super::opening::missing;
use super::*;
use crate::limits::{DATABASE_WAIT_SERVING, SUBJECT_BYTES_MAX, USER_NAME_BYTES_MAX};

fn names(directory: &TemporaryDirectory) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Mode::Administer).unwrap()
}

fn refusal(path: &Path, mode: Mode) -> StoreError {
    SqliteStore::open(path, mode).err().unwrap()
}

const ORIGIN: Instant = Instant::ORIGIN;

/// A database of another program's making.
fn foreign(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
}

fn ids(store: &SqliteStore) -> Vec<String> {
    let mut ids = Vec::new();
    store
        .list(|user| {
            ids.push(user.id.into_string());
            ControlFlow::Continue(())
        })
        .unwrap();
    ids
}

#[test]
fn a_database_made_outlives_its_connection() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("users.db");
    assert_eq!(open(&path).add(&user("alice")), Ok(true));
    assert_eq!(names(&directory), ["users.db"]);
    let mut store = SqliteStore::open(&path, Mode::Serve).unwrap();
    assert_eq!(store.user("alice"), Ok(Some(user("alice"))));
}

#[test]
fn a_database_and_what_lies_beside_it_are_their_owners_alone() {
    let directory = TemporaryDirectory::new();
    let mut store = open(&directory.file("users.db"));
    assert_eq!(store.add(&user("alice")), Ok(true));
    assert_eq!(
        names(&directory),
        ["users.db", "users.db-shm", "users.db-wal"]
    );
    for name in names(&directory) {
        let metadata = fs::metadata(directory.file(&name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_commit_is_on_the_disk_when_it_returns() {
    let directory = TemporaryDirectory::new();
    let store = open(&directory.file("users.db"));
    const FULL: i64 = 2;
    assert_eq!(store.pragma("synchronous"), Ok(FULL));
    assert_eq!(store.value::<String>("PRAGMA journal_mode").unwrap(), "wal");
}

#[test]
fn a_missing_database_is_not_made_to_serve() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("users.db");
    for mode in [Mode::Read, Mode::Serve] {
        assert_eq!(refusal(&path, mode), missing(&path));
    }
    assert!(names(&directory).is_empty());
}

#[test]
fn an_empty_file_becomes_a_database_when_administered_only() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("users.db");
    fs::write(&path, "").unwrap();
    assert_eq!(refusal(&path, Mode::Serve), missing(&path));
    assert_eq!(fs::read(&path).unwrap(), b"");
    open(&path);
    assert!(SqliteStore::open(&path, Mode::Serve).is_ok());
}

#[test]
fn a_missing_directory_is_told_and_not_made() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("nowhere/users.db");
    for mode in [Mode::Read, Mode::Serve, Mode::Administer] {
        let line = refusal(&path, mode).to_string();
        assert!(
            line.contains("nowhere/users.db: there is no such directory; make it"),
            "{line}"
        );
    }
    assert!(names(&directory).is_empty());
}

#[test]
fn a_directory_is_not_a_database() {
    let directory = TemporaryDirectory::new();
    for mode in [Mode::Read, Mode::Serve, Mode::Administer] {
        let line = refusal(directory.path(), mode).to_string();
        assert!(line.ends_with(": is a directory"), "{line}");
    }
    assert!(names(&directory).is_empty());
}

#[test]
fn a_path_that_is_no_file_is_not_waited_for() {
    let path = Path::new("/dev/null");
    for mode in [Mode::Read, Mode::Serve, Mode::Administer] {
        assert_eq!(
            refusal(path, mode),
            StoreError::NotOurs { path: path.into() }
        );
    }
}

#[test]
fn a_file_that_is_not_sqlite_is_left_as_it_was() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("notes.txt");
    // SQLite takes a file of one byte for an empty one.
    for text in ["xy".to_owned(), "not a database\n".repeat(1_000)] {
        fs::write(&path, &text).unwrap();
        for mode in [Mode::Read, Mode::Serve, Mode::Administer] {
            assert_eq!(
                refusal(&path, mode),
                StoreError::NotOurs { path: path.clone() }
            );
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    assert_eq!(names(&directory), ["notes.txt"]);
}

#[test]
fn the_database_of_another_program_is_left_as_it_was() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("theirs.db");
    for sql in [
        "CREATE TABLE users (id TEXT)",
        "PRAGMA application_id = 7; DROP TABLE users",
        "PRAGMA application_id = 0; PRAGMA user_version = 1",
    ] {
        foreign(&path, sql);
        let before = fs::read(&path).unwrap();
        for mode in [Mode::Read, Mode::Serve, Mode::Administer] {
            assert_eq!(
                refusal(&path, mode),
                StoreError::NotOurs { path: path.clone() }
            );
        }
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[test]
fn a_newer_schema_is_told_with_its_version() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("users.db");
    open(&path);
    foreign(&path, "PRAGMA user_version = 3");
    for mode in [Mode::Read, Mode::Serve, Mode::Administer] {
        let too_new = StoreError::TooNew {
            path: path.clone(),
            version: 3,
        };
        assert_eq!(refusal(&path, mode), too_new);
    }
}

#[test]
fn a_truncated_database_is_damaged() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("users.db");
    let many: Vec<User> = (0..300).map(|n| user(&format!("user{n}"))).collect();
    assert_eq!(open(&path).add_all(&many), Ok(None));
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() > 3 * 4_096);
    for length in [whole.len() - 4_096, 4_097, 4_096, 1_000, 99, 50, 2] {
        fs::write(&path, &whole[..length]).unwrap();
        for mode in [Mode::Read, Mode::Serve, Mode::Administer] {
            let refused = refusal(&path, mode);
            let damaged = matches!(
                refused,
                StoreError::Corrupt { .. } | StoreError::NotOurs { .. }
            );
            assert!(damaged, "{length}: {refused}");
        }
        assert_eq!(fs::read(&path).unwrap(), &whole[..length]);
    }
}

/// Writes what no bound of the schema lets in.
fn foreign_unchecked(path: &Path, sql: &str) {
    foreign(
        path,
        &format!("PRAGMA ignore_check_constraints = ON; {sql}"),
    );
}

#[test]
fn a_row_we_would_not_write_denies_its_user_and_no_other() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("users.db");
    let mut store = open(&path);
    assert_eq!(store.add(&user("alice")), Ok(true));
    foreign_unchecked(
        &path,
        "INSERT INTO users VALUES ('bob', 'Bob', NULL, -1, 0, NULL);
         INSERT INTO users VALUES ('carol', CAST(x'ff' AS TEXT), NULL, 1, 0, NULL);
         INSERT INTO users VALUES ('dave', 'Dave', NULL, 1, 2, NULL);
         INSERT INTO users VALUES ('erin', 'Erin', NULL, 1, 0, -1);
         INSERT INTO users VALUES ('fred', hex(zeroblob(4000000)), NULL, 1, 0, NULL)",
    );
    let corrupt = StoreError::Corrupt { path };
    for id in ["bob", "carol", "erin", "fred"] {
        assert_eq!(store.user(id), Err(corrupt.clone()), "{id}");
    }
    // Whatever is not a plain "no" disables.
    assert!(store.user("dave").unwrap().unwrap().disabled);
    assert!(store.user("alice").unwrap().is_some());
}

#[test]
fn the_schema_holds_the_bounds_of_a_user_whoever_writes() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("users.db");
    let mut store = open(&path);
    let longest = User::new(
        &"x".repeat(SUBJECT_BYTES_MAX),
        &"é".repeat(USER_NAME_BYTES_MAX / 2),
        None,
        UnixSeconds(0),
    );
    assert_eq!(store.add(&longest.unwrap()), Ok(true));
    let connection = Connection::open(&path).unwrap();
    for (values, is_taken) in [
        ("'a', 'A', NULL, 0, 0, NULL", true),
        ("'b', 'B', hex(zeroblob(256)), 1, 1, 0", true),
        ("'c', 'C', hex(zeroblob(256)) || 'x', 1, 1, 0", false),
        ("hex(zeroblob(64)) || 'x', 'D', NULL, 1, 1, 0", false),
        ("'', 'E', NULL, 1, 1, 0", false),
        ("'f', '', NULL, 1, 1, 0", false),
        ("'g', hex(zeroblob(128)) || 'é', NULL, 1, 1, 0", false),
        ("'h', 'H', NULL, -1, 0, NULL", false),
        ("'i', 'I', NULL, 1, 2, NULL", false),
        ("'j', 'J', NULL, 1, 0, -1", false),
    ] {
        let done = connection.execute(&format!("INSERT INTO users VALUES ({values})"), []);
        assert_eq!(done.is_ok(), is_taken, "{values}");
    }
}

#[test]
fn an_id_never_changes() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("users.db");
    assert_eq!(open(&path).add(&user("alice")), Ok(true));
    let connection = Connection::open(&path).unwrap();
    let done = connection.execute("UPDATE users SET id = 'bob'", []);
    assert!(done.is_err());
}

#[test]
fn a_removed_table_denies_everybody() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("users.db");
    let mut store = open(&path);
    assert_eq!(store.add(&user("alice")), Ok(true));
    foreign(&path, "DROP TABLE users");
    let corrupt = StoreError::Corrupt { path: path.clone() };
    assert_eq!(store.user("alice"), Err(corrupt.clone()));
    drop(store);
    let altered = altered(&path, "users");
    assert_eq!(refusal(&path, Mode::Administer), altered);
}

fn altered(path: &Path, object: &str) -> StoreError {
    StoreError::Altered {
        path: path.to_owned(),
        object: object.into(),
    }
}

#[test]
fn a_schema_that_is_not_ours_to_the_letter_is_refused() {
    for (object, sql) in [
        ("user_added", "DROP TRIGGER user_added"),
        ("clock", "DROP TABLE clock"),
        (
            "deaf",
            "CREATE TRIGGER deaf BEFORE UPDATE ON users BEGIN SELECT RAISE(IGNORE); END",
        ),
        ("another", "CREATE TABLE another (id TEXT)"),
        ("by_name", "CREATE INDEX by_name ON users (name)"),
        ("users", "ALTER TABLE users ADD COLUMN extra TEXT"),
        (
            "kept",
            "ALTER TABLE users RENAME TO kept;
             CREATE VIEW users AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
             SELECT i AS id, i AS name, NULL AS password_hash, 1 AS created_at, 0 AS disabled,
             NULL AS tokens_valid_from FROM n",
        ),
    ] {
        let directory = TemporaryDirectory::new();
        let path = directory.file("users.db");
        open(&path);
        foreign(&path, sql);
        for mode in [Mode::Read, Mode::Serve, Mode::Administer] {
            assert_eq!(refusal(&path, mode), altered(&path, object), "{sql}");
        }
    }
}

#[test]
fn a_planner_may_keep_its_own_statistics() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("users.db");
    assert_eq!(open(&path).add(&user("alice")), Ok(true));
    foreign(&path, "ANALYZE");
    assert!(SqliteStore::open(&path, Mode::Serve).is_ok());
}

#[test]
fn a_trigger_that_would_swallow_a_change_is_found_by_who_changes() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("users.db");
    let mut store = open(&path);
    assert_eq!(store.add(&user("alice")), Ok(true));
    foreign(
        &path,
        "CREATE TRIGGER deaf BEFORE UPDATE ON users BEGIN SELECT RAISE(IGNORE); END",
    );
    assert_eq!(
        store.set_disabled("alice", true),
        Err(altered(&path, "deaf"))
    );
    foreign(&path, "DROP TRIGGER deaf");
    assert_eq!(store.set_disabled("alice", true), Ok(true));
}

#[test]
fn a_query_without_end_is_ended() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("users.db");
    open(&path);
    let mut store = SqliteStore::open(&path, Mode::Serve).unwrap();
    foreign(
        &path,
        "DROP TABLE users; CREATE VIEW users AS
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
         SELECT -i AS id, i AS name, NULL AS password_hash, 1 AS created_at, 0 AS disabled,
         NULL AS tokens_valid_from FROM n",
    );
    assert_eq!(store.user("alice"), Err(StoreError::Corrupt { path }));
}

/// A database as the first version made it.
fn first_version(path: &Path, rows: &str) {
    foreign(
        path,
        &format!(
            "CREATE TABLE users (
                 id TEXT PRIMARY KEY,
                 name TEXT NOT NULL,
                 password_hash TEXT,
                 created_at INTEGER NOT NULL,
                 disabled INTEGER NOT NULL DEFAULT 0,
                 tokens_valid_from INTEGER
             ) STRICT, WITHOUT ROWID;
             PRAGMA application_id = 1718051188; PRAGMA user_version = 1; {rows}"
        ),
    );
}

#[test]
fn the_first_version_is_brought_forward_by_who_writes_and_read_by_who_looks() {
    let rows = "INSERT INTO users VALUES
         ('alice', 'ALICE', NULL, 1700000000, 0, NULL),
         ('bob', 'BOB', '$argon2id$', 1700000000, 1, 1800000000)";
    for mode in [Mode::Read, Mode::Serve, Mode::Administer] {
        let directory = TemporaryDirectory::new();
        let path = directory.file("users.db");
        first_version(&path, rows);
        let mut store = SqliteStore::open(&path, mode).unwrap();
        assert_eq!(store.user("alice"), Ok(Some(user("alice"))));
        let bob = store.user("bob").unwrap().unwrap();
        assert!(bob.disabled && bob.tokens_valid_from == Some(UnixSeconds(1_800_000_000)));
        let version = if mode == Mode::Read { 1 } else { 2 };
        assert_eq!(store.pragma("user_version"), Ok(version));
        drop(store);
        let mut store = open(&path);
        assert_eq!(ids(&store), ["alice", "bob"]);
        assert_eq!(store.add(&user("carol")), Ok(true));
    }
}

#[test]
fn the_first_version_with_a_user_nobody_made_is_left_as_it_was() {
    for (id, row) in [
        ("", "'', 'A', NULL, 1, 0, NULL"),
        ("bob", "'bob', hex(zeroblob(4000000)), NULL, 1, 0, NULL"),
        ("erin", "'erin', 'E', NULL, 1, 0, -1"),
    ] {
        let directory = TemporaryDirectory::new();
        let path = directory.file("users.db");
        first_version(&path, &format!("INSERT INTO users VALUES ({row})"));
        let refused = StoreError::NotMigrated {
            path: path.clone(),
            id: id.into(),
        };
        for mode in [Mode::Serve, Mode::Administer] {
            assert_eq!(refusal(&path, mode), refused);
        }
        let connection = Connection::open(&path).unwrap();
        let users = "SELECT count(*) FROM users";
        let count: i64 = connection.query_row(users, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1);
    }
    let directory = TemporaryDirectory::new();
    let path = directory.file("users.db");
    first_version(&path, "CREATE TABLE another (id TEXT)");
    assert_eq!(refusal(&path, Mode::Serve), altered(&path, "another"));
}

#[test]
fn a_file_removed_or_replaced_while_in_use_denies() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("users.db");
    open(&path);
    let mut store = SqliteStore::open(&path, Mode::Serve).unwrap();
    assert_eq!(store.changed(ORIGIN), Ok(Changes::None));
    fs::rename(&path, directory.file("old.db")).unwrap();
    let moved = StoreError::Moved { path: path.clone() };
    assert_eq!(store.changed(ORIGIN), Err(moved.clone()));
    assert_eq!(store.check(), Err(moved.clone()));
    fs::copy(directory.file("old.db"), &path).unwrap();
    assert_eq!(store.changed(ORIGIN), Err(moved));
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test is about how long it takes"
)]
fn a_locked_database_is_waited_for_no_longer_than_a_turn_bears() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("users.db");
    assert_eq!(open(&path).add(&user("alice")), Ok(true));
    let mut store = SqliteStore::open(&path, Mode::Serve).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = Clock::now();
    assert_eq!(
        store.revoke("alice", &|| UnixSeconds(1), 0),
        Err(StoreError::Busy)
    );
    assert!(started.elapsed() < 20 * DATABASE_WAIT_SERVING);
    // Who reads does not wait for who writes.
    assert_eq!(store.user("alice"), Ok(Some(user("alice"))));
    assert_eq!(store.changed(ORIGIN), Ok(Changes::None));
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(store.revoke("alice", &|| UnixSeconds(1), 0), Ok(true));
}

#[test]
fn a_full_disk_changes_nothing() {
    let directory = TemporaryDirectory::new();
    let mut store = open(&directory.file("users.db"));
    assert_eq!(store.add(&user("alice")), Ok(true));
    let pages = store.pragma("page_count").unwrap();
    store.pragma(&format!("max_page_count = {pages}")).unwrap();
    let many: Vec<User> = (0..1_000).map(|n| user(&format!("user{n}"))).collect();
    assert_eq!(store.add_all(&many), Err(StoreError::Full));
    assert_eq!(ids(&store), ["alice"]);
}

#[test]
fn users_are_added_all_or_none() {
    let directory = TemporaryDirectory::new();
    let mut store = open(&directory.file("users.db"));
    assert_eq!(store.add(&user("carol")), Ok(true));
    let users = ["alice", "bob", "carol", "dave"].map(user);
    assert_eq!(store.add_all(&users), Ok(Some(2)));
    assert_eq!(ids(&store), ["carol"]);
    assert_eq!(store.remove("carol"), Ok(true));
    assert_eq!(store.add_all(&users), Ok(None));
    assert_eq!(ids(&store), ["alice", "bob", "carol", "dave"]);
    assert_eq!(store.add_all(&["erin", "erin"].map(user)), Ok(Some(1)));
    assert_eq!(store.add_all(&[]), Ok(None));
    assert_eq!(ids(&store).len(), 4);
}

#[test]
fn users_are_listed_by_id_until_enough_were_seen() {
    let directory = TemporaryDirectory::new();
    let mut store = open(&directory.file("users.db"));
    for id in ["carol", "Zed", "alice", "bob"] {
        assert_eq!(store.add(&user(id)), Ok(true));
    }
    assert_eq!(ids(&store), ["Zed", "alice", "bob", "carol"]);
    let mut seen = 0;
    let stopped = store.list(|_| {
        seen += 1;
        ControlFlow::Break(())
    });
    assert_eq!((stopped, seen), (Ok(()), 1));
}

#[test]
fn a_path_that_sqlite_would_take_for_something_else_is_a_path() {
    let directory = TemporaryDirectory::new();
    for name in ["file:users.db?mode=memory", ":memory:", "wëird 'name'"] {
        let path = directory.file(name);
        assert_eq!(open(&path).add(&user("alice")), Ok(true));
        assert!(path.is_file());
        let mut store = SqliteStore::open(&path, Mode::Serve).unwrap();
        assert!(store.user("alice").unwrap().is_some());
    }
}

#[test]
fn an_empty_path_is_refused() {
    for mode in [Mode::Read, Mode::Serve, Mode::Administer] {
        assert!(SqliteStore::open(Path::new(""), mode).is_err());
    }
}

#[test]
fn a_link_that_leads_nowhere_is_refused() {
    let directory = TemporaryDirectory::new();
    let link = directory.file("users.db");
    symlink(directory.file("nowhere"), &link).unwrap();
    for mode in [Mode::Read, Mode::Serve, Mode::Administer] {
        assert_eq!(refusal(&link, mode), missing(&link));
    }
}

#[test]
fn two_who_make_the_database_at_once_make_one() {
    let directory = TemporaryDirectory::new();
    let path = directory.file("users.db");
    std::thread::scope(|scope| {
        for n in 0..8 {
            let path = &path;
            scope.spawn(move || assert_eq!(open(path).add(&user(&format!("user{n}"))), Ok(true)));
        }
    });
    assert_eq!(ids(&open(&path)).len(), 8);
}
