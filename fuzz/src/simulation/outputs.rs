//! What the core has for the outside, each kind until it is asked for.

use std::collections::VecDeque;

use framegate::internals::app::password::HashJob;
use framegate::internals::server::{Output, Report, StoreJob};

use super::world::World;

/// Outputs that were taken and not looked at yet, in the order in which they came.
#[derive(Default)]
pub(super) struct Outputs {
    pub(super) hash_jobs: VecDeque<HashJob>,
    pub(super) store_jobs: VecDeque<StoreJob>,
    pub(super) reports: VecDeque<Report>,
}

impl World<'_> {
    /// Takes all that the core has for the outside.
    pub(super) fn take_outputs(&mut self) {
        while let Some(output) = self.turn.core.poll(self.now) {
            match output {
                Output::Hash(job) => self.outputs.hash_jobs.push_back(job),
                Output::Store(job) => self.outputs.store_jobs.push_back(job),
                Output::Report(report) => self.outputs.reports.push_back(report),
                // When they come depends on when they were asked for last.
                Output::Summary(_) | Output::StoreNews(_) => {}
            }
        }
    }

    /// Takes what is to be written to the store next.
    pub(super) fn next_store_job(&mut self) -> Option<StoreJob> {
        self.take_outputs();
        self.outputs.store_jobs.pop_front()
    }
}
