//! What the helper threads do: passwords checked one after the other, and the store written to.

use std::time::Duration;

use crate::app::password::{AddressSpace, Verdict};
use crate::server::{StoreJob, StoreOutcome};

use super::people::{PEOPLE, user_of};
use super::world::World;

impl World<'_> {
    /// The helper thread has checked a password.
    pub(super) fn hash(&mut self) -> Result<(), String> {
        // What the server may still believe of a user is what it was 50 ms ago; a login must not
        // fall into that, for its token would be dated one way or the other.
        let calm = self.disturbed_at + Duration::from_millis(60);
        self.pass_time(calm.since(self.now.monotonic))?;
        let Some((job, id, address)) = self.jobs.pop_front() else {
            return Ok(());
        };
        let mut asked = super::follow::asked(&job);
        let mut outcome = job.run(AddressSpace::Limited);
        // Now and then there is no memory for a hash.
        if !self.is_kind && self.choice.chance(8) {
            asked.is_checked = false;
            outcome.verdict = Verdict::NoMemory;
        } else {
            // Should it be wrong, it counts, whether or not somebody waits for the answer.
            *self.hostile.entry(address).or_default() += 1;
        }
        self.server.hashed(self.now, &outcome);
        self.follow_hashed(id, asked)?;
        self.turn()
    }

    /// A password for the helper thread, of somebody who said one.
    pub(super) fn take_jobs(&mut self) -> Result<(), String> {
        while let Some(job) = self.server.next_job() {
            let id = self.server.connection_of_job(job.ticket);
            let asked = id.and_then(|id| Some((id, *self.addresses.get(&id.serial)?)));
            let Some((id, address)) = asked else {
                return Err("a password is to be checked that nobody said".to_owned());
            };
            self.jobs.push_back((job, id, address));
        }
        match self.jobs.len() {
            0 | 1 => Ok(()),
            _ => Err("the helper thread has two passwords".to_owned()),
        }
    }

    /// What is to be written is, or fails, at once.
    pub(super) fn write_to_store(&mut self) {
        while let Some(job) = self.server.next_store_job() {
            let unix = self.now.unix;
            let StoreJob::Revoke(ticket, revocation) = job else {
                if let StoreJob::Seen(second) = job {
                    self.people.write(&[], Some(second), unix);
                }
                continue;
            };
            let user = user_of(&revocation.id);
            let void_before = self.server.void_before(&revocation.id);
            let is_kept = self.people.write(&[revocation], None, unix);
            let outcome = StoreOutcome { ticket, is_kept };
            self.server.kept(self.now, &outcome);
            if user < PEOPLE {
                let void_before = void_before.filter(|_| !is_kept);
                self.unnoted.push((user, void_before));
            }
        }
        // While a peer speaks, the model comes to its logout in its own time.
        if !self.is_hearing_late {
            self.note_logouts();
        }
    }

    /// The model learns of the logouts that were written, or could not be.
    pub(super) fn note_logouts(&mut self) {
        for (user, void_before) in std::mem::take(&mut self.unnoted) {
            self.people
                .note_pending(user, void_before, self.now.monotonic);
        }
    }
}
