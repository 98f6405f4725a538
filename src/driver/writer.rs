//! The helper thread for the user store: writes what the core has to write, so that the loop waits
//! for no disk and no lock.
//!
//! Promises an outcome for each revocation, and that all that waits is written before the server
//! ends. Refuses to know why something is written. All that waits goes into one commit, since each
//! commit waits for the disk.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use mio::Waker;

use super::HELPER_STACK_BYTES;
use super::clock::Clock;
use crate::app::users::{Revocation, StoreError, UserWriter};
use crate::limits::REVOCATIONS_PER_COMMIT_MAX;
use crate::server::{StoreJob, StoreOutcome};
use crate::time::UnixSeconds;

/// The loop's end of the thread. When it is dropped, it waits until all that was handed out is
/// written.
pub(super) struct StoreWriter {
    /// `None` only while it is dropped.
    jobs: Option<Sender<StoreJob>>,
    outcomes: Receiver<StoreOutcome>,
    thread: Option<JoinHandle<()>>,
}

impl StoreWriter {
    /// Starts the thread; it wakes the loop by `waker` after each commit.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub(super) fn start(store: Box<dyn UserWriter>, waker: Arc<Waker>) -> io::Result<StoreWriter> {
        let (jobs, waiting) = channel::<StoreJob>();
        let (done, outcomes) = channel();
        let thread = thread::Builder::new()
            .name("store".into())
            .stack_size(HELPER_STACK_BYTES)
            .spawn(move || work(store, &waiting, &done, &waker))?;
        Ok(StoreWriter {
            jobs: Some(jobs),
            outcomes,
            thread: Some(thread),
        })
    }

    /// Queues a job for the thread.
    pub(super) fn hand_out(&self, job: StoreJob) {
        // The thread lives as long as `self`: this cannot fail.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job));
    }

    /// Returns the outcome of a write, the oldest first; `None` when none is ready.
    pub(super) fn next_outcome(&self) -> Option<StoreOutcome> {
        self.outcomes.try_recv().ok()
    }
}

impl Drop for StoreWriter {
    fn drop(&mut self) {
        // The thread ends when the channel is closed and empty.
        self.jobs = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The body of the thread: writes what waits, and says whether it is kept.
fn work(
    mut store: Box<dyn UserWriter>,
    waiting: &Receiver<StoreJob>,
    done: &Sender<StoreOutcome>,
    waker: &Waker,
) {
    let clock = Clock::start();
    let mut is_told = false;
    while let Ok(first) = waiting.recv() {
        let more = waiting.try_iter().take(REVOCATIONS_PER_COMMIT_MAX - 1);
        let mut batch = Batch::default();
        std::iter::once(first)
            .chain(more)
            .for_each(|job| batch.add(job));
        // The store reads the clock inside its transaction: a revocation is dated by the time of
        // its commit, not of its job.
        let written = store.write(&batch.revocations, batch.seen, &|| clock.now().unix);
        tell(&written, &mut is_told, batch.revocations.len());
        let is_kept = written.is_ok();
        for ticket in batch.tickets {
            // This fails only when the loop has ended.
            let _ = done.send(StoreOutcome { ticket, is_kept });
        }
        let _ = waker.wake();
    }
}

/// Tells the log that the store cannot be written to: once, until it was written to again.
fn tell(written: &Result<(), StoreError>, is_told: &mut bool, revocations: usize) {
    let was_told = std::mem::replace(is_told, written.is_err());
    match written {
        Err(error) if !was_told && revocations > 0 => log::error!(
            "no logout can be kept: {error}; the tokens of those who log out are void in this \
             server only, and it tries again each second"
        ),
        Err(error) if !was_told => {
            log::error!("nothing can be written to the user database: {error}");
        }
        Ok(()) if was_told => log::info!("the user database is written to again"),
        _ => {}
    }
}

/// What one commit writes.
#[derive(Default)]
struct Batch {
    tickets: Vec<u64>,
    revocations: Vec<Revocation>,
    seen: Option<UnixSeconds>,
}

impl Batch {
    /// Adds a job to the commit. Of the seconds that were seen, the latest is enough.
    fn add(&mut self, job: StoreJob) {
        match job {
            StoreJob::Revoke(ticket, revocation) => {
                self.tickets.push(ticket);
                self.revocations.push(revocation);
            }
            StoreJob::Seen(second) => self.seen = self.seen.max(Some(second)),
        }
    }
}
