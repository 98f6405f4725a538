//! What the system tells the process: SIGINT and SIGTERM, as bytes in a pipe that the loop watches;
//! signals that come while a password is typed; and a file that may grow no more.
//!
//! Promises that no signal is lost, and that a terminal is put right before a signal ends the
//! process. Refuses to know what the server does to stop.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::event::Source;
use mio::net::UnixStream;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGXFSZ};
use signal_hook::flag;
use signal_hook::low_level::{emulate_default_handler, pipe};

/// From now on a write past the size that a file may have (man 2 setrlimit: RLIMIT_FSIZE) fails as
/// on a full disk. Otherwise SIGXFSZ would end the process without a word.
///
/// # Errors
/// When the system does not let us.
pub fn outlive_file_size_limit() -> io::Result<()> {
    // To ignore a signal takes unsafe code. A handler that does nothing has the same effect.
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(|_| ())
}

/// Signals that end, stop or continue the process while the terminal's echo is off, in the order in
/// which they are obeyed.
const OF_A_PROMPT: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGCONT];

/// Holds signals back while it lives, so that the terminal can be put right before they are obeyed.
/// After that they do what they do by default.
pub struct HeldSignals {
    /// Whether each of [`OF_A_PROMPT`] came.
    came: [Arc<AtomicBool>; OF_A_PROMPT.len()],
    /// True exactly while none is held back.
    is_free: Arc<AtomicBool>,
    /// Becomes readable with each signal.
    pipe: std::os::unix::net::UnixStream,
}

/// A signal that was held back.
#[derive(Clone, Copy, Debug)]
pub struct HeldSignal(i32);

impl HeldSignals {
    /// Holds the signals back from now on.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn hold() -> io::Result<HeldSignals> {
        let (pipe, writing) = std::os::unix::net::UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        let signals = HeldSignals {
            came: Default::default(),
            is_free: Arc::default(),
            pipe,
        };
        for (signal, came) in OF_A_PROMPT.into_iter().zip(&signals.came) {
            // Handlers stay registered when this value is gone: by this flag they then do the
            // default.
            flag::register_conditional_default(signal, Arc::clone(&signals.is_free))?;
            flag::register(signal, Arc::clone(came))?;
            pipe::register(signal, writing.try_clone()?)?;
        }
        Ok(signals)
    }

    /// Returns the next signal that came; `None` when there is none.
    pub fn take(&self) -> Option<HeldSignal> {
        // Emptied before the flags are read: the byte of a signal that comes in between wakes the
        // reader again.
        while (&self.pipe).read(&mut [0; 16]).is_ok_and(|count| count > 0) {}
        let mut signals = OF_A_PROMPT.into_iter().zip(&self.came);
        let came = signals.find(|(_, came)| came.swap(false, Ordering::Relaxed));
        came.map(|(signal, _)| HeldSignal(signal))
    }

    /// Does what the signal does by default: the process ends, or stops until it is continued, or
    /// goes on.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn obey(&self, signal: HeldSignal) -> io::Result<()> {
        emulate_default_handler(signal.0)?;
        // The process goes on, so the SIGCONT that made it do so is dealt with.
        let [.., continued] = &self.came;
        continued.store(false, Ordering::Relaxed);
        Ok(())
    }
}

impl HeldSignal {
    /// The signal that stops the process until it is continued.
    pub const STOP: HeldSignal = HeldSignal(SIGTSTP);
}

impl AsFd for HeldSignals {
    /// Returns what becomes readable once a signal has come.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        self.is_free.store(true, Ordering::Relaxed);
        // A signal that came in the last moment is not lost.
        while let Some(signal) = self.take() {
            let _ = self.obey(signal);
        }
    }
}

/// SIGINT and SIGTERM, as an event of the loop.
pub(super) struct Signals {
    pipe: UnixStream,
}

impl Signals {
    /// Registers both signals.
    ///
    /// # Errors
    /// When the system does not let us.
    pub(super) fn new() -> io::Result<Signals> {
        let (reading, writing) = std::os::unix::net::UnixStream::pair()?;
        reading.set_nonblocking(true)?;
        pipe::register(SIGINT, writing.try_clone()?)?;
        pipe::register(SIGTERM, writing)?;
        Ok(Signals {
            pipe: UnixStream::from_std(reading),
        })
    }

    /// Returns what the loop watches.
    pub(super) fn source(&mut self) -> &mut dyn Source {
        &mut self.pipe
    }

    /// Returns true when a signal came since this was last asked.
    pub(super) fn take(&mut self) -> bool {
        let mut bytes = [0; 16];
        let mut came = false;
        loop {
            match self.pipe.read(&mut bytes) {
                Ok(0) => return came,
                Ok(_) => came = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return came,
            }
        }
    }
}
