//! The terminal: where a person types a password that is not shown.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::mem;
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read, retry_on_intr};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use crate::driver::{HeldSignal, HeldSignals};
use crate::limits::PASSWORD_BYTES_MAX;

/// Where a person can be asked.
pub trait Terminal {
    /// Asks for a line that is not shown while it is typed; gives it without its end.
    ///
    /// # Errors
    ///
    /// When the terminal fails, what was typed is not UTF-8, or, as
    /// [`Interrupted`](ErrorKind::Interrupted), the person would rather not.
    fn ask(&mut self, prompt: &str) -> io::Result<Zeroizing<String>>;
}

/// The terminal that standard input is; the question is shown on standard error.
pub(super) struct StandardTerminal;

impl StandardTerminal {
    /// `None` when standard input is no terminal.
    pub(super) fn of_process() -> Option<StandardTerminal> {
        io::stdin().is_terminal().then_some(StandardTerminal)
    }
}

impl Terminal for StandardTerminal {
    fn ask(&mut self, prompt: &str) -> io::Result<Zeroizing<String>> {
        // Past the lock and the buffer of standard input: a password is not left in there.
        let stdin = io::stdin();
        let signals = HeldSignals::hold()?;
        loop {
            let silence = Silence::begin(stdin.as_fd())?;
            write!(io::stderr(), "{prompt}")?;
            let typed = read_typed(silence.terminal, &signals);
            drop(silence);
            writeln!(io::stderr())?;
            match typed? {
                Typed::Line(line) => return line.into_string(),
                Typed::Signal(signal) => signals.obey(signal)?,
            }
            // It was stopped, or another has changed the terminal meanwhile: asked anew.
        }
    }
}

/// While it lives the terminal shows nothing, and hands over each byte as it comes. Ctrl-C
/// comes as a byte too: what was asked for is given up, and not what asked for it.
struct Silence<'f> {
    terminal: BorrowedFd<'f>,
    before: Termios,
}

impl<'f> Silence<'f> {
    fn begin(terminal: BorrowedFd<'f>) -> io::Result<Silence<'f>> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO | LocalModes::ECHONL;
        silent.local_modes -= LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN;
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        // What was typed before the question was shown, and is no answer to it: it is dropped.
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Silence { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // There is nothing else to be done about a terminal that is gone.
        let _ = tcsetattr(self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// What an answer is.
enum Typed {
    Line(Line),
    /// Something came in between.
    Signal(HeldSignal),
}

fn read_typed(terminal: BorrowedFd<'_>, signals: &HeldSignals) -> io::Result<Typed> {
    let mut line = Line::new();
    loop {
        let mut asked = [
            PollFd::from_borrowed_fd(terminal, PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
        ];
        match poll(&mut asked, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(signal) = signals.take() {
            return Ok(Typed::Signal(signal));
        }
        if asked[0].revents().is_empty() {
            continue;
        }
        let mut byte = [0];
        let count = retry_on_intr(|| read(terminal, &mut byte))?;
        match line.key((count > 0).then_some(byte[0])) {
            Key::More => {}
            Key::Enter => return Ok(Typed::Line(line)),
            Key::Stop => return Ok(Typed::Signal(HeldSignal::STOP)),
            Key::GiveUp => return Err(ErrorKind::Interrupted.into()),
        }
    }
}

/// What becomes of a line when a key is struck.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    /// The line goes on.
    More,
    /// The line is done.
    Enter,
    /// The person has something else to do first.
    Stop,
    /// The person would rather not.
    GiveUp,
}

/// A line as it is typed: at most one byte longer than a password may be, which is enough to
/// tell that it is too long, and in one place of memory, which is wiped.
struct Line(Zeroizing<Vec<u8>>);

impl Line {
    fn new() -> Line {
        Line(Zeroizing::new(Vec::with_capacity(PASSWORD_BYTES_MAX + 1)))
    }

    /// Takes a byte; `None` is the end of input.
    fn key(&mut self, byte: Option<u8>) -> Key {
        const CTRL_C: u8 = 0x03;
        const CTRL_D: u8 = 0x04;
        const CTRL_U: u8 = 0x15;
        const CTRL_Z: u8 = 0x1a;
        const CTRL_BACKSLASH: u8 = 0x1c;
        const BACKSPACE: u8 = 0x08;
        const DELETE: u8 = 0x7f;
        match byte {
            Some(b'\n' | b'\r') => return Key::Enter,
            None | Some(CTRL_C | CTRL_BACKSLASH) => return Key::GiveUp,
            Some(CTRL_Z) => return Key::Stop,
            Some(CTRL_D) if self.0.is_empty() => return Key::GiveUp,
            Some(CTRL_D) => {}
            Some(CTRL_U) => self.0.clear(),
            Some(BACKSPACE | DELETE) => self.rub_out(),
            Some(byte) if self.0.len() <= PASSWORD_BYTES_MAX => self.0.push(byte),
            Some(_) => {}
        }
        Key::More
    }

    /// Takes the last character away, with all its bytes.
    fn rub_out(&mut self) {
        const fn continues_a_character(byte: u8) -> bool {
            byte & 0b1100_0000 == 0b1000_0000
        }
        while self.0.pop().is_some_and(continues_a_character) {}
    }

    fn into_string(mut self) -> io::Result<Zeroizing<String>> {
        match String::from_utf8(mem::take(&mut *self.0)) {
            Ok(line) => Ok(Zeroizing::new(line)),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                Err(ErrorKind::InvalidData.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(bytes: &[u8]) -> Result<String, Key> {
        let mut line = Line::new();
        for byte in bytes {
            match line.key(Some(*byte)) {
                Key::More => {}
                Key::Enter => return Ok(line.into_string().unwrap().to_string()),
                key => return Err(key),
            }
        }
        Err(line.key(None))
    }

    #[test]
    fn a_line_is_what_was_typed_before_enter() {
        assert_eq!(typed(b"secret \twords\rmore\n").unwrap(), "secret \twords");
        assert_eq!(typed(b"secret\n").unwrap(), "secret");
        assert_eq!(typed(b"\n").unwrap(), "");
    }

    #[test]
    fn a_rubout_takes_a_whole_character() {
        assert_eq!(typed("aé\x7f\n".as_bytes()).unwrap(), "a");
        assert_eq!(typed("a\u{1F511}\x08b\n".as_bytes()).unwrap(), "ab");
        assert_eq!(typed(b"\x7f\x7fa\n").unwrap(), "a");
        assert_eq!(typed(b"wrong\x15right\n").unwrap(), "right");
    }

    #[test]
    fn a_person_who_gives_up_is_not_kept() {
        for bytes in [b"abc\x03\n".as_slice(), b"abc\x1c\n", b"\x04", b"abc"] {
            assert_eq!(typed(bytes), Err(Key::GiveUp));
        }
        assert_eq!(typed(b"abc\x04\n").unwrap(), "abc");
        assert_eq!(typed(b"abc\x1a\n"), Err(Key::Stop));
    }

    #[test]
    fn a_line_too_long_for_a_password_stays_too_long_and_no_longer() {
        let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        assert_eq!(typed(format!("{long}\n").as_bytes()).unwrap(), long);
        assert_eq!(typed(format!("{long}yz\n").as_bytes()).unwrap(), long);
    }

    #[test]
    fn a_line_that_is_not_utf8_is_refused() {
        let mut line = Line::new();
        assert_eq!(line.key(Some(0xff)), Key::More);
        let refused = line.into_string().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidData);
    }
}
