//! The helper thread: checks passwords one after the other, so that the loop never waits for one.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use mio::Waker;

use crate::app::password::{HashJob, HashOutcome};

/// The thread ends when this is dropped. The core bounds the jobs that wait.
pub(super) struct Hasher {
    jobs: Sender<HashJob>,
    outcomes: Receiver<HashOutcome>,
}

impl Hasher {
    pub(super) fn start(waker: Waker) -> io::Result<Hasher> {
        let (jobs, waiting) = channel::<HashJob>();
        let (done, outcomes) = channel();
        thread::Builder::new()
            .name("hasher".into())
            .spawn(move || {
                for job in waiting {
                    let ticket = job.ticket;
                    // Whatever befalls one password must not keep the others from being checked.
                    let outcome = catch_unwind(AssertUnwindSafe(|| job.run()));
                    let outcome = outcome.unwrap_or(HashOutcome {
                        ticket,
                        matches: false,
                    });
                    // Either fails only when the loop has ended.
                    if done.send(outcome).is_err() || waker.wake().is_err() {
                        return;
                    }
                }
            })?;
        Ok(Hasher { jobs, outcomes })
    }

    pub(super) fn hand_out(&self, job: HashJob) {
        // The thread lives as long as `self`: this cannot fail.
        let _ = self.jobs.send(job);
    }

    pub(super) fn next_outcome(&self) -> Option<HashOutcome> {
        self.outcomes.try_recv().ok()
    }
}
