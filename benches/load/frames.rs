//! What goes over the wire: frames made ahead, and answers that are counted, not read.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::contender::Framing;

/// Any will do; a real one costs the server the same.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client's final text frame (RFC 6455 §5.2).
pub(crate) fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}

/// A client's Close with code 1000.
pub(crate) fn close() -> Vec<u8> {
    frame(0x88, &1_000_u16.to_be_bytes())
}

/// What answers the pings of a server that sent no payload with them.
pub(crate) fn pong(framing: Framing) -> Vec<u8> {
    match framing {
        Framing::Plain => frame(0x8A, b""),
        Framing::SocketIo => text("3"),
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        long => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(long).expect("a short frame").to_be_bytes());
        }
    }
    frame.extend(MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

/// Counts a server's frames as their bytes go by.
#[derive(Default)]
pub(crate) struct Counter {
    header: [u8; 10],
    header_bytes: usize,
    payload_left: usize,
    /// Pings that came and are to be answered.
    pub(crate) pings: usize,
    /// True once a Close came.
    pub(crate) is_closed: bool,
}

/// Engine.IO's ping is a text of one character; no answer is.
const PING_BYTES: u8 = 1;

impl Counter {
    /// How many answers end in `bytes`.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> usize {
        let mut answers = 0;
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let taken = self.payload_left.min(bytes.len());
                self.payload_left -= taken;
                bytes = &bytes[taken..];
                if self.payload_left == 0 {
                    answers += self.end();
                }
                continue;
            }
            self.header[self.header_bytes] = bytes[0];
            self.header_bytes += 1;
            bytes = &bytes[1..];
            if let Some(payload_bytes) = self.payload_bytes() {
                self.payload_left = payload_bytes;
                if payload_bytes == 0 {
                    answers += self.end();
                }
            }
        }
        answers
    }

    fn payload_bytes(&self) -> Option<usize> {
        let length = |from: usize| {
            let bytes = self.header[2..from].iter();
            bytes.fold(0, |length, byte| length << 8 | usize::from(*byte))
        };
        match (self.header_bytes, self.header[1]) {
            (0 | 1, _) => None,
            (2, short @ 0..126) => Some(usize::from(short)),
            (4, 126) => Some(length(4)),
            (10, 127) => Some(length(10)),
            _ => None,
        }
    }

    fn end(&mut self) -> usize {
        let opcode = self.header[0] & 0x0F;
        let is_engine_ping = opcode == 0x1 && self.header[1] == PING_BYTES;
        self.pings += usize::from(opcode == 0x9 || is_engine_ping);
        self.is_closed |= opcode == 0x8;
        self.header_bytes = 0;
        usize::from(opcode == 0x1 && !is_engine_ping)
    }
}

/// A WebSocket that was opened, on which everything still waits.
pub(crate) fn open(address: SocketAddr, framing: Framing) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.write_all(upgrade(address, framing).as_bytes())?;
    let head = read_head(&mut stream)?;
    if !head.starts_with("HTTP/1.1 101") {
        return Err(io::Error::other(head));
    }
    if framing == Framing::SocketIo {
        // Engine.IO opens, then the namespace is asked for and granted.
        read_text(&mut stream)?;
        stream.write_all(&text("40"))?;
        read_text(&mut stream)?;
    }
    Ok(stream)
}

/// The request that asks for a WebSocket.
pub(crate) fn upgrade(address: SocketAddr, framing: Framing) -> String {
    let path = match framing {
        Framing::Plain => "/ws",
        Framing::SocketIo => "/socket.io/?EIO=4&transport=websocket",
    };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// Byte by byte: what comes behind it is not for this.
fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// The next frame's payload.
pub(crate) fn read_text(stream: &mut TcpStream) -> io::Result<String> {
    let mut header = [0; 2];
    stream.read_exact(&mut header)?;
    let payload_bytes = match header[1] {
        126 => {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            u16::from_be_bytes(length).into()
        }
        short => usize::from(short),
    };
    let mut payload = vec![0; payload_bytes];
    stream.read_exact(&mut payload)?;
    Ok(String::from_utf8_lossy(&payload).into_owned())
}
