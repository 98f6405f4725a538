//! A real server as a process on loopback, in a directory of its own.

#![allow(dead_code, reason = "each suite uses its part")]

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

const PROGRAM: &str = env!("CARGO_BIN_EXE_framegate");

/// How long anything may take that should take no time: these machines are slow at times.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A directory with a secret and users, removed when dropped. Hashes in it are cheap.
pub(crate) struct Home {
    path: PathBuf,
}

impl Home {
    /// An empty directory.
    pub(crate) fn empty() -> Home {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("framegate-test-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a directory can be made");
        Home { path }
    }

    /// A directory with a secret, and users whose passwords are `<id>'s password`.
    pub(crate) fn with_users(users: &[&str]) -> Home {
        let home = Home::empty();
        let secret = home.run(&["secret"]);
        let line = [b"LOCAL_JWT_SECRET=".as_slice(), &secret.stdout].concat();
        let env_file = home.path.join(".env");
        fs::write(&env_file, line).expect("a file can be written");
        fs::set_permissions(env_file, Permissions::from_mode(0o600)).expect("the file is ours");
        for user in users {
            let added = home.run_with(
                &["user", "add", user, "--password-stdin"],
                &password_of(user),
            );
            assert!(added.status.success(), "{}", text(&added.stderr));
        }
        home
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .current_dir(&self.path)
            .env_clear()
            .env("FRAMEGATE_PASSWORD_MEMORY", "64KiB");
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, "")
    }

    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        // A command that reads nothing closes its end.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("the program ends")
    }

    pub(crate) fn token(&self, user: &str) -> String {
        let minted = self.run(&["token", "mint", user]);
        assert!(minted.status.success(), "{}", text(&minted.stderr));
        text(&minted.stdout).trim().to_owned()
    }

    /// A server on a port of its own, listening by the time this returns.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        let mut all = vec!["serve", "--listen", "127.0.0.1:0"];
        all.extend(arguments);
        Server::start(self.command(&all))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A running server, killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Receiver<String>,
    seen: Vec<String>,
    /// True while nobody reads the log.
    is_unread: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(mut command: Command) -> Server {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let (sender, log) = channel();
        let is_unread = Arc::new(AtomicBool::new(false));
        let is_left = Arc::clone(&is_unread);
        thread::spawn(move || {
            lines.map_while(Result::ok).try_for_each(|line| {
                while is_left.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(5));
                }
                sender.send(line)
            })
        });
        let mut server = Server {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            log,
            seen: Vec::new(),
            is_unread,
        };
        let line = server.wait_for_log("listening on ws://");
        let (_, rest) = line.split_once("ws://").expect("it was found");
        let address = rest.split('/').next().expect("there is a first");
        server.address = address.parse().expect("an address");
        server
    }

    /// Whether anybody reads the log from now on: where nobody does, its pipe fills up.
    pub(crate) fn read_log(&self, is_read: bool) {
        self.is_unread.store(!is_read, Ordering::Relaxed);
    }

    /// The next line of the log that contains `needle`.
    pub(crate) fn wait_for_log(&mut self, needle: &str) -> String {
        let by = Instant::now() + PATIENCE;
        loop {
            let left = by.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left).unwrap_or_else(|_| {
                panic!(
                    "no line with {needle:?} in the log:\n{}",
                    self.seen.join("\n")
                )
            });
            self.seen.push(line.clone());
            if line.contains(needle) {
                return line;
            }
        }
    }

    /// What was logged since last asked, once nothing more comes.
    pub(crate) fn log_until_quiet(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Ok(line) = self.log.recv_timeout(Duration::from_millis(200)) {
            lines.push(line);
        }
        self.seen.extend(lines.iter().cloned());
        lines
    }

    /// What was logged and seen already.
    pub(crate) fn log_seen(&self) -> &[String] {
        &self.seen
    }

    /// What was logged since last asked.
    pub(crate) fn log_so_far(&mut self) -> Vec<String> {
        let lines: Vec<String> = self.log.try_iter().collect();
        self.seen.extend(lines.iter().cloned());
        lines
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/ws", self.address)
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let process = self.process().to_string();
        let status = Command::new("kill").args([signal, &process]).status();
        assert!(status.expect("kill(1) is there").success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let by = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the process is ours") {
                return status;
            }
            assert!(Instant::now() < by, "the server does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a request over a connection of its own; returns all that comes back.
    pub(crate) fn request(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("the server listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time-out can be set");
        stream
            .write_all(request.as_bytes())
            .expect("the server reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("the server ends the connection");
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A terminal: where keys are pressed and what it shows is read, and what a process has of it.
pub(crate) fn terminal() -> (File, File) {
    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&keyboard).expect("it is ours");
    unlockpt(&keyboard).expect("it is ours");
    let name = ptsname(&keyboard, Vec::new()).expect("it has a name");
    let mut options = File::options();
    options.read(true).write(true);
    options.custom_flags(OFlags::NOCTTY.bits() as i32);
    let name = name.to_str().expect("a plain name");
    (keyboard.into(), options.open(name).expect("a terminal"))
}

pub(crate) fn password_of(user: &str) -> String {
    format!("{user}'s password")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
