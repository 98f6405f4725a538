//! The lines of a recording: how a text is written in one, how each is covered by a sum over
//! all before it, and the file they go to.

use std::io::Write;

use sha2::{Digest, Sha256};

/// The sum after a line, in hexadecimal digits, and the blank before it.
const SUM_CHARACTERS: usize = 8;
const ENDING_CHARACTERS: usize = SUM_CHARACTERS + 1;
/// What is kept free for the last line, in bytes.
const LAST_LINE_BYTES_MAX: usize = 64;
/// The last line of a recording that has grown as far as it may.
pub(super) const FULL: &str = "end full";

/// A sum over the lines so far: a file that was edited is told from a server that differs. No
/// proof of who wrote it.
#[derive(Default)]
struct Chain([u8; 32]);

impl Chain {
    fn sum(&mut self, line: &str) -> String {
        let hash = Sha256::new().chain_update(self.0).chain_update(line);
        self.0 = hash.finalize().into();
        hex(&self.0[..SUM_CHARACTERS / 2])
    }
}

/// The file of a recording.
pub(super) struct FileSink {
    file: Box<dyn Write>,
    chain: Chain,
    bytes_left: u64,
}

impl FileSink {
    pub(super) fn new(file: Box<dyn Write>, bytes_max: u64) -> FileSink {
        FileSink {
            file,
            chain: Chain::default(),
            bytes_left: bytes_max,
        }
    }

    /// Writes lines, each with its line feed. Returns false when these were the last, for the file
    /// has its size, or has failed; the server goes on.
    pub(super) fn write(&mut self, lines: &str) -> bool {
        let (mut bytes, mut is_full) = (Vec::new(), false);
        for line in lines.split_terminator('\n') {
            let bytes_needed = line.len() + ENDING_CHARACTERS + 1 + LAST_LINE_BYTES_MAX;
            is_full = (bytes.len() + bytes_needed) as u64 > self.bytes_left;
            let line = if is_full { FULL } else { line };
            // A Vec takes every byte.
            let _ = writeln!(bytes, "{line} {}", self.chain.sum(line));
            if is_full {
                break;
            }
        }
        self.bytes_left = self.bytes_left.saturating_sub(bytes.len() as u64);
        match self.file.write_all(&bytes) {
            Err(error) => log::warn!("recording stopped: {error}; the server goes on"),
            Ok(()) if is_full => {
                log::warn!("recording stopped: it is as long as may be; the server goes on");
            }
            Ok(()) => return true,
        }
        false
    }
}

/// The lines of a file, each of them as it was written. What stands after the last line feed is none.
///
/// # Errors
/// The number of the first line that is not as it was written.
pub fn read_lines(file: &[u8]) -> Result<Vec<Box<str>>, usize> {
    let mut chain = Chain::default();
    let mut lines = Vec::new();
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        let (text, end) = line.split_at(line.len() - 1);
        match (checked(&mut chain, text), end) {
            (Some(text), b"\n") => lines.push(text),
            // Of a line that was cut off nothing can be told, but where its line feed was changed.
            (None, end) if end != b"\n" => {}
            _ => return Err(lines.len() + 1),
        }
    }
    Ok(lines)
}

/// The line without its sum, if that is right.
fn checked(chain: &mut Chain, line: &[u8]) -> Option<Box<str>> {
    let line = str::from_utf8(line).ok()?;
    let (text, ending) = line.split_at_checked(line.len().checked_sub(ENDING_CHARACTERS)?)?;
    (ending.strip_prefix(' ')? == chain.sum(text)).then(|| text.into())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes bytes as text on one line: what is printable ASCII stands for itself, but `\`.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b' '..=b'~' if *byte != b'\\' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out
}

/// The bytes that [`escaped`] wrote.
pub(super) fn text_bytes(text: &str) -> Option<Vec<u8>> {
    let mut pieces = text.split('\\');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (byte, plain) = match piece.split_at_checked(1)? {
            ("n", plain) => (b'\n', plain),
            ("r", plain) => (b'\r', plain),
            ("x", rest) => {
                let (digits, plain) = rest.split_at_checked(2)?;
                (u8::from_str_radix(digits, 16).ok()?, plain)
            }
            _ => return None,
        };
        bytes.push(byte);
        bytes.extend_from_slice(plain.as_bytes());
    }
    Some(bytes)
}

/// As [`text_bytes`], where they are text.
pub(super) fn text(line: &str) -> Option<String> {
    String::from_utf8(text_bytes(line)?).ok()
}
