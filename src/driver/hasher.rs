//! The helper thread for passwords: checks one after the other, so that the loop never waits for a
//! hash.
//!
//! Promises an outcome for each job, also when a check panics. Refuses to know whose password it
//! is: a job has a ticket, and its outcome the same.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use mio::Waker;

use super::HELPER_STACK_BYTES;
use super::descriptors::address_space;
use crate::app::password::{AddressSpace, HashJob, HashOutcome, Verdict};

/// The loop's end of the thread, which ends when this is dropped. The core bounds the jobs that
/// wait.
pub(super) struct Hasher {
    jobs: Sender<HashJob>,
    outcomes: Receiver<HashOutcome>,
}

impl Hasher {
    /// Starts the thread; it wakes the loop by `waker` after each check.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub(super) fn start(waker: Arc<Waker>) -> io::Result<Hasher> {
        let (jobs, waiting) = channel::<HashJob>();
        let (done, outcomes) = channel();
        thread::Builder::new()
            .name("hasher".into())
            .stack_size(HELPER_STACK_BYTES)
            .spawn(move || {
                let space = address_space();
                let mut log = FaultLog::default();
                for job in waiting {
                    let outcome = check(job, space, &mut log);
                    // Both fail only when the loop has ended.
                    if done.send(outcome).is_err() || waker.wake().is_err() {
                        return;
                    }
                }
            })?;
        Ok(Hasher { jobs, outcomes })
    }

    /// Queues a job for the thread.
    pub(super) fn hand_out(&self, job: HashJob) {
        // The thread lives as long as `self`: this cannot fail.
        let _ = self.jobs.send(job);
    }

    /// Returns the outcome of a check, the oldest first; `None` when none is ready.
    pub(super) fn next_outcome(&self) -> Option<HashOutcome> {
        self.outcomes.try_recv().ok()
    }
}

/// Checks one password. What goes wrong with one must not keep the others from being checked, so a
/// panic counts as a check that failed.
fn check(job: HashJob, space: AddressSpace, log: &mut FaultLog) -> HashOutcome {
    let (ticket, memory_kib) = (job.ticket, job.memory_kib);
    let outcome = catch_unwind(AssertUnwindSafe(|| job.run(space)));
    let outcome = outcome.unwrap_or(HashOutcome {
        ticket,
        verdict: Verdict::Failed,
    });
    log.note(outcome.verdict, memory_kib);
    outcome
}

/// Tells the log that passwords cannot be checked: once, until one was checked again. Else a flood
/// of logins would write a line each.
#[derive(Default)]
struct FaultLog {
    /// True while the log has been told, and no password was checked since.
    is_told: bool,
}

impl FaultLog {
    /// Notes the outcome of a check, and tells the log if it is the first that failed.
    fn note(&mut self, verdict: Verdict, memory_kib: u32) {
        let is_fault = matches!(verdict, Verdict::NoMemory | Verdict::Failed);
        if std::mem::replace(&mut self.is_told, is_fault) || !is_fault {
            return;
        }
        match verdict {
            Verdict::NoMemory => log::error!(
                "no password can be checked: there is no memory for a hash, which takes \
                 {memory_kib} KiB; give the process more, or lower PASSWORD_MEMORY and set the \
                 passwords anew"
            ),
            _ => log::error!("a password was not checked: the check broke off"),
        }
    }
}
