//! Turns, as they come of what peers say: step by step, and after each the model.

use std::rc::Rc;

use framegate::internals::limits::{MEMORY_RESERVE_PARTS, MESSAGE_OVERHEAD_BYTES_MAX};
use framegate::internals::server::{CloseCause, ConnectionId, Ending, Report, ReportKind};
use framegate::internals::time::Instant;
use framegate::internals::turn::{Readiness, Step};

use super::link::Link;
use super::model_deadlines::SLACK;
use super::sockets::Asked;
use super::world::World;

/// What arrives of a peer at once: more than one read of it brings while it is not logged in.
pub(super) const ARRIVAL_BYTES_MAX: usize = 6_000;
/// Turns within which all must be done that comes of one thing.
const TURNS_MAX: usize = 1_000;

/// Turns within which everybody is written to who takes something: 8 who are not logged in are
/// written to in one, and there are 40 connections at the most.
const TURNS_WAITED_MAX: u32 = 6;

/// What a socket took while the model did not know yet what was said.
pub(super) struct Unheard {
    id: ConnectionId,
    taken: Vec<u8>,
}

/// What comes of a peer, until the turn comes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coming {
    Bytes,
    /// Bytes, and its FIN after them.
    LastBytes,
    Fin,
    Reset,
}

/// What the core has taken of a peer and not yet decided on in whole.
#[derive(Clone, Copy)]
pub(super) struct Undecided {
    id: ConnectionId,
    coming: Coming,
    verifications: u64,
}

/// The core ahead of a step.
struct Before {
    held_bytes: usize,
    verifications: u64,
}

impl World<'_> {
    /// The next bytes of what a peer has said arrive, and all comes of them that does.
    pub(super) fn deliver(&mut self, index: usize, bytes: usize) -> Result<(), String> {
        let id = self.links[index].id;
        let mut left = bytes.min(self.links[index].outgoing.len());
        while left > 0 {
            let size = match &mut self.cuts {
                Some(cuts) => 1 + cuts.below(40) as usize,
                None => ARRIVAL_BYTES_MAX,
            };
            let size = size.min(left);
            let Some(index) = self.link(id) else { break };
            if !self.arrive(index, size) {
                break;
            }
            left -= size;
            self.turn()?;
        }
        match bytes {
            0 => self.turn(),
            _ => Ok(()),
        }
    }

    /// The next bytes of what a peer has said lie in its socket, which says so. False when nothing of
    /// it is read any longer.
    pub(super) fn arrive(&mut self, index: usize, bytes: usize) -> bool {
        let link = &mut self.links[index];
        if link.is_read_no_more() || link.is_broken() || link.end.borrow().has_finished {
            return false;
        }
        let piece = link.next_piece(bytes.min(ARRIVAL_BYTES_MAX));
        if piece.is_empty() {
            return false;
        }
        link.end.borrow_mut().receive(piece);
        self.come(index, Coming::Bytes);
        true
    }

    /// Something comes of a peer, and its socket says so.
    pub(super) fn come(&mut self, index: usize, coming: Coming) {
        let link = &self.links[index];
        let (id, address) = (link.id, link.client.unwrap_or(link.address));
        self.addresses.insert(id.serial, address);
        self.coming.insert(id.serial, coming);
        let readiness = Readiness {
            readable: true,
            peer_finished: matches!(coming, Coming::Fin | Coming::LastBytes),
            has_failed: coming == Coming::Reset && link.is_read_no_more(),
            has_urgent: link.end.borrow().has_urgent,
            ..Readiness::default()
        };
        self.tell(id, readiness);
    }

    /// The loop hears of a socket's readiness.
    pub(super) fn tell(&mut self, id: ConnectionId, readiness: Readiness) {
        let (now, slot) = (self.now, id.slot as usize);
        self.turn
            .connection_ready(now, &mut self.sockets, slot, readiness);
    }

    /// Its socket takes bytes again, if it has room.
    pub(super) fn tell_writable(&mut self, index: usize) {
        let link = &self.links[index];
        if link.end.borrow_mut().open_up() {
            let readiness = Readiness {
                writable: true,
                ..Readiness::default()
            };
            self.tell(link.id, readiness);
        }
    }

    /// As many turns as there is work for, and all that must hold then.
    pub(super) fn turn(&mut self) -> Result<(), String> {
        for _ in 0..TURNS_MAX {
            self.one_turn()?;
            if self.turn.next_at() != Some(Instant::ORIGIN) {
                self.note_early_leavers();
                self.check_all_came()?;
                // What is counted wrong stays wrong: to look now and then is enough.
                self.turns += 1;
                if self.turns.is_multiple_of(self.audit_interval) {
                    self.count_again()?;
                }
                return self.check_deadlines();
            }
            self.somebody_leaves_early();
        }
        Err("the loop would spin: there is always something to do".to_owned())
    }

    /// The core and the store hold what they should.
    pub(super) fn count_again(&self) -> Result<(), String> {
        self.turn.core.audit()?;
        for link in self.links.iter().filter(|_| self.is_harsh) {
            let has_transport = self.config.proxy_protocol && self.is_proxy(link.came_from);
            self.tapped.check(link, has_transport)?;
        }
        match self.turn.core.totals().connections == self.turn.core.connections() {
            true => self.people.check(),
            false => Err("the log is told of other connections".to_owned()),
        }
    }

    /// What came of those who are here was read.
    fn check_all_came(&mut self) -> Result<(), String> {
        let coming = std::mem::take(&mut self.coming);
        let is_unread =
            |link: &&Link| coming.contains_key(&link.id.serial) && !link.is_read_no_more();
        match self.links.iter().find(is_unread) {
            Some(link) => Err(format!("{link:?} has sent what was never read")),
            None => Ok(()),
        }
    }

    fn one_turn(&mut self) -> Result<(), String> {
        loop {
            let before = Before {
                held_bytes: self.turn.core.held_bytes(),
                verifications: self.turn.core.verifications(),
            };
            let step = self.turn.step(self.now, &mut self.sockets);
            self.check_memory()?;
            match self.undecided {
                Some(undecided) => self.go_on(step, undecided)?,
                None => self.check_step(step, &before)?,
            }
            if step == Step::Over {
                self.take_jobs()?;
                self.write_to_store();
                self.note_log()?;
                return self.count_turns_waited();
            }
        }
    }

    fn check_step(&mut self, step: Step, before: &Before) -> Result<(), String> {
        if self.is_harsh && self.turns.is_multiple_of(self.audit_interval) {
            self.turn.core.audit()?;
        }
        match step {
            Step::Decided(id) => self.check_decided(id, before)?,
            Step::Accepted(id) => self.check_accepted(id)?,
            Step::Ticked => {
                self.check_tick(before.held_bytes)?;
                self.note_waiting();
            }
            Step::Wrote(_) | Step::Written => self.check_write()?,
            Step::LookedAhead => self.check_tick(before.held_bytes)?,
            Step::Over => {}
        }
        match self.undecided {
            Some(_) => Ok(()),
            None => self.check_sockets(),
        }
    }

    /// What came of a peer was handed to the core.
    fn check_decided(&mut self, id: ConnectionId, before: &Before) -> Result<(), String> {
        let is_broken = self.link(id).is_some_and(|at| self.links[at].is_broken());
        let Some(coming) = self.coming.remove(&id.serial) else {
            return match is_broken {
                true => self.check_leaving(id, true),
                false => self.nothing_is_said(),
            };
        };
        let coming = self.note_read(id, coming);
        for link in &mut self.links {
            link.was_stalled = link.stalled_since.is_some();
        }
        self.pressed_bytes = 0;
        let undecided = Undecided {
            id,
            coming,
            verifications: before.verifications,
        };
        self.undecided = Some(undecided);
        self.go_on(Step::Decided(id), undecided)
    }

    /// So much more of what a peer has said was read. The rest comes in another turn.
    fn note_read(&mut self, id: ConnectionId, coming: Coming) -> Coming {
        let Some(index) = self.link(id) else {
            return coming;
        };
        let link = &mut self.links[index];
        let mut end = link.end.borrow_mut();
        link.sent += std::mem::take(&mut end.read_bytes);
        let left = match coming {
            Coming::Bytes | Coming::LastBytes if !end.arrived.is_empty() => coming,
            Coming::LastBytes if !end.is_read_out => Coming::Fin,
            _ => return coming,
        };
        self.coming.insert(id.serial, left);
        Coming::Bytes
    }

    /// While the core has not decided on all that it was handed, nothing else is: what it says and what
    /// peers hear meanwhile is judged when the model knows what was said.
    fn go_on(&mut self, step: Step, undecided: Undecided) -> Result<(), String> {
        let Undecided {
            id,
            coming,
            verifications,
        } = undecided;
        if matches!(step, Step::Decided(other) if other != id) {
            return Err("something is decided while something waits for that".to_owned());
        }
        self.write_to_store();
        self.pressed_bytes = self.pressed_bytes.max(self.turn.core.held_bytes());
        self.hear_later()?;
        if self.turn.core.has_undecided() {
            return self.collect_reports();
        }
        self.undecided = None;
        match (coming, self.link(id)) {
            // It was read before another's words ended it.
            (Coming::Bytes | Coming::LastBytes, Some(index))
                if self.links[index].is_read_no_more() =>
            {
                self.nothing_is_said()?;
            }
            (Coming::Bytes, Some(index)) => {
                let is_at_once = matches!(step, Step::Decided(_));
                self.check_receive(index, verifications, is_at_once)?;
                self.check_displaced()?;
                self.hear_unheard()?;
            }
            (Coming::LastBytes, Some(index)) => {
                self.check_last_bytes(index, verifications)?;
                self.hear_unheard()?;
            }
            // It was read before it had to go.
            (Coming::Bytes | Coming::LastBytes, None) => self.nothing_is_said()?,
            (coming, _) => self.check_leaving(id, coming == Coming::Reset)?,
        }
        self.note_logouts();
        match step {
            Step::Decided(_) => Ok(()),
            _ => self.check_sockets(),
        }
    }

    /// What was said, and then that it was the last: the end that follows from that comes last.
    fn check_last_bytes(&mut self, index: usize, verifications: u64) -> Result<(), String> {
        let id = self.links[index].id;
        let mut reports = self.reports();
        let is_left = |report: &mut Report| {
            report.connection == id && report.what == ReportKind::Closed(CloseCause::PeerLeft)
        };
        let left = reports.pop_if(is_left);
        self.collected = reports;
        self.check_receive(index, verifications, false)?;
        self.check_displaced()?;
        self.collected.extend(left);
        self.check_leaving(id, false)
    }

    fn nothing_is_said(&mut self) -> Result<(), String> {
        match self.reports()[..] {
            [] => Ok(()),
            ref reports => Err(format!("{reports:?}, though nothing was said")),
        }
    }

    fn collect_reports(&mut self) -> Result<(), String> {
        let reports = self.reports();
        self.collected.extend(reports);
        Ok(())
    }

    /// What sockets were asked while something waits to be decided on.
    fn hear_later(&mut self) -> Result<(), String> {
        for asked in std::mem::take(&mut self.sockets.asked) {
            match asked {
                Asked::Wrote { id, offered, taken } => {
                    let index = self.link(id).ok_or("something is written to nobody")?;
                    let now = self.now.monotonic;
                    self.links[index].note_progress(taken.len(), offered, now);
                    self.unheard.push(Unheard { id, taken });
                }
                Asked::Ended(id, ending) => self.endings.push_back((id, ending)),
            }
        }
        Ok(())
    }

    fn hear_unheard(&mut self) -> Result<(), String> {
        for Unheard { id, taken } in std::mem::take(&mut self.unheard) {
            let index = self.link(id).ok_or("somebody hears who is no more")?;
            self.digest_bytes(id, &taken);
            self.hear(index, &taken)?;
        }
        Ok(())
    }

    /// What sockets were asked: what their peers hear, and how they end.
    fn check_sockets(&mut self) -> Result<(), String> {
        while let Some((id, ending)) = self.endings.pop_front() {
            self.check_ending(id, ending)?;
        }
        while let Some(asked) = self.sockets.asked.pop_front() {
            match asked {
                Asked::Wrote { id, offered, taken } => {
                    let index = self.link(id).ok_or("something is written to nobody")?;
                    let now = self.now.monotonic;
                    self.links[index].note_progress(taken.len(), offered, now);
                    self.digest_bytes(id, &taken);
                    self.hear(index, &taken)?;
                }
                Asked::Ended(id, ending) => self.check_ending(id, ending)?,
            }
        }
        Ok(())
    }

    fn check_ending(&mut self, id: ConnectionId, ending: Ending) -> Result<(), String> {
        let index = self.link(id).ok_or("a connection ends twice")?;
        self.digest_ending(id, ending);
        if ending == Ending::Fin {
            return self.links[index].hear_fin();
        }
        let link = self.links.remove(index);
        if self.is_harsh {
            self.tapped.check_ended(id)?;
        }
        if !link.is_over() && !link.is_given_up() {
            return Err("a connection ends for no reason".to_owned());
        }
        if ending == Ending::Reset
            && !link.may_be_reset(self.now.monotonic, self.config.linger.saturating_sub(SLACK))
        {
            return Err(format!("a peaceful end is a reset: {link:?}"));
        }
        self.gone.push(id);
        Ok(())
    }

    /// Somebody was accepted, or sent away.
    fn check_accepted(&mut self, id: Option<ConnectionId>) -> Result<(), String> {
        let newcomer = self.newcomers[self.sockets.accepted_from].pop_front();
        let (address, kind) = newcomer.ok_or("somebody was accepted who did not come")?;
        let Some(id) = id else {
            return self.check_turned_away(address);
        };
        if self.gone.contains(&id) || self.link(id).is_some() {
            return Err("a connection has the name of another".to_owned());
        }
        let end = self.sockets.accepted.take();
        let end = end.ok_or("somebody was accepted and not watched")?;
        let mut link = Link::new(id, address, kind, Rc::clone(&end), self.now.monotonic);
        link.is_counted = !self.is_proxy(address);
        self.links.push(link);
        self.check_connect(id)
    }

    /// Somebody who does not take what it is offered was to be given a broadcast when its turn came.
    fn check_write(&mut self) -> Result<(), String> {
        for report in self.reports() {
            let index = self.link(report.connection).ok_or("nobody is slow")?;
            if !self.is_too_slow(index, &report) && !self.is_left_unsaid(&report) {
                return Err(format!("{report:?} while others were written to"));
            }
            self.end(&report, None)?;
        }
        Ok(())
    }

    /// Whom bytes wait for and whose socket takes them is written to before many turns have passed.
    fn count_turns_waited(&mut self) -> Result<(), String> {
        for link in &mut self.links {
            let waits = !link.wants_writable && self.turn.core.waits_to_be_written(link.id);
            link.turns_waited = if waits { link.turns_waited + 1 } else { 0 };
            if link.turns_waited > TURNS_WAITED_MAX {
                return Err(format!(
                    "{link:?} is passed over, and others are written to"
                ));
            }
        }
        Ok(())
    }

    /// Bytes for these wait for their turn to be written.
    fn note_waiting(&mut self) {
        for link in &mut self.links {
            if self.turn.core.waits_to_be_written(link.id) {
                link.waited_at = self.now.monotonic;
            }
        }
    }

    /// Bytes held stay within `MEMORY` after each step.
    fn check_memory(&self) -> Result<(), String> {
        let held_bytes = self.turn.core.held_bytes();
        match held_bytes <= self.config.memory_bytes_max {
            true => Ok(()),
            false => Err(format!(
                "{held_bytes} bytes are held, and {} may be",
                self.config.memory_bytes_max
            )),
        }
    }

    /// Whether the connection may have had to go for want of memory: it was short, and the
    /// connection held something, by what it began to say or did not take.
    pub(super) fn may_go_for_memory(&self, index: usize, held_bytes: usize) -> bool {
        let link = &self.links[index];
        let is_holding = link.is_unfinished() || link.was_stalled || link.stalled_since.is_some();
        is_holding && self.may_be_short_of_memory(held_bytes)
    }

    /// Whether memory was so short, with so much held, that somebody may have had to go.
    pub(super) fn may_be_short_of_memory(&self, held_bytes: usize) -> bool {
        // The tick itself may have sent each of them a Ping.
        let message = 2 * self.config.message_bytes_max + MESSAGE_OVERHEAD_BYTES_MAX;
        let reserve = message + self.config.memory_bytes_max / MEMORY_RESERVE_PARTS;
        held_bytes + 1_024 * self.links.len() + reserve > self.config.memory_bytes_max
    }
}
