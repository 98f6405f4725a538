//! The file of a recording. A thread of its own writes it, so that the loop never waits for a disk,
//! nor the end of the server for one that hangs.
//!
//! Promises that what was taken is written in order, or that the recording ends with a word about
//! it. Refuses to know what is recorded.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::HELPER_STACK_BYTES;
use crate::limits::{RECORDING_DRAIN_TIMEOUT, RECORDING_PENDING_BYTES_MAX};

/// A file that only its owner can read. When it is dropped, it waits until all is written, but no
/// longer than [`RECORDING_DRAIN_TIMEOUT`].
pub struct RecordingFile {
    /// `None` once it is dropped, or has failed.
    pieces: Option<Sender<Vec<u8>>>,
    /// Bytes that the thread has yet to write.
    pending_bytes: Arc<AtomicUsize>,
    /// How the thread ended, once it has.
    ended: Receiver<io::Result<()>>,
    /// How long to wait for the thread when it is to end.
    drain_timeout: Duration,
}

impl RecordingFile {
    /// Makes the file. One that exists is not overwritten: it may be another recording.
    ///
    /// # Errors
    /// When there is a file already, or it cannot be made.
    pub fn create(path: &Path) -> io::Result<RecordingFile> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        RecordingFile::over(options.open(path)?)
    }

    /// Starts the thread that writes to `file`.
    ///
    /// # Errors
    /// When the system starts no thread.
    fn over(file: File) -> io::Result<RecordingFile> {
        let (pieces, waiting) = channel();
        let pending_bytes = Arc::new(AtomicUsize::new(0));
        let written = Arc::clone(&pending_bytes);
        let (ending, ended) = channel();
        thread::Builder::new()
            .name("recorder".into())
            .stack_size(HELPER_STACK_BYTES)
            // The send fails when the recording is given up, and then its end matters to nothing.
            .spawn(move || ending.send(write_all(file, &waiting, &written)))?;
        Ok(RecordingFile {
            pieces: Some(pieces),
            pending_bytes,
            ended,
            drain_timeout: RECORDING_DRAIN_TIMEOUT,
        })
    }

    /// Returns why the thread writes no more.
    fn failure(&self) -> io::Error {
        match self.ended.recv_timeout(self.drain_timeout) {
            Ok(Err(error)) => error,
            Err(RecvTimeoutError::Timeout) => io::Error::other("the disk does not keep up"),
            _ => ErrorKind::BrokenPipe.into(),
        }
    }
}

/// The body of the thread: writes what comes until the channel is closed.
///
/// # Errors
/// The first write that fails; it is the last.
fn write_all(
    mut file: File,
    waiting: &Receiver<Vec<u8>>,
    pending_bytes: &AtomicUsize,
) -> io::Result<()> {
    for piece in waiting {
        file.write_all(&piece)?;
        pending_bytes.fetch_sub(piece.len(), Ordering::Relaxed);
    }
    Ok(())
}

impl Write for RecordingFile {
    /// Takes all of the bytes or none.
    ///
    /// # Errors
    /// When the disk has failed, or does not keep up: what waits is bounded, and a recording with a
    /// hole would be of no use.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let pending = self.pending_bytes.load(Ordering::Relaxed);
        if pending > RECORDING_PENDING_BYTES_MAX {
            return Err(io::Error::other("the disk does not keep up"));
        }
        self.pending_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        let sent = self
            .pieces
            .as_ref()
            .is_some_and(|pieces| pieces.send(bytes.to_vec()).is_ok());
        match sent {
            true => Ok(bytes.len()),
            false => {
                self.pieces = None;
                Err(self.failure())
            }
        }
    }

    /// Does nothing: the thread writes as it goes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for RecordingFile {
    fn drop(&mut self) {
        // After a failure, which was told when it happened.
        if self.pieces.take().is_none() {
            return;
        }
        match self.ended.recv_timeout(self.drain_timeout) {
            Ok(Ok(())) | Err(RecvTimeoutError::Disconnected) => {}
            Ok(Err(error)) => log::warn!("the recording is cut off: {error}"),
            Err(RecvTimeoutError::Timeout) => {
                log::warn!("the recording is cut off: the disk does not keep up");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> std::path::PathBuf {
        let name = format!("framegate-recording-{}-{name}", std::process::id());
        std::env::temp_dir().join(name)
    }

    #[test]
    fn all_that_was_taken_is_in_the_file_once_it_is_dropped() {
        let path = file("whole");
        let mut recording = RecordingFile::create(&path).unwrap();
        for _ in 0..1_000 {
            recording.write_all(&[b'x'; 1_000]).unwrap();
        }
        drop(recording);
        let written = std::fs::read(&path).unwrap();
        assert!(
            RecordingFile::create(&path).is_err(),
            "it takes no other's place"
        );
        std::fs::remove_file(&path).unwrap();
        assert_eq!(written, [b'x'; 1_000].repeat(1_000));
    }

    #[test]
    fn a_disk_that_fails_is_told_and_one_that_hangs_is_not_waited_for() {
        let path = file("failing");
        std::fs::write(&path, "").unwrap();
        let mut recording = RecordingFile::over(File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        // It is open for reading only: the thread fails at its first write, and ends.
        let error = loop {
            if let Err(error) = recording.write_all(b"x") {
                break error;
            }
        };
        assert_eq!(error.raw_os_error(), Some(9), "{error}");

        let (pieces, _waiting) = channel();
        let pending_bytes = Arc::new(AtomicUsize::new(0));
        let mut hanging = RecordingFile {
            pieces: Some(pieces),
            pending_bytes,
            ended: channel().1,
            drain_timeout: RECORDING_DRAIN_TIMEOUT,
        };
        let piece = vec![b'x'; RECORDING_PENDING_BYTES_MAX / 2];
        let taken = std::iter::from_fn(|| hanging.write_all(&piece).ok()).count();
        assert_eq!(taken, 3);
    }

    #[test]
    fn a_disk_that_hangs_is_not_waited_for_when_it_is_dropped() {
        let (pieces, _waiting) = channel();
        // A thread that never says that it has ended.
        let (_ending, ended) = channel();
        drop(RecordingFile {
            pieces: Some(pieces),
            pending_bytes: Arc::default(),
            ended,
            drain_timeout: Duration::from_millis(10),
        });
    }
}
