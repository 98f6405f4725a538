//! How connections end, as peers on real sockets see it.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for a process, with a clock"
)]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SendFlags, SocketType, connect, send, socket, sockopt};
use support::{Home, PATIENCE, Server};

/// A socket whose receive buffer is this small; the kernel doubles it.
fn dial(address: SocketAddr, receive_bytes: usize) -> TcpStream {
    let descriptor = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    sockopt::set_socket_recv_buffer_size(&descriptor, receive_bytes).expect("it can be set");
    connect(&descriptor, &address).expect("the server listens");
    let stream = TcpStream::from(descriptor);
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a time-out can be set");
    stream
}

/// A WebSocket that is logged in by its handshake.
fn open(server: &Server, token: &str, receive_bytes: usize) -> TcpStream {
    let mut stream = dial(server.address, receive_bytes);
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {token}\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).expect("the server reads");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        answer.extend(byte);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    stream
}

/// A client's frame; its mask is zero.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        0..=125 => frame.push(0x80 | payload.len() as u8),
        len => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Takes the server's frames that are whole off `bytes`: first byte and payload.
fn frames(bytes: &mut Vec<u8>) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    loop {
        let (len, at) = match *bytes.as_slice() {
            [_, 126, high, low, ..] => (usize::from(u16::from_be_bytes([high, low])), 4),
            [_, len @ 0..=125, ..] => (usize::from(len), 2),
            _ => return frames,
        };
        if bytes.len() < at + len {
            return frames;
        }
        frames.push((bytes[0], bytes[at..at + len].to_vec()));
        bytes.drain(..at + len);
    }
}

/// All that comes up to the server's FIN, as frames.
fn hear_to_the_end(stream: &mut TcpStream) -> Vec<(u8, Vec<u8>)> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("a FIN, and no reset");
    frames(&mut bytes)
}

/// Only Linux tells that there is urgent data.
#[cfg(target_os = "linux")]
#[test]
fn a_peer_that_sends_urgent_data_and_its_fin_is_answered_what_lies_behind() {
    let home = Home::with_users(&["alice"]);
    let server = home.serve(&[]);
    let token = home.token("alice");
    let ask = format!(r#"{{"token":"{token}","event":"getUser","data":{{"id":"alice"}}}}"#);
    let ask = frame(0x81, ask.as_bytes());
    let mut stream = open(&server, &token, 64 * 1024);
    // All of it lies in the socket when the server looks, and is told by one event.
    server.signal("-STOP");
    stream.write_all(&ask).expect("the kernel takes it");
    // One byte, which is no part of the stream.
    assert_eq!(send(&stream, b"!", SendFlags::OOB), Ok(1));
    stream.write_all(&ask).expect("the kernel takes it");
    stream.shutdown(Shutdown::Write).expect("it is open");
    server.signal("-CONT");
    assert_eq!(hear_to_the_end(&mut stream).len(), 2);
}

#[test]
fn a_peer_that_sends_urgent_data_after_a_bad_frame_hears_why_it_goes() {
    let home = Home::with_users(&["alice"]);
    let server = home.serve(&[]);
    let mut stream = open(&server, &home.token("alice"), 64 * 1024);
    let bad = frame(0x81, br#"{"event":"getUser"}"#);
    server.signal("-STOP");
    for _ in 0..3 {
        stream.write_all(&bad).expect("the kernel takes it");
        assert_eq!(send(&stream, b"!", SendFlags::OOB), Ok(1));
    }
    server.signal("-CONT");
    assert_eq!(hear_to_the_end(&mut stream).len(), 2);
}

#[test]
fn members_that_half_closed_behind_a_bad_frame_hear_why_they_go() {
    let home = Home::with_users(&["alice"]);
    let server = home.serve(&["--ban-after", "0"]);
    let token = home.token("alice");
    for _ in 0..20 {
        let mut members = [(); 2].map(|()| open(&server, &token, 64 * 1024));
        // Both are read in one batch, and the second in part: the buffer is the batch's.
        server.signal("-STOP");
        for member in &mut members {
            let bytes = [frame(0x81, b"x"), vec![0; 45 * 1024]].concat();
            member.write_all(&bytes).expect("the kernel takes it");
            member.shutdown(Shutdown::Write).expect("it is open");
        }
        server.signal("-CONT");
        for member in &mut members {
            let heard = hear_to_the_end(member);
            let text = String::from_utf8_lossy(&heard[0].1);
            assert!(text.contains(r#""code":"bad_frame""#), "{text}");
            assert_eq!(heard[1].1[..2], 1_007_u16.to_be_bytes());
            assert_eq!(heard.len(), 2);
        }
    }
}

#[test]
fn a_steady_reader_behind_a_burst_is_no_late_answerer_of_a_ping() {
    const READ_BYTES_PER_SECOND: f64 = 32.0 * 1_024.0;
    let home = Home::with_users(&["alice", "bob"]);
    let server = home.serve(&["--ping-interval", "1s", "--pong-timeout", "500ms"]);
    let alice_token = home.token("alice");
    let mut bob = open(&server, &home.token("bob"), 4 * 1024);
    let begun = Instant::now();
    let mut alice = open(&server, &alice_token, 64 * 1024);
    sleep(Duration::from_millis(600));
    let filler = "x".repeat(15_500);
    let text = format!(r#"{{"token":"{alice_token}","event":"message","data":"{filler}"}}"#);
    for _ in 0..4 {
        let message = frame(0x81, text.as_bytes());
        alice.write_all(&message).expect("the server reads");
    }
    let reading = Instant::now();
    let (mut read, mut bytes, mut messages, mut pings) = (0, Vec::new(), 0, 0);
    while pings < 3 {
        let due = (reading.elapsed().as_secs_f64() * READ_BYTES_PER_SECOND) as usize;
        let mut some = vec![0; due.saturating_sub(read).max(1)];
        let count = bob.read(&mut some).expect("no reset");
        assert!(count > 0, "bob stays");
        read += count;
        bytes.extend(&some[..count]);
        for (first, _) in frames(&mut bytes) {
            match first {
                0x81 => messages += 1,
                _ => {
                    bob.write_all(&frame(0x8A, b"")).expect("bob stays");
                    pings += 1;
                }
            }
        }
        sleep(Duration::from_millis(20));
    }
    assert_eq!(messages, 4);
    assert!(begun.elapsed() > Duration::from_millis(1_900));
}

#[test]
fn a_dead_peer_is_reset_in_time_though_broadcasts_go_on() {
    let home = Home::with_users(&["alice", "bob"]);
    let mut server = home.serve(&["--ping-interval", "500ms", "--pong-timeout", "500ms"]);
    let alice_token = home.token("alice");
    let mut bob = open(&server, &home.token("bob"), 64 * 1024);
    let mut alice = open(&server, &alice_token, 64 * 1024);
    let text = format!(r#"{{"token":"{alice_token}","event":"message","data":1}}"#);
    // Bob's kernel takes what comes; bob says nothing.
    let begun = Instant::now();
    loop {
        alice
            .write_all(&frame(0x81, text.as_bytes()))
            .expect("alice speaks, and stays");
        sleep(Duration::from_millis(50));
        if server
            .log_so_far()
            .iter()
            .any(|line| line.contains("reason=pong_timeout") && line.contains(r#"user="bob""#))
        {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "bob is still there");
    }
    let mut rest = Vec::new();
    let ended = bob.read_to_end(&mut rest);
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_suspect_address_loses_none_of_its_peaceful_endings() {
    let home = Home::with_users(&["alice"]);
    let server = home.serve(&["--linger", "10s"]);
    for _ in 0..12 {
        let mut stream = dial(server.address, 64 * 1024);
        stream
            .write_all(b"\x16\x03\x01\x02\x00")
            .expect("the server reads");
        // Half a ban away, the answer is followed by a reset.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    for _ in 0..30 {
        let answer = server.request("GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
    }
    let token = home.token("alice");
    let mut member = open(&server, &token, 1_024);
    for id in 0..60 {
        let text =
            format!(r#"{{"token":"{token}","event":"getUser","id":{id},"data":{{"id":"alice"}}}}"#);
        let ask = frame(0x81, text.as_bytes());
        member.write_all(&ask).expect("the server reads");
    }
    member
        .write_all(&frame(0x88, &1_000_u16.to_be_bytes()))
        .expect("the server reads");
    sleep(Duration::from_millis(300));
    let heard = hear_to_the_end(&mut member);
    assert_eq!(heard.len(), 61);
    assert_eq!(heard[60].1, 1_000_u16.to_be_bytes());
}

#[test]
fn whoever_says_nothing_is_closed_in_time_and_banned_only_for_half_a_head() {
    let home = Home::with_users(&["alice"]);
    for (said, is_banned) in [("", false), ("GET /health HT", true)] {
        let server = home.serve(&["--handshake-timeout", "200ms"]);
        let connections: Vec<TcpStream> = (0..25)
            .map(|_| {
                let mut stream = dial(server.address, 64 * 1024);
                stream.write_all(said.as_bytes()).expect("it is open");
                stream
            })
            .collect();
        for mut stream in connections {
            let mut nothing = Vec::new();
            // A head that came in part may leave its bytes unread.
            let _ = stream.read_to_end(&mut nothing);
            assert!(nothing.is_empty());
        }
        let mut stream = dial(server.address, 64 * 1024);
        let _ = stream.write_all(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer.is_empty(), is_banned);
    }
}
