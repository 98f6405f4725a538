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
pub(super) trait Paper {
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
pub(super) struct Written {
    /// Kept when nothing goes to it any more: to close it may take its time.
    file: Box<dyn Write>,
    is_over: bool,
    chain: Chain,
    buffer: Vec<u8>,
    bytes_left: u64,
}

impl Written {
    pub(super) fn new(file: Box<dyn Write>, bytes_max: u64) -> Written {
        Written {
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

impl Paper for Written {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Shared(Rc<RefCell<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(lines: &[&str], bytes_max: u64) -> Vec<u8> {
        let file = Shared::default();
        let mut paper = Written::new(Box::new(file.clone()), bytes_max);
        for line in lines {
            paper.take(line);
        }
        paper.flush();
        file.0.take()
    }

    #[test]
    fn every_byte_has_a_text_of_its_own() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut text = String::new();
        push_text(&mut text, &bytes);
        assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        assert_eq!(text_bytes(&text).unwrap(), bytes);
        for bad in ["\\", "\\q", "\\x", "\\x1", "\\xg0", "\\xé"] {
            assert_eq!(text_bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn any_byte_that_is_edited_is_found_with_its_line() {
        let lines = ["one", "two two", "", "four"];
        let file = written(&lines, 1_000);
        let read = Lines::read(&file).ok().unwrap();
        assert!(!read.is_cut && read.lines.iter().map(|line| &**line).eq(lines));
        let mut line = 1;
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut edited = file.clone();
                edited[at] ^= 1 << bit;
                let changed = Lines::read(&edited).err();
                // A line feed that appears within a line cuts that line short.
                assert_eq!(changed, Some(line), "byte {at}, bit {bit}");
            }
            line += usize::from(file[at] == b'\n');
        }
    }

    #[test]
    fn a_file_that_is_cut_off_is_read_to_its_last_whole_line() {
        let file = written(&["one", "two"], 1_000);
        for end in 0..file.len() {
            let read = Lines::read(&file[..end]).ok().unwrap();
            assert_eq!(
                read.lines.len(),
                file[..end].iter().filter(|b| **b == b'\n').count()
            );
            assert_eq!(read.is_cut, end > 0 && file[end - 1] != b'\n');
        }
    }

    #[test]
    fn a_file_that_fails_ends_the_recording_and_nothing_else() {
        let mut paper = Written::new(Box::new(io::Cursor::new([0_u8; 30])), 1_000);
        for _ in 0..3 {
            paper.take("a line of a recording");
            paper.flush();
        }
        assert!(paper.is_full());
    }

    #[test]
    fn a_file_does_not_grow_past_its_bound_and_says_that_it_ends() {
        let many = ["a line of a recording"; 100];
        let file = written(&many, 500);
        assert!(file.len() <= 500 && file.len() > 400, "{}", file.len());
        let read = Lines::read(&file).ok().unwrap();
        assert_eq!(read.lines.last().unwrap().as_ref(), "end full");
    }
}
