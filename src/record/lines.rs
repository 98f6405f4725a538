//! The lines of a recording: how a text is written in one, how each is covered by a sum over
//! all before it, and what takes them.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

/// The sum after a line, in hexadecimal digits, and the blank before it.
const SUM_CHARACTERS: usize = 8;
const ENDING_CHARACTERS: usize = SUM_CHARACTERS + 1;
/// Bytes that are kept before they are handed on within a turn.
const BUFFER_BYTES_MAX: usize = 64 * 1_024;
/// What is kept free for the last line, in bytes.
const LAST_LINE_BYTES_MAX: u64 = 64;

/// What takes the lines of a recording, one after the other.
pub(super) trait LineSink {
    /// Takes a line, which has no line feed in it.
    fn take(&mut self, line: &str);

    /// Hands on what was taken.
    fn flush(&mut self) {}

    /// True once no more is taken.
    fn is_full(&self) -> bool {
        false
    }
}

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

/// Lines as they go to a file. It ends by itself when the file has its size, or fails; the
/// server goes on.
pub(super) struct FileSink {
    /// Kept when nothing goes to it any more: to close it may take its time.
    file: Box<dyn Write>,
    is_over: bool,
    chain: Chain,
    buffer: Vec<u8>,
    bytes_left: u64,
}

impl FileSink {
    pub(super) fn new(file: Box<dyn Write>, bytes_max: u64) -> FileSink {
        FileSink {
            file,
            is_over: false,
            chain: Chain::default(),
            buffer: Vec::new(),
            bytes_left: bytes_max,
        }
    }

    fn write(&mut self, line: &str) {
        let sum = self.chain.sum(line);
        // A Vec takes every byte.
        let _ = writeln!(self.buffer, "{line} {sum}");
        let bytes = (line.len() + ENDING_CHARACTERS + 1) as u64;
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
    }

    fn end(&mut self, error: Option<io::Error>) {
        self.is_over = true;
        self.buffer = Vec::new();
        match error {
            Some(error) => log::warn!("recording stopped: {error}; the server goes on"),
            None => log::warn!("recording stopped: it is as long as may be; the server goes on"),
        }
    }
}

impl LineSink for FileSink {
    fn take(&mut self, line: &str) {
        if self.is_over {
            return;
        }
        let bytes = (line.len() + ENDING_CHARACTERS + 1) as u64;
        if bytes + LAST_LINE_BYTES_MAX > self.bytes_left {
            self.write("end full");
            self.flush();
            return self.end(None);
        }
        self.write(line);
        if self.buffer.len() >= BUFFER_BYTES_MAX {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if let Err(error) = self.file.write_all(&self.buffer) {
            self.end(Some(error));
        }
        self.buffer.clear();
    }

    fn is_full(&self) -> bool {
        self.is_over
    }
}

/// The lines of a file, each of them as it was written.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) lines: Vec<Box<str>>,
    /// True when the file ends within a line.
    pub(super) is_cut: bool,
}

impl Lines {
    /// Takes a file apart.
    ///
    /// # Errors
    /// The number of the first line that is not as it was written.
    pub(super) fn read(file: &[u8]) -> Result<Lines, usize> {
        let mut chain = Chain::default();
        let mut lines = Vec::new();
        let mut rest = file;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let changed = lines.len() + 1;
            lines.push(checked(&mut chain, &rest[..end]).ok_or(changed)?);
            rest = &rest[end + 1..];
        }
        // Of a line that was cut off nothing can be told, but where its line feed was changed.
        let is_whole = rest
            .split_last()
            .is_some_and(|(_, line)| checked(&mut chain, line).is_some());
        match is_whole {
            true => Err(lines.len() + 1),
            false => Ok(Lines {
                lines,
                is_cut: !rest.is_empty(),
            }),
        }
    }
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
pub(super) fn push_text(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
}

/// The bytes that [`push_text`] wrote.
pub(super) fn text_bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&escape, behind) = rest.split_first()?;
        rest = behind;
        bytes.push(match escape {
            b'\\' => b'\\',
            b'n' => b'\n',
            b'r' => b'\r',
            b'x' => {
                let (digits, behind) = rest.split_at_checked(2)?;
                rest = behind;
                u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?
            }
            _ => return None,
        });
    }
    Some(bytes)
}
