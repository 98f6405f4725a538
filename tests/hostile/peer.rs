//! A raw client: it connects from an address of its choice, and sends what it likes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use socket2::{Domain, SockRef, Socket, Type};

use crate::support::PATIENCE;

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;
pub(crate) const FIN: u8 = 0x80;

/// More than anybody sends.
pub(crate) const BYTES_MAX: usize = 1 << 32;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Address `index` of one of the networks 127.1.0.0/16, 127.2.0.0/16 …, all of them loopback.
pub(crate) fn address(network: u8, index: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, network, (index / 250) as u8, (index % 250) as u8 + 1)
}

/// A connection on which everything waits, but not for ever.
pub(crate) fn connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(from)?;
    socket.connect(&to.into())?;
    ready(socket.into())
}

/// As [`connect`], by a peer for whom the kernels hold little that it does not read: some 50 KiB
/// where it would be megabytes.
pub(crate) fn connect_narrow(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(from)?;
    socket.set_recv_buffer_size(2_304)?;
    // The sender's buffer goes by the size of a segment, which on loopback is 64 KiB.
    socket.set_tcp_mss(536)?;
    socket.connect(&to.into())?;
    ready(socket.into())
}

/// A connection that may not be established yet, and waits for nothing.
pub(crate) fn begin_connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(from)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&to.into()) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}

fn socket(from: Ipv4Addr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    Ok(socket)
}

fn ready(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Ends the connection with a reset.
pub(crate) fn reset(stream: TcpStream) {
    // Should it fail, the connection ends with a FIN.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

/// Reads and forgets what there is, on a connection that waits for nothing. True once it ended.
pub(crate) fn is_gone(mut stream: &TcpStream) -> bool {
    let mut scratch = [0; 4_096];
    loop {
        match stream.read(&mut scratch) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == ErrorKind::NotConnected => return false,
            Err(_) => return true,
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// An upgrade that is as it should be, with `more` before its blank line.
pub(crate) fn upgrade_head(more: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// A client's frame. `first` is its first byte: FIN, RSV and opcode.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        medium @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

pub(crate) fn text_frame(text: &str) -> Vec<u8> {
    frame(FIN | TEXT, text.as_bytes())
}

/// A frame that came from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// The code of a Close.
    pub(crate) fn close_code(&self) -> Option<u16> {
        match (self.opcode, self.payload.first_chunk()) {
            (CLOSE, Some(code)) => Some(u16::from_be_bytes(*code)),
            _ => None,
        }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Reset,
    /// It did not, while we waited.
    Never,
}

/// A WebSocket, or what is to become one.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    held: Vec<u8>,
}

impl Peer {
    pub(crate) fn new(stream: TcpStream) -> Peer {
        Peer {
            stream,
            held: Vec::new(),
        }
    }

    pub(crate) fn connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<Peer> {
        connect(from, to).map(Peer::new)
    }

    /// Connects and upgrades.
    pub(crate) fn open(from: Ipv4Addr, to: SocketAddr, token: Option<&str>) -> io::Result<Peer> {
        let mut peer = Peer::connect(from, to)?;
        peer.upgrade(token)?;
        Ok(peer)
    }

    pub(crate) fn upgrade(&mut self, token: Option<&str>) -> io::Result<()> {
        let more = token.map(bearer).unwrap_or_default();
        self.send(upgrade_head(&more).as_bytes())?;
        match self.answer()? {
            answer if answer.starts_with("HTTP/1.1 101 ") => Ok(()),
            answer => Err(io::Error::other(answer)),
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.send(&text_frame(text))
    }

    /// The head of the server's answer, up to its blank line.
    pub(crate) fn answer(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.held.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.held.drain(..end + 4).collect();
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            self.read_more()?;
        }
    }

    /// The next frame.
    pub(crate) fn next(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Ok(frame);
            }
            self.read_more()?;
        }
    }

    /// The next text; Pings are answered meanwhile.
    pub(crate) fn next_text(&mut self) -> io::Result<String> {
        loop {
            let next = self.next()?;
            match next.opcode {
                TEXT => return Ok(next.text()),
                PING => self.send(&frame(FIN | PONG, &next.payload))?,
                CLOSE => return Err(io::Error::other(format!("Close {:?}", next.close_code()))),
                _ => {}
            }
        }
    }

    /// Asks for the user of the token, and says how long the answer took.
    pub(crate) fn call(&mut self, token: &str, user: &str) -> io::Result<Duration> {
        let call =
            format!(r#"{{"token":"{token}","event":"getUser","id":7,"data":{{"id":"{user}"}}}}"#);
        let frame = text_frame(&call);
        let began = Instant::now();
        self.send(&frame)?;
        while !self
            .next_text()?
            .starts_with(r#"{"event":"getUser","id":7"#)
        {}
        Ok(began.elapsed())
    }

    /// Waits for the end, and returns the frames that came before it.
    pub(crate) fn ending(&mut self) -> (Vec<Frame>, End) {
        let end = self.wait_for_end();
        (self.take_frames(), end)
    }

    /// Waits for the end, and returns all that came before it as text.
    pub(crate) fn rest(&mut self) -> (String, End) {
        let end = self.wait_for_end();
        (String::from_utf8_lossy(&self.held).into_owned(), end)
    }

    /// All that came before the end, on a connection that waits for nothing, once it has ended.
    pub(crate) fn answer_if_ended(&mut self) -> Option<String> {
        let end = self.wait_for_end();
        (end != End::Never).then(|| String::from_utf8_lossy(&self.held).into_owned())
    }

    fn wait_for_end(&mut self) -> End {
        loop {
            match self.read_more() {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return End::Fin,
                Err(error) if is_timeout(&error) => return End::Never,
                Err(_) => return End::Reset,
            }
        }
    }

    /// The whole frames that have come, on a connection that waits for nothing, and whether it
    /// has ended behind them.
    pub(crate) fn take_ready(&mut self) -> (Vec<Frame>, bool) {
        self.take_up_to(BYTES_MAX)
    }

    /// As [`Peer::take_ready`], of what there is at most so many bytes.
    pub(crate) fn take_up_to(&mut self, bytes_max: usize) -> (Vec<Frame>, bool) {
        let mut left = bytes_max;
        let mut ended = false;
        while left > 0 {
            match self.read_up_to(left) {
                Ok(count) => left -= count,
                Err(error) => {
                    ended = !is_timeout(&error);
                    break;
                }
            }
        }
        (self.take_frames(), ended)
    }

    fn read_more(&mut self) -> io::Result<()> {
        self.read_up_to(BYTES_MAX).map(drop)
    }

    fn read_up_to(&mut self, bytes_max: usize) -> io::Result<usize> {
        let mut scratch = [0; 16 * 1_024];
        let room = bytes_max.min(scratch.len());
        match self.stream.read(&mut scratch[..room])? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.held.extend_from_slice(&scratch[..count]);
                Ok(count)
            }
        }
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let (frame, used) = frame_of(&self.held)?;
        self.held.drain(..used);
        Some(frame)
    }

    /// The whole frames that have come. O(bytes), where many are taken one by one in O(bytes²).
    fn take_frames(&mut self) -> Vec<Frame> {
        let (mut frames, mut begin) = (Vec::new(), 0);
        while let Some((frame, used)) = frame_of(&self.held[begin..]) {
            frames.push(frame);
            begin += used;
        }
        self.held.drain(..begin);
        frames
    }
}

/// The frame that `bytes` begin with, and how many of them are its. RFC 6455 §5.1: a server's frames
/// are not masked.
fn frame_of(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (start, length) = match second {
        126 => {
            let length = bytes.get(2..4)?.first_chunk()?;
            (4, usize::from(u16::from_be_bytes(*length)))
        }
        127 => {
            let length = bytes.get(2..10)?.first_chunk()?;
            (10, u64::from_be_bytes(*length) as usize)
        }
        short => (2, usize::from(short)),
    };
    let frame = Frame {
        opcode: first & 0x0f,
        payload: bytes.get(start..start + length)?.to_vec(),
    };
    Some((frame, start + length))
}
