//! The servers that are measured, each as a process of its own with the same users and secret.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use framegate::internals::gate::{ClaimRules, Keys, Secret, Signer};
use framegate::internals::time::UnixSeconds;

use crate::Plan;
use crate::frames;
use crate::probe::Probe;

/// framegate as it is built for a benchmark, which is not quite as it is shipped: there a panic
/// unwinds.
pub(crate) const BENCH_PROGRAM: &str = env!("CARGO_BIN_EXE_framegate");
/// The core the servers run on.
const SERVER_CORE: &str = "0";
/// It protects nothing.
const SECRET: &str = "a secret of the benchmarks, known to everybody";
/// As many as two letters name.
pub(crate) const USERS: usize = 676;
const TOKEN_TTL_SECONDS: u64 = 3_600;

/// How a server wants its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// As framegate does: a text message is a frame of the contract.
    Plain,
    /// As Socket.IO does.
    SocketIo,
}

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Framegate,
    TokioTungstenite,
    Fastwebsockets,
    /// It checks nothing and returns what it gets: the price of the transport.
    Echo,
    Ws,
    SocketIo,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Kind::Framegate => "framegate",
            Kind::TokioTungstenite => "tokio-tungstenite + jsonwebtoken",
            Kind::Fastwebsockets => "fastwebsockets + jsonwebtoken",
            Kind::Echo => "fastwebsockets, unauthenticated echo",
            Kind::Ws => "ws + jsonwebtoken",
            Kind::SocketIo => "express + socket.io + jsonwebtoken",
        }
    }

    pub(crate) const fn framing(self) -> Framing {
        match self {
            Kind::SocketIo => Framing::SocketIo,
            _ => Framing::Plain,
        }
    }

    fn command(self, home: &Path, plan: &Plan) -> Option<Command> {
        if self == Kind::Framegate {
            return Some(framegate(home, &plan.program));
        }
        if !plan.with_peers {
            return None;
        }
        let mut command = match self {
            Kind::Ws => node("ws.js"),
            Kind::SocketIo => node("socket_io.js"),
            // They are built to where this framegate is.
            Kind::TokioTungstenite => Command::new(beside("tokio_tungstenite")),
            _ => Command::new(beside("fastwebsockets")),
        };
        if self == Kind::Echo {
            command.arg("--echo");
        }
        command
            .env("LOCAL_JWT_SECRET", SECRET)
            .env("USERS", USERS.to_string());
        Some(command)
    }
}

fn node(script: &str) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/node");
    let mut command = Command::new("node");
    command.arg(folder.join(script));
    command
}

fn beside(program: &str) -> PathBuf {
    Path::new(BENCH_PROGRAM).with_file_name(program)
}

/// Rates and caps are off, since one address does everything; nothing else is. They come from the
/// environment, which a flag overrides.
fn framegate(home: &Path, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(home).env_clear().args(["serve"]);
    command.envs([
        ("FRAMEGATE_LISTEN", "127.0.0.1:0"),
        ("FRAMEGATE_RATE", "0/s"),
        ("FRAMEGATE_CONNECT_RATE", "0/s"),
        ("FRAMEGATE_BROADCAST_RATE", "0/s"),
        ("FRAMEGATE_DELIVERY_RATE", "0/s"),
        ("FRAMEGATE_BAN_AFTER", "0"),
        ("FRAMEGATE_MAX_CONNECTIONS_PER_IP", "0"),
        ("FRAMEGATE_MAX_PENDING_PER_IP", "0"),
        ("FRAMEGATE_MAX_CONNECTIONS", "16000"),
    ]);
    command
}

/// A running server, ended when dropped.
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    pub(crate) probe: Probe,
    began: Instant,
    child: Child,
    /// Its directory goes when it has ended.
    _home: Home,
}

impl Contender {
    /// Starts a server of this kind; `None` where the others were not built.
    pub(crate) fn start(kind: Kind, plan: &Plan) -> Option<Contender> {
        Contender::start_with(kind, plan, &[])
    }

    /// As `start`, with settings of framegate's that the figure needs.
    pub(crate) fn start_with(kind: Kind, plan: &Plan, more: &[&str]) -> Option<Contender> {
        let home = Home::new().expect("a directory can be made");
        let mut command = kind.command(&home.0, plan)?;
        let began = Instant::now();
        let child = command
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{}: {error}", kind.name()));
        let probe = Probe(child.id());
        let address = announced(&mut child, kind);
        pin(child.id(), SERVER_CORE);
        Some(Contender {
            kind,
            address,
            probe,
            began,
            child,
            _home: home,
        })
    }

    /// All of these that can be had.
    pub(crate) fn all(kinds: &[Kind], plan: &Plan) -> Vec<Contender> {
        let start = |kind: &Kind| Contender::start(*kind, plan);
        kinds.iter().filter_map(start).collect()
    }

    /// How long from exec to the first WebSocket that the server opens.
    pub(crate) fn start_up(kind: Kind, plan: &Plan) -> Option<Duration> {
        let contender = Contender::start(kind, plan)?;
        frames::open(contender.address, kind.framing()).expect("the server opens a WebSocket");
        Some(contender.began.elapsed())
    }

    /// Files that have to be there for it to run, in bytes.
    pub(crate) fn program_bytes(&self) -> u64 {
        let program = fs::read_link(format!("/proc/{}/exe", self.child.id()));
        let size = program
            .and_then(fs::metadata)
            .map(|metadata| metadata.len());
        size.expect("the program is a file")
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// framegate says in its log where it listens, the others on standard output.
fn announced(child: &mut Child, kind: Kind) -> SocketAddr {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut lines: Box<dyn BufRead + Send> = match kind {
        Kind::Framegate => Box::new(BufReader::new(stderr.expect("it is piped"))),
        _ => Box::new(BufReader::new(stdout.expect("it is piped"))),
    };
    let mut line = String::new();
    loop {
        line.clear();
        let read = lines.read_line(&mut line).expect("it can be read");
        assert!(read > 0, "{} ended at its start", kind.name());
        if let Some((_, rest)) = line.split_once("listening on ") {
            let address = rest.trim().trim_start_matches("ws://");
            let address = address.split('/').next().expect("there is a first");
            let address = address.parse().expect("an address");
            // What it says from now on is let go, so that it never waits for a reader.
            std::thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
            return address;
        }
    }
}

/// A directory with a secret and users, removed when dropped.
struct Home(PathBuf);

impl Home {
    fn new() -> io::Result<Home> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("framegate-load-{}-{count}", std::process::id());
        let home = Home(std::env::temp_dir().join(name));
        fs::create_dir(&home.0)?;
        fs::write(home.0.join(".env"), format!("LOCAL_JWT_SECRET={SECRET}\n"))?;
        let line = |number| format!("{{\"id\":\"{0}\",\"name\":\"User {0}\"}}\n", user(number));
        let users: String = (0..USERS).map(line).collect();
        fs::write(home.0.join("users.jsonl"), users)?;
        let import = Command::new(BENCH_PROGRAM)
            .args(["user", "import", "users.jsonl"])
            .current_dir(&home.0)
            .stdout(Stdio::null())
            .status()?;
        assert!(import.success(), "the users cannot be imported");
        Ok(home)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The id of a user: two letters, so that a token has 143 bytes and its `getUser` 199.
pub(crate) fn user(number: usize) -> String {
    let letter = |number: usize| char::from(b'a' + (number % 26) as u8);
    [letter(number / 26), letter(number)].iter().collect()
}

/// Tokens, each another.
pub(crate) struct Tokens {
    signer: Signer,
    issued_at: u64,
}

impl Tokens {
    pub(crate) fn new() -> Tokens {
        let secret = Secret::parse(SECRET).expect("it is long enough");
        let keys = Keys::new(&secret, None);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Tokens {
            signer: Signer::new(&keys, &ClaimRules::default(), TOKEN_TTL_SECONDS),
            issued_at: now.expect("it is after 1970").as_secs(),
        }
    }

    /// The `variant`th token of a user: issued so many seconds ago.
    pub(crate) fn token(&self, number: usize, variant: usize) -> String {
        let issued_at = UnixSeconds(self.issued_at - variant as u64);
        let minted = self.signer.mint(&user(number % USERS), issued_at);
        minted.expect("the user has an id").token
    }
}

/// A token whose signature is none: its first character is another.
pub(crate) fn forged(token: &str) -> String {
    let (rest, signature) = token.rsplit_once('.').expect("three parts");
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{rest}.{other}{}", &signature[1..])
}

/// Keeps a process, its threads included, on one core.
pub(crate) fn pin(process: u32, core: &str) {
    let taskset = Command::new("taskset")
        .args(["-a", "-c", "-p", core, &process.to_string()])
        .stdout(Stdio::null())
        .status();
    let pinned = taskset.is_ok_and(|status| status.success());
    assert!(pinned, "taskset(1) is needed to give each side a core");
}
