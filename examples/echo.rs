//! The wire's RFC 6455 endpoint alone, echoing text and binary messages, with no gate before
//! it: so that protocol conformance can be tested (`make autobahn`).
//!
//! ```text
//! cargo run --release --example echo -- 127.0.0.1:9001
//! ```
#![expect(
    clippy::disallowed_methods,
    reason = "a program of its own, that drives the wire with a thread a connection"
)]

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, thread};

use framegate::internals::time::UnixSeconds;
use framegate::internals::wire::frame::{self, Opcode};
use framegate::internals::wire::{
    Endpoint, Event, HeadScanner, MessageRules, Origins, Reply, Request, Upgrade, Violation,
};

/// Connections at once; the next is dropped.
const CONNECTIONS_MAX: usize = 64;
/// Bytes read at once.
const SCRATCH_BYTES: usize = 64 * 1024;
/// How long a peer may say nothing, or take nothing.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long we wait for the peer's end after our own.
const LINGER: Duration = Duration::from_secs(1);
/// Autobahn sends up to 16 MiB (9.1, 9.2), and cuts 4 MiB into frames of 64 bytes and an empty
/// last one (9.3.1, 9.4.1).
const RULES: MessageRules = MessageRules {
    bytes_max: 16 * 1024 * 1024,
    fragments_max: 65_537,
    binary: true,
};

fn main() -> ExitCode {
    let Some(address) = env::args().nth(1) else {
        eprintln!("usage: echo ADDRESS:PORT");
        return ExitCode::from(2);
    };
    match TcpListener::bind(&address) {
        Ok(listener) => serve(&listener),
        Err(error) => {
            eprintln!("echo: cannot listen on {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(listener: &TcpListener) -> ! {
    // Every thread holds a share: their count is the number of connections.
    let connections = Arc::new(());
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // Out of descriptors, most likely: wait for some to come free.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        let share = Arc::clone(&connections);
        if Arc::strong_count(&share) > CONNECTIONS_MAX + 1 {
            continue;
        }
        thread::spawn(move || {
            // A peer that is gone is no event for an echo.
            let _ = echo(stream);
            drop(share);
        });
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    if shake_hands(&mut stream)? {
        converse(&mut stream)?;
    }
    finish(&mut stream)
}

/// What is common to all refusals.
fn reply() -> Reply<'static> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Reply {
        date: UnixSeconds(now.unwrap_or_default().as_secs()),
        ..Reply::default()
    }
}

/// Answers the opening handshake; true when it was one.
fn shake_hands(stream: &mut TcpStream) -> io::Result<bool> {
    let mut scanner = HeadScanner::default();
    let mut received = Vec::new();
    let mut out = Vec::new();
    // What stands behind the head is frames, and is left to the endpoint.
    let mut piece = [0; 1];
    let accepted = loop {
        let bytes = stream.read(&mut piece)?;
        if bytes == 0 {
            return Ok(false);
        }
        received.extend_from_slice(&piece[..bytes]);
        match scanner
            .scan(&received)
            .and_then(|head| head.map(Request::parse).transpose())
        {
            Ok(None) => {}
            Ok(Some(request)) => match Upgrade::check(&request, Origins::Any) {
                Ok(upgrade) => {
                    upgrade.accept(&mut out);
                    break true;
                }
                Err(rejection) => {
                    rejection.write(&mut out, reply());
                    break false;
                }
            },
            Err(error) => {
                error.write(&mut out, reply());
                break false;
            }
        }
    };
    stream.write_all(&out)?;
    Ok(accepted)
}

/// Echoes until either side closes.
fn converse(stream: &mut TcpStream) -> io::Result<()> {
    let mut endpoint = Endpoint::default();
    let mut scratch = vec![0; SCRATCH_BYTES];
    let mut out = Vec::new();
    while !endpoint.is_over() {
        let bytes = stream.read(&mut scratch)?;
        if bytes == 0 {
            return Ok(());
        }
        let mut input = &mut scratch[..bytes];
        if let Err(violation) = answer_all(&mut endpoint, &mut input, &mut out) {
            frame::write_close(
                &mut out,
                Some((violation.close_code(), &violation.to_string())),
            );
        }
        stream.write_all(&out)?;
        out = Vec::new();
    }
    Ok(())
}

fn answer_all(
    endpoint: &mut Endpoint,
    input: &mut &mut [u8],
    out: &mut Vec<u8>,
) -> Result<(), Violation> {
    while let Some(event) = endpoint.next(input, RULES)? {
        match event {
            Event::Text(text) => frame::write(out, Opcode::Text, text.as_bytes()),
            Event::Binary(bytes) => frame::write(out, Opcode::Binary, &bytes),
            Event::Ping(payload) => frame::write_pong(out, &payload),
            Event::Close(close) => {
                // RFC 6455 §5.5.1: typically, the answer echoes the code.
                frame::write_close(out, close.map(|(code, _)| (code, "")));
            }
            Event::Pong(_) | Event::Fragment => {}
        }
    }
    Ok(())
}

/// RFC 6455 §7.1.1: ends our side, and takes what is still on its way, so that the peer finds
/// our last frame before the connection is gone.
fn finish(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let end = Instant::now() + LINGER;
    let mut dropped = [0; 4096];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        stream.set_read_timeout(Some(left))?;
        if stream.read(&mut dropped)? == 0 {
            return Ok(());
        }
    }
}
