//! Lines on their way to standard error. A thread of its own writes them, so that nothing that logs
//! waits for a reader of the log: a pipe that nobody reads, a terminal that was stopped with
//! Ctrl-S, a disk that hangs.
//!
//! ```text
//! log ─▶ push ─▶ queue of bounded length ─▶ thread ─▶ standard error
//!          └─ no room: dropped, counted, told by the next line
//! ```
//!
//! Promises that `push` never waits, and that each dropped line is counted. Refuses to know what a
//! line says.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::HELPER_STACK_BYTES;
use crate::limits::LOG_LINES_PENDING_MAX;

/// A line with its line feed.
struct Line {
    text: String,
    /// How many dropped lines it tells of.
    told: u64,
}

/// The lines that are not written yet, and what is known of those that never will be.
#[derive(Default)]
struct State {
    /// At most [`LOG_LINES_PENDING_MAX`].
    lines: VecDeque<Line>,
    /// True while the thread writes a line that it took off the queue.
    is_writing: bool,
    /// Lines dropped that no line has told of.
    dropped: u64,
}

/// The queue of lines that wait for the thread.
#[derive(Clone, Default)]
pub(super) struct LogWriter(Arc<Shared>);

/// What the thread and those who log share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Signalled when a line came, and when one was written.
    changed: Condvar,
}

impl LogWriter {
    /// Starts the thread. It ends with the process, in the middle of a line if need be.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub(super) fn start() -> io::Result<LogWriter> {
        let writer = LogWriter::default();
        let queue = writer.clone();
        thread::Builder::new()
            .name("log".into())
            .stack_size(HELPER_STACK_BYTES)
            .spawn(move || queue.write_lines(write_to_standard_error))?;
        Ok(writer)
    }

    /// Counts a line that was dropped before it came here.
    pub(super) fn count_dropped(&self) {
        self.state().dropped += 1;
    }

    /// Queues the line that `line` makes when it is told how many were dropped before it. Drops it
    /// when the queue is full. Never waits for standard error.
    pub(super) fn push(&self, line: impl FnOnce(u64) -> String) {
        let mut state = self.state();
        if state.lines.len() >= LOG_LINES_PENDING_MAX {
            state.dropped += 1;
            return;
        }
        let told = std::mem::take(&mut state.dropped);
        let text = line(told);
        state.lines.push_back(Line { text, told });
        drop(state);
        // After the lock is free, so that the thread need not wait for it.
        self.0.changed.notify_all();
    }

    /// Waits until all lines are written, but no longer than `timeout`.
    pub(super) fn drain(&self, timeout: Duration) {
        let is_pending = |state: &mut State| state.is_writing || !state.lines.is_empty();
        // The caller ends in either case, with all lines written or not.
        let _ = self
            .0
            .changed
            .wait_timeout_while(self.state(), timeout, is_pending);
    }

    /// The body of the thread: writes lines for ever. A line that cannot be written counts as
    /// dropped.
    fn write_lines(&self, mut write: impl FnMut(&[u8]) -> io::Result<usize>) {
        let mut is_broken_off = false;
        loop {
            let line = self.next();
            let is_written = write_line(&mut write, &line.text, &mut is_broken_off);
            let mut state = self.state();
            state.is_writing = false;
            if !is_written {
                // The next line tells what this one would have told as well.
                state.dropped += 1 + line.told;
            }
            drop(state);
            self.0.changed.notify_all();
        }
    }

    /// Waits for a line, and takes it off the queue.
    fn next(&self) -> Line {
        let mut state = self.state();
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.is_writing = true;
                return line;
            }
            state = self
                .0
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    #[cfg(test)]
    pub(super) fn pending(&self) -> Vec<String> {
        let lines = self.state();
        lines.lines.iter().map(|line| line.text.clone()).collect()
    }

    /// Locks the state, also after another thread has panicked with the lock held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a line. Returns false when not all of it could be written; a line that broke off is ended
/// before the next, so that two lines never become one.
fn write_line(
    write: &mut impl FnMut(&[u8]) -> io::Result<usize>,
    line: &str,
    is_broken_off: &mut bool,
) -> bool {
    if *is_broken_off && !matches!(write(b"\n"), Ok(1)) {
        return false;
    }
    *is_broken_off = false;
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match write(rest) {
            Ok(count) if count > 0 => {
                rest = &rest[count..];
                *is_broken_off = !rest.is_empty();
            }
            _ => return false,
        }
    }
    true
}

/// Writes by one write(2), past the lock of [`io::Stderr`]: a thread that hangs here must not hold
/// that.
///
/// # Errors
/// When standard error takes nothing any more, as on a full disk.
fn write_to_standard_error(bytes: &[u8]) -> io::Result<usize> {
    let stderr = io::stderr();
    loop {
        match rustix::io::write(stderr.as_fd(), bytes) {
            Ok(count) => return Ok(count),
            Err(Errno::INTR) => {}
            // The program that gave us standard error may have made it non-blocking.
            Err(error) if io::Error::from(error).kind() == ErrorKind::WouldBlock => {
                let mut asked = [PollFd::new(&stderr, PollFlags::OUT)];
                // If this fails, the next write(2) says what is wrong.
                let _ = poll(&mut asked, None);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const AT_ONCE: Duration = Duration::from_secs(20);

    /// A writer over something else than standard error.
    fn over(write: impl FnMut(&[u8]) -> io::Result<usize> + Send + 'static) -> LogWriter {
        let writer = LogWriter::default();
        let queue = writer.clone();
        let writing = move || queue.write_lines(write);
        thread::Builder::new().spawn(writing).unwrap();
        writer
    }

    fn say(writer: &LogWriter, text: &str) {
        writer.push(|dropped| format!("{text} dropped={dropped}\n"));
    }

    #[test]
    fn lines_are_written_in_order_and_all_of_them_before_a_drain_ends() {
        let (sender, written) = channel();
        // A byte at a time: what is left of a line is written on.
        let writer = over(move |bytes| Ok(sender.send(bytes[0]).map_or(0, |()| 1)));
        for number in 0..LOG_LINES_PENDING_MAX / 2 {
            say(&writer, &number.to_string());
        }
        writer.drain(AT_ONCE);
        let written: Vec<u8> = written.try_iter().collect();
        let expected: String = (0..LOG_LINES_PENDING_MAX / 2)
            .map(|number| format!("{number} dropped=0\n"))
            .collect();
        assert_eq!(String::from_utf8_lossy(&written), expected);
    }

    #[test]
    fn lines_without_room_are_dropped_and_told_by_the_next_that_has_some() {
        let writer = LogWriter::default();
        for _ in 0..LOG_LINES_PENDING_MAX + 7 {
            say(&writer, "flood");
        }
        assert_eq!(writer.state().lines.len(), LOG_LINES_PENDING_MAX);
        writer.drain(Duration::from_millis(1));
        writer.next();
        say(&writer, "next");
        let state = writer.state();
        assert_eq!(state.lines.back().unwrap().text, "next dropped=7\n");
        assert_eq!(state.dropped, 0);
    }

    #[test]
    fn a_line_that_cannot_be_written_counts_with_those_that_it_told_of() {
        let (room, is_room) = channel();
        let (sender, written) = channel();
        // A full disk takes part of a line, and then none.
        let writer = over(move |bytes| match is_room.recv() {
            Ok(0) | Err(_) => Err(ErrorKind::StorageFull.into()),
            Ok(bytes_max) => {
                let count = bytes.len().min(bytes_max);
                sender.send(bytes[..count].to_vec()).unwrap();
                Ok(count)
            }
        });
        writer.count_dropped();
        for _ in 0..2 {
            say(&writer, "lost");
        }
        for bytes in [2, 0, 0] {
            room.send(bytes).unwrap();
        }
        writer.drain(AT_ONCE);
        for bytes in [99, 99] {
            room.send(bytes).unwrap();
        }
        say(&writer, "found");
        writer.drain(AT_ONCE);
        let written: Vec<u8> = written.try_iter().flatten().collect();
        assert_eq!(String::from_utf8_lossy(&written), "lo\nfound dropped=3\n");
    }

    #[test]
    fn a_writer_that_hangs_is_not_waited_for() {
        let (_never, forever) = channel::<()>();
        let writer = over(move |_| {
            let _ = forever.recv();
            Ok(0)
        });
        say(&writer, "stuck");
        writer.drain(Duration::from_millis(10));
        assert!(writer.state().is_writing || !writer.state().lines.is_empty());
    }
}
