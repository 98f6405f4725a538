//! What a logged-in connection costs the process that does nothing but hold it: resident memory
//! of a server without connections, with 10,000 logged in by as many users, and after they left.
//!
//! `cargo bench --bench idle` prints a table; it sends only to a server of its own on loopback.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "it drives a server from outside"
)]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use framegate::internals::gate::{ClaimRules, Keys, Secret, Signer};
use framegate::internals::time::UnixSeconds;

const CONNECTIONS: usize = 10_000;
const PROGRAM: &str = env!("CARGO_BIN_EXE_framegate");

fn main() -> io::Result<()> {
    let home = Home::new()?;
    home.import_users()?;
    let tokens = home.tokens()?;
    let (server, address) = home.serve()?;
    let before = resident_bytes(server.0.id())?;

    let mut connections = Vec::with_capacity(CONNECTIONS);
    for token in &tokens {
        connections.push(log_in(&address, token)?);
    }
    std::thread::sleep(Duration::from_secs(2));
    let held = resident_bytes(server.0.id())?;
    drop(connections);
    std::thread::sleep(Duration::from_secs(2));
    let after = resident_bytes(server.0.id())?;

    println!("resident, idle              {:>10} bytes", before);
    println!("resident, {CONNECTIONS} logged in  {:>10} bytes", held);
    println!("resident, after they left   {:>10} bytes", after);
    println!(
        "a connection                {:>10} bytes",
        (held.saturating_sub(before)) / CONNECTIONS
    );
    Ok(())
}

/// A directory with a secret, removed at the end.
struct Home(PathBuf);

impl Home {
    fn new() -> io::Result<Home> {
        let path = std::env::temp_dir().join(format!("framegate-idle-{}", std::process::id()));
        fs::create_dir(&path)?;
        let home = Home(path);
        let secret = home.program(&["secret"]).output()?.stdout;
        let mut line = b"LOCAL_JWT_SECRET=".to_vec();
        line.extend(secret);
        fs::write(home.0.join(".env"), line)?;
        Ok(home)
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(&self.0);
        command
    }

    fn import_users(&self) -> io::Result<()> {
        let file = self.0.join("users.jsonl");
        let lines: String = (0..CONNECTIONS)
            .map(|number| format!("{{\"id\":\"user{number}\",\"name\":\"User {number}\"}}\n"))
            .collect();
        fs::write(&file, lines)?;
        expect(
            self.program(&["user", "import", "users.jsonl"])
                .status()?
                .success(),
            "the import",
        )
    }

    /// A token for each user.
    fn tokens(&self) -> io::Result<Vec<String>> {
        let file = fs::read_to_string(self.0.join(".env"))?;
        let text = file
            .trim()
            .strip_prefix("LOCAL_JWT_SECRET=")
            .unwrap_or_default();
        let secret = Secret::parse(text).map_err(io::Error::other)?;
        let rules = ClaimRules {
            leeway_seconds: 0,
            issuer: None,
            audience: None,
        };
        let signer = Signer::new(&Keys::new(&secret, None), &rules, 3_600);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(io::Error::other)?;
        (0..CONNECTIONS)
            .map(|number| {
                let minted = signer.mint(&format!("user{number}"), UnixSeconds(now.as_secs()));
                minted.map(|minted| minted.token).map_err(io::Error::other)
            })
            .collect()
    }

    fn serve(&self) -> io::Result<(Server, String)> {
        let arguments = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--max-connections-per-ip",
            "0",
            "--max-pending-per-ip",
            "0",
            "--connect-rate",
            "0",
            "--max-connections",
            "12000",
        ];
        let mut child = self.program(&arguments).stderr(Stdio::piped()).spawn()?;
        let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut line = String::new();
        while !line.contains("listening on ws://") {
            line.clear();
            expect(log.read_line(&mut line)? > 0, "the server's start")?;
        }
        // The log goes on to be read, so that the server never waits for it.
        std::thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        let (_, address) = line.split_once("ws://").expect("it was seen");
        let address = address.split('/').next().expect("an address").to_owned();
        Ok((Server(child), address))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server, stopped at the end.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn log_in(address: &str, token: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; 512];
    let count = stream.read(&mut answer)?;
    expect(answer[..count].starts_with(b"HTTP/1.1 101"), "a 101")?;
    Ok(stream)
}

fn expect(held: bool, what: &str) -> io::Result<()> {
    match held {
        true => Ok(()),
        false => Err(io::Error::other(format!("{what} failed"))),
    }
}

fn resident_bytes(process: u32) -> io::Result<usize> {
    let status = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| {
        line.trim()
            .strip_suffix(" kB")?
            .trim()
            .parse::<usize>()
            .ok()
    });
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("no VmRSS"))
}
