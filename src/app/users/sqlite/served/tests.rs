use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::app::users::tests::{TemporaryDirectory, user};

const TICK: Duration = Duration::from_millis(20);

/// A served store and its clock.
struct Scene {
    directory: TemporaryDirectory,
    path: PathBuf,
    served: ServedStore,
    now: Instant,
}

impl Scene {
    /// Alice is in it.
    fn new() -> Scene {
        let directory = TemporaryDirectory::new();
        let path = directory.file("users.db");
        assert_eq!(open(&path).add(&user("alice")), Ok(true));
        let store = SqliteStore::open(&path, Mode::Serve).unwrap();
        Scene {
            served: ServedStore::new(store),
            directory,
            path,
            now: Instant::from_micros(1_000_000),
        }
    }

    /// What each look within this time said, one after the other, the same but once.
    fn looks(&mut self, time: Duration) -> Vec<Result<Changes, StoreError>> {
        let mut looks = Vec::new();
        let until = self.now + time;
        while self.now < until {
            looks.push(self.served.changed(self.now));
            self.now = self.now + TICK;
        }
        looks.dedup();
        looks
    }

    fn moved(&self) -> StoreError {
        StoreError::Moved {
            path: self.path.clone(),
        }
    }
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Mode::Administer).unwrap()
}

fn foreign(path: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[test]
fn a_database_that_comes_back_is_opened_when_it_has_lain_still() {
    let mut scene = Scene::new();
    assert_eq!(scene.looks(TICK), [Ok(Changes::None)]);
    let away = scene.directory.file("away.db");
    fs::rename(&scene.path, &away).unwrap();
    // One answer for as long as nothing lies there, and no other.
    let second = Duration::from_secs(1);
    assert_eq!(scene.looks(second), [Err(scene.moved())]);
    assert_eq!(scene.served.user("alice"), Err(scene.moved()));
    assert_eq!(scene.served.check(), Err(scene.moved()));
    // A copy that grows is not opened.
    let whole = fs::read(&away).unwrap();
    for part in 1..5 {
        fs::write(&scene.path, &whole[..part * whole.len() / 5]).unwrap();
        let pause = DATABASE_REOPEN_INTERVAL;
        assert_eq!(scene.looks(pause), [Err(scene.moved())], "{part}");
    }
    fs::write(&scene.path, &whole).unwrap();
    let looks = scene.looks(3 * DATABASE_REOPEN_INTERVAL);
    assert_eq!(
        looks,
        [Err(scene.moved()), Ok(Changes::All), Ok(Changes::None)]
    );
    assert_eq!(scene.served.user("alice"), Ok(Some(user("alice"))));
    // From then on it is as any other.
    assert_eq!(open(&scene.path).set_disabled("alice", true), Ok(true));
    let of_alice = Changes::Of(vec!["alice".into()]);
    assert_eq!(scene.looks(TICK), [Ok(of_alice)]);
}

#[test]
fn what_is_no_database_of_ours_is_told_and_not_opened() {
    let newer = |path: &Path| {
        drop(open(path));
        foreign(path, "PRAGMA user_version = 3");
    };
    let altered = |path: &Path| {
        drop(open(path));
        foreign(path, "CREATE VIEW another AS SELECT 1");
    };
    type Case<'a> = (&'a dyn Fn(&Path), &'a str);
    let cases: [Case<'_>; 5] = [
        (
            &|path| foreign(path, "CREATE TABLE t (x)"),
            "is not a framegate database",
        ),
        (
            &|path| fs::write(path, "not a database").unwrap(),
            "is not a framegate database",
        ),
        (
            &|path| fs::write(path, "").unwrap(),
            "there is no user database",
        ),
        (&newer, "newer framegate"),
        (&altered, "was altered at \"another\""),
    ];
    for (put, told) in cases {
        let mut scene = Scene::new();
        let other = scene.directory.file("other.db");
        put(&other);
        fs::rename(&other, &scene.path).unwrap();
        let looks = scene.looks(Duration::from_secs(2));
        assert_eq!(looks.len(), 2, "{told}: {looks:?}");
        let line = looks[1].as_ref().unwrap_err().to_string();
        assert!(line.contains(told), "{line}");
    }
}

#[test]
fn a_database_that_is_damaged_within_is_not_opened() {
    let mut scene = Scene::new();
    let other = scene.directory.file("other.db");
    let many: Vec<User> = (0..300).map(|n| user(&format!("user{n}"))).collect();
    assert_eq!(open(&other).add_all(&many), Ok(None));
    let mut bytes = fs::read(&other).unwrap();
    // A page in the middle was not copied yet.
    let page = bytes.len() / 2 / 4_096 * 4_096;
    bytes[page..page + 4_096].fill(0);
    fs::write(&other, bytes).unwrap();
    fs::rename(&other, &scene.path).unwrap();
    let looks = scene.looks(Duration::from_secs(1));
    let corrupt = StoreError::Corrupt {
        path: scene.path.clone(),
    };
    assert_eq!(looks, [Err(scene.moved()), Err(corrupt)]);
}

#[test]
fn a_database_of_the_first_version_moved_in_its_place_is_brought_forward() {
    let mut scene = Scene::new();
    let other = scene.directory.file("other.db");
    foreign(
        &other,
        "CREATE TABLE users ( id TEXT PRIMARY KEY, name TEXT NOT NULL, password_hash TEXT,
             created_at INTEGER NOT NULL, disabled INTEGER NOT NULL DEFAULT 0,
             tokens_valid_from INTEGER ) STRICT, WITHOUT ROWID;
         PRAGMA application_id = 1718051188; PRAGMA user_version = 1;
         INSERT INTO users VALUES ('bob', 'BOB', NULL, 1700000000, 0, NULL)",
    );
    fs::rename(&other, &scene.path).unwrap();
    scene.looks(Duration::from_secs(1));
    assert_eq!(scene.served.user("alice"), Ok(None));
    assert_eq!(scene.served.user("bob"), Ok(Some(user("bob"))));
}

#[test]
fn a_database_copied_over_it_just_after_a_commit_of_our_own_decides() {
    let mut scene = Scene::new();
    let copy = scene.directory.file("copy.db");
    fs::copy(&scene.path, &copy).unwrap();
    assert_eq!(open(&copy).set_disabled("alice", true), Ok(true));
    assert_eq!(scene.looks(TICK), [Ok(Changes::None)]);
    // What is read of the file after the commit is kept, and the file is another's by then.
    assert_eq!(open(&scene.path).add(&user("bob")), Ok(true));
    let alice = scene.served.user("alice").unwrap().unwrap();
    assert!(!alice.disabled);
    fs::copy(&copy, &scene.path).unwrap();
    let looks = scene.looks(4 * DATABASE_REOPEN_INTERVAL);
    assert_ne!(looks, [Ok(Changes::None)]);
    let alice = scene.served.user("alice").unwrap().unwrap();
    assert!(alice.disabled, "{looks:?}");
}
