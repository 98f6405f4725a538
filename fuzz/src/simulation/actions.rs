//! What happens: one thing a step, more of some and less of others in each run.

use std::iter::repeat_n;
use std::time::Duration;

use framegate::internals::server::ConnectionId;

use super::choice::Choice;
use super::client_bytes::{self, ClientFrame, Event, Script};
use super::link::{PeerKind, Stage};
use super::people::{PEOPLE, VerifiedToken};
use super::world::World;

pub(super) const MOMENT: Duration = Duration::from_millis(16);

const PEER_KINDS: [PeerKind; 8] = [
    PeerKind::Honest,
    PeerKind::Silent,
    PeerKind::Slow,
    PeerKind::Deaf,
    PeerKind::Pinging,
    PeerKind::Flooding,
    PeerKind::Forging,
    PeerKind::Rude,
];

/// What can happen in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Connect,
    Say,
    Arrive,
    ArriveTogether,
    Read,
    MomentPasses,
    NextDeadline,
    LongTimePasses,
    SetWallClock,
    Finish,
    Reset,
    Haunt,
    Hash,
    ChangeUser,
    FailStore,
    Shed,
    Restart,
}

/// How often each action is done in a run, and by whom: a run in which everything happens a little
/// finds less than many in which a few things happen a lot (swarm testing: Groce and others,
/// 2012).
pub(super) struct Swarm {
    /// Actions, each as often as its weight.
    actions: Vec<Action>,
    pub(super) kinds: Vec<PeerKind>,
}

impl Swarm {
    pub(super) fn new(choice: &mut Choice<'_>) -> Swarm {
        const WEIGHTS: [(Action, usize); 17] = [
            (Action::Connect, 4),
            (Action::Say, 12),
            (Action::Arrive, 20),
            (Action::ArriveTogether, 3),
            (Action::Read, 4),
            (Action::MomentPasses, 10),
            (Action::NextDeadline, 2),
            (Action::LongTimePasses, 1),
            (Action::SetWallClock, 1),
            (Action::Finish, 1),
            (Action::Reset, 1),
            (Action::Haunt, 1),
            (Action::Hash, 3),
            (Action::ChangeUser, 1),
            (Action::FailStore, 1),
            (Action::Shed, 1),
            (Action::Restart, 1),
        ];
        let mut actions = Vec::new();
        for (action, weight) in WEIGHTS {
            let is_needed = matches!(
                action,
                Action::Connect | Action::Say | Action::Arrive | Action::MomentPasses
            );
            // Rare ones are left out of most runs.
            let times = match choice.below(4) {
                0 if !is_needed => 0,
                1 => weight * 3,
                _ => weight,
            };
            let is_rare = matches!(
                action,
                Action::Restart | Action::FailStore | Action::LongTimePasses
            );
            if !is_rare || choice.chance(30) {
                actions.extend(repeat_n(action, times));
            }
        }
        let mut kinds = vec![PeerKind::Honest];
        kinds.extend(PEER_KINDS.iter().filter(|_| choice.chance(50)));
        Swarm { actions, kinds }
    }
}

impl World<'_> {
    /// One step.
    pub(super) fn live(&mut self, swarm: &Swarm) -> Result<(), String> {
        match self.choice.pick(&swarm.actions) {
            Action::Connect if self.is_harsh && self.choice.chance(20) => self.a_crowd_comes(swarm),
            Action::Connect => self.somebody_connects(swarm),
            Action::Say => self.somebody_speaks(),
            Action::Arrive => self.something_arrives(),
            Action::ArriveTogether => self.much_arrives(),
            Action::Read => self.somebody_reads(),
            Action::MomentPasses => {
                let micros = self.choice.below(50_000);
                self.pass_time(Duration::from_micros(micros.into()))
            }
            Action::NextDeadline => {
                let at = self.turn.core.next_deadline();
                let wait = at.map_or(Duration::ZERO, |at| at.since(self.now.monotonic));
                // When the server wants to be called depends on how it read; where two worlds are
                // compared, both get the same time.
                self.pass_time(if self.is_compared { MOMENT } else { wait })
            }
            Action::LongTimePasses => {
                let millis = self.choice.below(40_000);
                self.pass_time(Duration::from_millis(millis.into()))
            }
            Action::SetWallClock => self.somebody_sets_the_clock(),
            Action::Finish => self.somebody(|world, index| world.finish(index)),
            Action::Reset => self.somebody(|world, index| world.reset(index)),
            Action::Haunt => self.tell_of_closed(),
            Action::Hash => self.hash(),
            Action::ChangeUser => self.somebody_administers(),
            Action::FailStore => {
                let calls = self.choice.pick(&[0, 0, 1, 3, u64::MAX]);
                self.fail_store(calls);
                Ok(())
            }
            Action::Shed => self.nobody_can_be_accepted(swarm),
            Action::Restart => self.restart(),
        }
    }

    fn somebody(
        &mut self,
        does: impl FnOnce(&mut Self, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        match self.links.len() as u32 {
            0 => Ok(()),
            count => {
                let index = self.choice.below(count) as usize;
                does(self, index)
            }
        }
    }

    pub(super) fn fail_store(&mut self, calls: u64) {
        self.disturbed_at = self.now.monotonic;
        if calls == 0 && self.people.is_gone(self.now.monotonic) {
            // What comes back is another database, by which another may be disabled.
            let user = self.somebody_real();
            self.people.touch();
            self.people.disable(user, true, self.now.monotonic);
        }
        let now = self.now.monotonic;
        self.people.fail(calls, now, &mut self.choice);
    }

    pub(super) fn somebody_real(&mut self) -> usize {
        self.choice.below(PEOPLE as u32) as usize
    }

    /// A token as one of this character would show it: each has one of its own, which gets old.
    pub(super) fn pass_for(&mut self, index: usize, user: usize) -> VerifiedToken {
        let is_forger = self.links[index].kind == PeerKind::Forging;
        if is_forger && self.choice.chance(60) {
            return match self.choice.chance(30) {
                // Somebody else's, heard on the wire.
                true => self.somebody_elses_pass(index, user),
                false => self.people.doubtful_pass(user, self.now, &mut self.choice),
            };
        }
        let is_kept = self.choice.chance(85);
        match self.links[index].pass.clone().filter(|_| is_kept) {
            Some(pass) => pass,
            None => {
                let user = self.links[index]
                    .pass
                    .as_ref()
                    .map_or(user, |pass| pass.user);
                let pass = self.people.pass(user, self.now);
                self.links[index].pass = Some(pass.clone());
                pass
            }
        }
    }

    fn somebody_elses_pass(&mut self, index: usize, user: usize) -> VerifiedToken {
        let other = (index + 1) % self.links.len();
        match self.links[other].pass.clone() {
            Some(pass) => pass,
            None => self.people.pass(user, self.now),
        }
    }

    fn somebody_speaks(&mut self) -> Result<(), String> {
        self.somebody(|world, index| {
            let times = match world.links[index].kind {
                PeerKind::Flooding | PeerKind::Pinging => 1 + world.choice.below(12),
                PeerKind::Silent => u32::from(world.choice.chance(20)),
                _ => 1,
            };
            let is_open = world.links[index].stage == Stage::Open;
            for _ in 0..if is_open { times } else { 0 } {
                let script = world.script(index);
                world.links[index].say(script);
            }
            Ok(())
        })
    }

    fn script(&mut self, index: usize) -> Script {
        let kind = self.links[index].kind;
        if kind == PeerKind::Rude && self.choice.chance(30) {
            return client_bytes::broken(&mut self.choice);
        }
        if kind == PeerKind::Pinging {
            return client_bytes::longest_ping(&mut self.choice);
        }
        if self.choice.chance(10) {
            return client_bytes::control(&mut self.choice);
        }
        let event = match self.is_harsh && kind == PeerKind::Rude && self.choice.chance(30) {
            true => Event::Login {
                user: self.somebody_real(),
                is_right: false,
            },
            false => self.event(index),
        };
        let user = self.somebody_real();
        let is_without = matches!(event, Event::Login { .. } | Event::BadFrame)
            || kind == PeerKind::Forging && self.choice.chance(10);
        let pass = match is_without {
            true => None,
            false => Some(self.pass_for(index, user)),
        };
        let is_message = matches!(event, Event::Message { .. });
        let id = match is_message && self.choice.chance(50) {
            true => None,
            false => Some(self.next_number()),
        };
        let mut pad = self.choice.pick(&[0, 10, 100, 600, 1_500]);
        // Who is not logged in may say less.
        if self.links[index].member.is_none() {
            pad = pad.min(600);
        }
        let frame = ClientFrame {
            id,
            pass,
            event,
            pad,
        };
        client_bytes::text(frame, &mut self.choice)
    }

    fn long_message(&mut self, index: usize) -> Script {
        let user = self.somebody_real();
        let frame = ClientFrame {
            id: Some(self.next_number()),
            pass: Some(self.pass_for(index, user)),
            event: Event::Message {
                nonce: self.next_nonce,
                to: None,
            },
            pad: 1_500,
        };
        client_bytes::text(frame, &mut self.choice)
    }

    pub(super) fn next_number(&mut self) -> u32 {
        self.next_nonce += 1;
        self.next_nonce
    }

    fn event(&mut self, index: usize) -> Event {
        let user = self.somebody_real();
        match self.choice.below(20) {
            0..=5 => Event::GetUser(user),
            6..=12 => {
                let to = self.choice.chance(30).then_some(user);
                let nonce = self.next_number();
                Event::Message { nonce, to }
            }
            13..=15 => {
                let own = self.links[index].pass.as_ref().map(|pass| pass.user);
                let user = own.filter(|_| self.choice.chance(80)).unwrap_or(user);
                let is_right = self.choice.chance(40);
                Event::Login { user, is_right }
            }
            16 => Event::Refresh,
            17 => Event::Logout,
            18 => self.choice.pick(&[Event::Unknown, Event::BadData]),
            _ if self.links[index].kind == PeerKind::Rude => Event::BadFrame,
            _ => Event::GetUser(user),
        }
    }

    /// A piece of what somebody has said arrives: of any size, but not beyond a request that has
    /// yet to be answered.
    fn something_arrives(&mut self) -> Result<(), String> {
        self.somebody(|world, index| {
            world.answer_ping(index);
            let waiting = world.links[index].outgoing.len();
            let bytes = match world.choice.below(4) {
                0 => 1 + world.choice.below(20) as usize,
                1 => 1 + world.choice.below(300) as usize,
                _ => waiting,
            };
            world.deliver(index, bytes)
        })
    }

    /// Of many, all but the last byte of what each has said; then all the last bytes in one turn, as
    /// for a server that was stopped for a while. Some keep back a little more.
    fn much_arrives(&mut self) -> Result<(), String> {
        for index in 0..self.links.len() {
            let is_member = self.links[index].member.is_some();
            if is_member && self.choice.chance(50) {
                let script = self.long_message(index);
                self.links[index].say(script);
            }
        }
        let ids: Vec<ConnectionId> = self.links.iter().map(|link| link.id).collect();
        for id in &ids {
            if let Some(index) = self.link(*id) {
                self.answer_ping(index);
                let link = &self.links[index];
                let waiting = link.outgoing.len();
                let left = 1 + link.bytes_kept_back();
                self.deliver(index, waiting.saturating_sub(left))?;
            }
        }
        for id in ids {
            if let Some(index) = self.link(id) {
                let link = &self.links[index];
                let waiting = link.outgoing.len();
                self.arrive(index, waiting.saturating_sub(link.bytes_kept_back()));
            }
        }
        self.turn()
    }

    fn answer_ping(&mut self, index: usize) {
        let link = &mut self.links[index];
        let is_polite = !matches!(
            link.kind,
            PeerKind::Silent | PeerKind::Deaf | PeerKind::Pinging
        );
        if std::mem::take(&mut link.is_asked) && is_polite && link.stage == Stage::Open {
            link.say(client_bytes::pong());
        }
    }

    fn somebody_reads(&mut self) -> Result<(), String> {
        self.somebody(|world, index| {
            let more = world.choice.below(2_000) as usize;
            let link = &mut world.links[index];
            if link.kind == PeerKind::Slow {
                link.end.borrow_mut().room += more;
                world.tell_writable(index);
            }
            world.turn()
        })
    }

    fn somebody_sets_the_clock(&mut self) -> Result<(), String> {
        let unix = self.now.unix.0;
        let step = self.choice.pick(&[1, 2, 59, 60, 61, 864_000]);
        let set = match self.choice.chance(50) {
            true => unix + step,
            false => unix - step,
        };
        self.set_wall_clock(set)
    }

    fn somebody_administers(&mut self) -> Result<(), String> {
        self.disturbed_at = self.now.monotonic;
        let user = self.somebody_real();
        let now = self.now;
        match self.choice.below(8) {
            0 => self.people.remove(user, now.monotonic),
            1 => self.people.disable(user, true, now.monotonic),
            2..=3 => self.people.disable(user, false, now.monotonic),
            4..=5 => self.people.add(user, now.monotonic),
            6 => self.people.revoke(user, now),
            _ => self.people.touch(),
        }
        Ok(())
    }
}
