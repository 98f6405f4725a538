//! The model of what is asked by HTTP: for whom a proxy comes, requests, and the upgrade.

use framegate::internals::limits::LOGIN_TIMEOUT;
use framegate::internals::server::{CloseCause, Input, ReadInterest, ReportKind, Unserved};
use framegate::internals::turn::Readiness;
use framegate::internals::wire::Rejection;

use super::client_bytes::Request;
use super::link::{Expected, Over, Stage};
use super::model_messages::{Step, Told};
use super::outcomes::Outcomes;
use super::people::VerifiedToken;
use super::world::World;

impl World<'_> {
    /// The loop hears of something that is not so.
    pub(super) fn lie(&mut self) -> Result<(), String> {
        let readiness = Readiness {
            readable: self.choice.chance(70),
            writable: self.choice.chance(70),
            ..Readiness::default()
        };
        for link in 0..self.links.len() {
            if self.choice.chance(30) {
                self.tell(self.links[link].id, readiness);
            }
        }
        let slot = 7 + self.choice.below(100) as usize;
        self.turn
            .connection_ready(self.now, &mut self.sockets, slot, readiness);
        self.turn.listener_ready(self.choice.below(3) as usize);
        self.turn()
    }

    /// Something is said of a connection that is no more: nothing may come of it.
    pub(super) fn tell_of_closed(&mut self) -> Result<(), String> {
        if self.gone.is_empty() || self.choice.chance(50) {
            return self.lie();
        }
        let id = self.gone[self.choice.below(self.gone.len() as u32) as usize];
        let (now, before) = (self.now, self.turn.core.connections());
        match self.choice.below(5) {
            0 => self.turn.core.handle(now, Input::Finished(id)),
            1 => self.turn.core.handle(now, Input::Failed(id)),
            2 => self.turn.core.handle(now, Input::Writable(id)),
            3 => self.turn.core.wrote(now, id, 10, false),
            _ => {
                let reading = self.turn.core.receive(now, id, &mut [0x81; 64]);
                if reading != ReadInterest::Done {
                    return Err("a connection that is no more is read from".to_owned());
                }
            }
        }
        let is_quiet = !self.turn.core.has_flushes()
            && self.turn.core.next_ending().is_none()
            && self.turn.core.poll(now).is_none()
            && self.turn.core.connections() == before;
        match is_quiet {
            true => self.turn.core.audit(),
            false => Err("an event of a connection that is no more changed something".to_owned()),
        }
    }

    /// For whom a proxy's connection comes is known: there may be no room for it, which it is
    /// told where its proxy speaks HTTP.
    pub(super) fn take_client(&mut self, index: usize, told: &Told<'_>) -> Result<Step, String> {
        let Some(client) = self.links[index].client.take() else {
            return Ok(Step::On);
        };
        let may_be_turned_away = self.may_turn_away(client);
        let link = &mut self.links[index];
        link.address = client;
        if !matches!(told.own_cause(), Some(CloseCause::NoRoom(_))) {
            link.is_counted = true;
            return Ok(Step::On);
        }
        if !may_be_turned_away {
            return Err("a client was turned away for no reason".to_owned());
        }
        if !self.config.proxy_protocol {
            link.owe(Expected::Answer(vec![503]), true);
        }
        self.end_own(told, None)?;
        Ok(Step::Ended)
    }

    pub(super) fn take_request(
        &mut self,
        index: usize,
        request: Request,
        told: &mut Told<'_>,
    ) -> Result<Step, String> {
        let is_stopping = self.stopping_since.is_some();
        match request {
            Request::Upgrade { .. } | Request::Login if is_stopping => {
                let stopping = CloseCause::Request(Unserved::Stopping);
                self.must_be(told, ReportKind::Refused(stopping))?;
                self.links[index].owe(Expected::Answer(vec![503]), true);
                self.end_own(told, None)?;
                Ok(Step::Ended)
            }
            Request::Upgrade {
                pass,
                is_in_subprotocol,
            } => self.take_upgrade(index, pass, is_in_subprotocol, told),
            // A login that is none is one too many for its address, which is told to its peer alone.
            Request::Plain(statuses) if statuses.contains(&429) && told.own.is_none() => {
                self.note_login(index);
                self.links[index].owe(Expected::Answer(vec![429]), true);
                self.answered(index);
                Ok(Step::Ended)
            }
            Request::Plain(statuses) => {
                if told.own.is_none() {
                    let link = &self.links[index];
                    return Err(format!("{statuses:?} is not answered: {link:?}"));
                }
                let stopping = is_stopping.then_some(503);
                let statuses = statuses.iter().copied().chain(stopping).collect();
                self.links[index].owe(Expected::Answer(statuses), true);
                self.end_own(told, None)?;
                Ok(Step::Ended)
            }
            Request::Login => {
                self.note_login(index);
                let by = self.now.monotonic + LOGIN_TIMEOUT;
                self.links[index].stage = Stage::Waiting { by };
                let id = self.links[index].id;
                if !self.turn.core.awaits_password(id) {
                    self.links[index].owe(Expected::Answer(vec![429, 503]), true);
                    self.answered(index);
                }
                Ok(Step::Ended)
            }
        }
    }

    /// The connection's request is answered, of which the log hears nothing.
    pub(super) fn answered(&mut self, index: usize) {
        self.links[index].stage = Stage::Over(Over {
            at: self.now.monotonic,
            error: None,
            close: None,
            is_cut: false,
        });
    }

    fn take_upgrade(
        &mut self,
        index: usize,
        pass: Option<VerifiedToken>,
        is_in_subprotocol: bool,
        told: &mut Told<'_>,
    ) -> Result<Step, String> {
        let now = self.now;
        let outcomes = match &pass {
            Some(pass) => self.people.outcomes(Some(pass), None, now),
            None => Outcomes::PASSES,
        };
        told.verifications += u64::from(pass.as_ref().is_some_and(VerifiedToken::is_whole));
        if pass.is_none() && self.config.require_handshake_token {
            self.must_be(
                told,
                ReportKind::Refused(CloseCause::Upgrade(Rejection::NoToken)),
            )?;
            self.links[index].owe(Expected::Answer(vec![401]), true);
            self.end_own(told, None)?;
            return Ok(Step::Ended);
        }
        // Its user may have too many, which it is told as a WebSocket.
        let is_too_many = matches!(
            told.own_cause(),
            Some(CloseCause::TooManyConnections | CloseCause::UserRateLimited)
        );
        if let Some(pass) = pass.as_ref().filter(|_| is_too_many)
            && outcomes.allow(Outcomes::PASSES)
        {
            self.links[index].stage = Stage::Open;
            self.links[index].owe(Expected::Answer(vec![101]), true);
            return match self.join(pass.user, told)? {
                Step::Ended => Ok(Step::Ended),
                // How many frames its user has sent cannot always be told.
                Step::On if told.is_doubtful => {
                    self.end_own(told, None)?;
                    Ok(Step::Ended)
                }
                Step::On => Err("an upgrade was one too many for no reason".to_owned()),
            };
        }
        if told.own.is_some() {
            if !told.is_refused(outcomes) {
                return Err(format!("an upgrade was answered with {:?}", told.own));
            }
            let statuses = if is_in_subprotocol {
                self.links[index].stage = Stage::Open;
                vec![101]
            } else {
                vec![401, 403, 503]
            };
            self.links[index].owe(Expected::Answer(statuses), true);
            self.end_own(told, None)?;
            return Ok(Step::Ended);
        }
        if !outcomes.allow(Outcomes::PASSES) {
            return Err("a bad token opened a connection".to_owned());
        }
        let link = &mut self.links[index];
        link.stage = Stage::Open;
        link.opened_at = now.monotonic;
        link.owe(Expected::Answer(vec![101]), true);
        match pass {
            Some(pass) => self.enter(index, &pass.into(), told),
            None => Ok(Step::On),
        }
    }
}
