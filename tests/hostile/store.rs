//! Rows "The database in other hands": files that go or are changed, commits, locks.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::arena::{Arena, HONEST, Row, Stage, millis};
use crate::crowd::{self, Crowd, Mint, stage_of};
use crate::outside::{ends_in_time, health, login};
use crate::peer::{Frame, Peer, address};
use crate::support::{Home, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "commits_beside_members",
        attack: "8,000 members, another process revokes others without a pause",
        bound: "members' p99 <= 5 ms, or 3 x calm",
        run: commits_beside_members,
    },
    Row {
        name: "lost_companions",
        attack: "-shm, or -wal and -shm, are removed, or the link of the database is changed, while it \
                 serves; then `user disable`",
        bound: "from 50 ms on alice is answered nothing; what was reported done is there after a stop",
        run: lost_companions,
    },
    Row {
        name: "lost_database",
        attack: "the database is removed, renamed, replaced while it serves",
        bound: "all is `unavailable`, in few lines; a sound one in its place is opened and decides",
        run: lost_database,
    },
    Row {
        name: "refresh_while_revoked",
        attack: "refreshes while `user revoke` waits for a foreign lock",
        bound: "no token outlives the revocation",
        run: refresh_while_revoked,
    },
    Row {
        name: "logouts_under_a_lock",
        attack: "40 logouts while another process holds the write lock",
        bound: "others' calls <= 20 ms; every token of theirs is void afterwards",
        run: logouts_under_a_lock,
    },
    Row {
        name: "endless_view",
        attack: "the table of users becomes a view that never ends, while it serves",
        bound: "health is answered <= 1 s, nobody is let in, SIGTERM ends it <= 5 s",
        run: endless_view,
    },
];

fn commits_beside_members(arena: &mut Arena) {
    // Each member another user; the ones who are revoked are none of them.
    let count = arena.size(300, 8_000);
    let stage = stage_of(count + 10, &[]);
    let mint = Mint::of(&stage.home);
    let members = (0..count).map(|number| {
        let token = mint.token(&crowd::user(number));
        Peer::open(address(1, number), stage.address(), Some(&token)).expect("a member")
    });
    let crowd = Crowd::prompt(members.collect());
    let lasts = arena.size(Duration::from_millis(500), Duration::from_secs(4));
    let calm = {
        let others = stage.caller();
        thread::sleep(lasts);
        others.stop().percentile(99)
    };
    let stop = AtomicBool::new(false);
    let (others, commits) = thread::scope(|scope| {
        let revoker = scope.spawn(|| {
            let mut commits = 0;
            while !stop.load(Ordering::Relaxed) {
                let id = crowd::user(count + commits % 10);
                commits += usize::from(stage.home.run(&["user", "revoke", &id]).status.success());
            }
            commits
        });
        let others = stage.caller();
        thread::sleep(lasts);
        let others = others.stop();
        stop.store(true, Ordering::Relaxed);
        (others, revoker.join().unwrap_or(0))
    });
    let gone = crowd.gone();
    crowd.stop();
    let p99 = others.percentile(99);
    arena.saw(format!(
        "{count} members, {commits} commits: members' p99 {}, calm {}; {gone} closed",
        millis(p99),
        millis(calm)
    ));
    arena.must(commits > 2, "too few commits to tell");
    arena.must(gone == 0 && others.lost == 0, "members were closed");
    arena.must_be_within(
        p99,
        Duration::from_millis(5).max(calm * 3),
        "members had to wait",
    );
}

/// The database of a stage, and its companions.
fn database(home: &Home, suffix: &str) -> PathBuf {
    home.path().join(format!("framegate.db{suffix}"))
}

/// What a call of alice's comes to: `answered`, or the code of its error.
fn call(peer: &mut Peer, token: &str) -> String {
    let frame =
        format!(r#"{{"token":"{token}","event":"getUser","id":7,"data":{{"id":"alice"}}}}"#);
    if peer.text(&frame).is_err() {
        return "closed".to_owned();
    }
    match peer.next() {
        Ok(frame) if frame.text().starts_with(r#"{"event":"getUser""#) => "answered".to_owned(),
        Ok(frame) => code_of(&frame).unwrap_or_else(|| format!("{:?}", frame.close_code())),
        Err(_) => "closed".to_owned(),
    }
}

fn code_of(frame: &Frame) -> Option<String> {
    let text = frame.text();
    let (_, rest) = text.split_once(r#""code":""#)?;
    Some(rest.split('"').next()?.to_owned())
}

fn lost_companions(arena: &mut Arena) {
    type Loss = fn(&Home);
    const LOSSES: [(&str, Loss); 3] = [
        ("-shm removed", |home| {
            let _ = fs::remove_file(database(home, "-shm"));
        }),
        ("-wal and -shm removed", |home| {
            let _ = fs::remove_file(database(home, "-wal"));
            let _ = fs::remove_file(database(home, "-shm"));
        }),
        ("the link changed", |home| {
            for suffix in ["", "-wal", "-shm"] {
                let _ = fs::copy(
                    home.path().join(format!("one.db{suffix}")),
                    home.path().join(format!("two.db{suffix}")),
                );
            }
            let _ = fs::remove_file(database(home, ""));
            symlink("two.db", database(home, "")).expect("a link");
        }),
    ];
    for (what, lose) in LOSSES {
        let home = Home::with_users(&["alice", "bob"]);
        if what == "the link changed" {
            fs::rename(database(&home, ""), home.path().join("one.db")).expect("a file");
            symlink("one.db", database(&home, "")).expect("a link");
        }
        let mut stage = {
            let server = home.serve(&["--log-rate", "0/s"]);
            Stage::of(home, server)
        };
        let mut alice = stage.member(address(1, 0));
        let token = stage.token.clone();
        arena.must(
            call(&mut alice, &token) == "answered",
            format!("{what}: not served before"),
        );
        lose(&stage.home);
        let done = stage.home.run(&["user", "disable", "alice"]);
        // The contract's 50 ms, and as much for a slow machine.
        thread::sleep(arena.size(Duration::from_millis(500), Duration::from_millis(100)));
        let said = call(&mut alice, &token);
        let (_, healthy) = health(&stage, HONEST);
        let log = stage.server.log_until_quiet();
        let errors = log.iter().filter(|line| line.contains(" ERROR ")).count();
        stage.server.signal("-TERM");
        stage.server.wait();
        let shown = text(&stage.home.run(&["user", "show", "alice"]).stdout);
        let is_disabled = shown.contains("disabled");
        arena.saw(format!(
            "{what}: disable {}, then alice is told {said}, health {healthy}, {errors} ERROR lines; \
             disabled after a stop: {is_disabled}",
            if done.status.success() { "done" } else { "failed" }
        ));
        arena.must(
            said != "answered",
            format!("{what}: alice is still answered"),
        );
        arena.must(
            is_disabled || !done.status.success(),
            format!("{what}: a commit was reported done and is lost"),
        );
        arena.must(errors <= 1, format!("{what}: a line for each"));
    }
}

fn lost_database(arena: &mut Arena) {
    type Loss = fn(&Home);
    const LOSSES: [(&str, Loss); 3] = [
        ("removed", |home| {
            for suffix in ["-wal", "-shm", ""] {
                let _ = fs::remove_file(database(home, suffix));
            }
        }),
        ("renamed", |home| {
            fs::rename(database(home, ""), home.path().join("elsewhere.db")).expect("a file");
        }),
        ("another moved in its place, of no use", |home| {
            fs::write(home.path().join("other"), b"no database at all").expect("a file");
            fs::rename(home.path().join("other"), database(home, "")).expect("a file");
        }),
    ];
    for (what, lose) in LOSSES {
        let mut stage = Stage::new(&["--log-rate", "0/s"]);
        // A backup in which alice is disabled, made by another home with the same secret.
        let backup = Home::with_users(&["alice", "bob"]);
        backup.run(&["user", "disable", "alice"]);
        let token = stage.token.clone();
        let mut alices: Vec<Peer> = (0..20).map(|n| stage.member(address(1, n))).collect();
        lose(&stage.home);
        thread::sleep(arena.size(Duration::from_millis(500), Duration::from_millis(100)));
        let said = alices.iter_mut().map(|peer| call(peer, &token));
        let answered = said.filter(|said| said == "answered").count();
        let (_, healthy) = health(&stage, HONEST);
        let upgraded = Peer::open(HONEST, stage.address(), Some(&token)).is_ok();
        let login = login(&stage, "bob");
        let lines = stage.server.log_until_quiet();
        let errors = lines.iter().filter(|line| line.contains(" ERROR ")).count();
        // A restored backup: `mv backup framegate.db`.
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(database(&stage.home, suffix));
        }
        fs::copy(database(&backup, ""), stage.home.path().join("restored")).expect("a file");
        fs::rename(
            stage.home.path().join("restored"),
            database(&stage.home, ""),
        )
        .expect("a file");
        let began = Instant::now();
        while health(&stage, HONEST).1 != "200" && began.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(20));
        }
        let back = health(&stage, HONEST).1;
        let disabled = Peer::open(HONEST, stage.address(), Some(&token)).err();
        let bob = Peer::open(
            HONEST,
            stage.address(),
            Some(&Mint::of(&stage.home).token("bob")),
        );
        arena.saw(format!(
            "{what}: {answered} of 20 answered, health {healthy}, upgrade {upgraded}, login {login}, {errors} \
             ERROR lines; restored: health {back} after {}, alice out: {}, bob in: {}",
            millis(began.elapsed()),
            disabled.is_some(),
            bob.is_ok()
        ));
        let is_denied = answered == 0 && healthy == "503" && !upgraded && login == "503";
        arena.must(is_denied, format!("{what}: served from what is gone"));
        arena.must(errors == 1, format!("{what}: {errors} ERROR lines"));
        arena.must(back == "200", format!("{what}: not opened again"));
        arena.must(
            disabled.is_some() && bob.is_ok(),
            format!("{what}: the restored one does not decide"),
        );
    }
}

/// A foreign write lock on the database.
fn lock(home: &Home) -> Connection {
    let connection = Connection::open(database(home, "")).expect("a database");
    connection
        .execute_batch("BEGIN IMMEDIATE")
        .expect("it is free");
    connection
}

fn refresh_while_revoked(arena: &mut Arena) {
    let stage = Stage::new(&[]);
    let (mut alice, token) = (stage.member(address(1, 0)), stage.token.clone());
    let lock = lock(&stage.home);
    let mut revoke = Command::new(env!("CARGO_BIN_EXE_framegate"));
    let mut revoke = revoke
        .args(["user", "revoke", "alice"])
        .current_dir(stage.home.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let began = Instant::now();
    let mut tokens = vec![token.clone()];
    while began.elapsed() < Duration::from_millis(2_200) {
        thread::sleep(Duration::from_millis(200));
        let refresh = format!(r#"{{"token":"{token}","event":"refresh","id":1}}"#);
        let answer = alice.text(&refresh).and_then(|()| alice.next_text());
        if let Some((_, rest)) = answer.unwrap_or_default().split_once(r#""token":""#) {
            tokens.extend(rest.split('"').next().map(str::to_owned));
        }
    }
    lock.execute_batch("ROLLBACK").expect("it was held");
    let done = revoke.wait().is_ok_and(|status| status.success());
    // It is refused for good: at once, and when its second has come.
    let mut outlived = 0;
    for wait in [100, 1_500] {
        thread::sleep(Duration::from_millis(wait));
        let good = tokens
            .iter()
            .filter(|token| Peer::open(HONEST, stage.address(), Some(token)).is_ok());
        outlived += good.count();
    }
    arena.saw(format!(
        "{} tokens by then, revoked: {done}; {outlived} outlived it",
        tokens.len()
    ));
    arena.must(done, "the revocation failed");
    arena.must(outlived == 0, "a token outlived its revocation");
}

fn logouts_under_a_lock(arena: &mut Arena) {
    let stage = stage_of(40, &[]);
    let mint = Mint::of(&stage.home);
    let tokens: Vec<String> = (0..40)
        .map(|number| mint.token(&crowd::user(number)))
        .collect();
    let mut members: Vec<Peer> = tokens
        .iter()
        .enumerate()
        .map(|(number, token)| {
            Peer::open(address(1, number), stage.address(), Some(token)).expect("a member")
        })
        .collect();
    let others = stage.caller();
    let lock = lock(&stage.home);
    for (peer, token) in members.iter_mut().zip(&tokens) {
        peer.text(&format!(r#"{{"token":"{token}","event":"logout","id":1}}"#))
            .expect("the server reads");
    }
    thread::sleep(arena.size(Duration::from_millis(500), Duration::from_secs(2)));
    lock.execute_batch("ROLLBACK").expect("it was held");
    let others = others.stop();
    let (mut done, mut unavailable) = (0, 0);
    for peer in &mut members {
        let (frames, _) = peer.ending();
        let told = frames.first().map(Frame::text).unwrap_or_default();
        done += usize::from(told.starts_with(r#"{"event":"logout""#));
        unavailable += usize::from(told.contains(r#""code":"unavailable""#));
    }
    let good = tokens
        .iter()
        .filter(|token| Peer::open(HONEST, stage.address(), Some(token)).is_ok())
        .count();
    arena.saw(format!(
        "{done} of 40 logged out, {unavailable} told unavailable; {good} tokens still good; others' calls p99 {}, at \
         the most {}",
        millis(others.percentile(99)),
        millis(others.max())
    ));
    arena.must(done + unavailable == 40, "some were told neither");
    arena.must(good == 0 || unavailable > 0, "a token outlived its logout");
    arena.must(others.lost == 0, "others lost calls");
    arena.must_be_within(
        others.percentile(99),
        Duration::from_millis(20),
        "others had to wait",
    );
}

fn endless_view(arena: &mut Arena) {
    let mut stage = Stage::new(&["--log-rate", "0/s"]);
    let token = stage.token.clone();
    let mut alice = stage.member(address(1, 0));
    arena.must(call(&mut alice, &token) == "answered", "not served before");
    let foreign = Connection::open(database(&stage.home, "")).expect("a database");
    let columns: Vec<String> = {
        let mut statement = foreign
            .prepare("SELECT name FROM pragma_table_info('users')")
            .expect("a table");
        let names = statement.query_map([], |row| row.get(0)).expect("names");
        names.map(|name| name.expect("a name")).collect()
    };
    let view = format!(
        "ALTER TABLE users RENAME TO kept; CREATE VIEW users AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL \
         SELECT i + 1 FROM n) SELECT {} FROM n;",
        columns
            .iter()
            .map(|name| format!("i AS \"{name}\""))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let changed = foreign.execute_batch(&view);
    arena.must(changed.is_ok(), format!("{changed:?}"));
    thread::sleep(Duration::from_millis(100));
    let _ = alice.text(&format!(
        r#"{{"token":"{token}","event":"getUser","id":7,"data":{{"id":"nobody"}}}}"#
    ));
    let (took, healthy) = health(&stage, HONEST);
    let is_in = Peer::open(HONEST, stage.address(), Some(&token)).is_ok();
    arena.saw(format!(
        "health {healthy:?} after {}, alice let in: {is_in}",
        millis(took)
    ));
    arena.must(healthy == "503", "health does not tell");
    arena.must_be_within(took, Duration::from_secs(1), "health had to wait");
    arena.must(!is_in, "somebody was let in");
    ends_in_time(arena, &mut stage);
}
