//! A server, its driver, its clocks and its peers, all in one thread and one choice after the
//! other. What a step must come to is in `follow`, and by when in `duties`.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::app::Events;
use crate::app::password::HashJob;
use crate::config::Config;
use crate::gate::{ClaimRules, TokenError, Verifier};
use crate::limits::{CONNECTION_BYTES, MEMORY_RESERVE_PARTS, STOP_PATIENCE};
use crate::server::{
    Cause, ConnectionId, Ending, FlushesLeft, Peer, Report, SLICES_MAX, Server, What as Happening,
};
use crate::time::{Instant, Now, UnixSeconds};

use super::Reads;
use super::arrival::{READ_BYTES_MAX, Unheard};
use super::budgets::Budgets;
use super::choice::Choice;
use super::link::{Character, Link, Stage};
use super::people::{Made, Pass, People, TOKEN_TTL_SECONDS, keys_of, user_of};

const START: UnixSeconds = UnixSeconds(1_800_000_000);

pub(super) struct World<'a> {
    pub(super) choice: Choice<'a>,
    /// How a piece that arrives is cut further, if it is: by choices of its own, so that all else
    /// stays as it was.
    pub(super) cuts: Option<Choice<'a>>,
    pub(super) config: Config,
    pub(super) server: Server,
    pub(super) people: People,
    pub(super) budgets: Budgets,
    pub(super) now: Now,
    /// Connections whose descriptors there are, in the order they were accepted in.
    pub(super) links: Vec<Link>,
    /// Connections there were.
    pub(super) gone: Vec<ConnectionId>,
    /// Passwords the helper thread has yet to check, and for whom.
    pub(super) jobs: VecDeque<(HashJob, ConnectionId, Ipv4Addr)>,
    /// Where whoever said something comes from, by the connection's serial.
    pub(super) addresses: BTreeMap<u32, Ipv4Addr>,
    /// Hostile failures by address, as they were reported.
    pub(super) hostile: BTreeMap<Ipv4Addr, u32>,
    pub(super) next_nonce: u32,
    /// When the users last changed, or the store last failed.
    pub(super) disturbed_at: Instant,
    /// How many broadcasts, and how many strangers, are written in a turn.
    flushes_max: usize,
    /// True when the store is asked for changes behind a turn, too.
    looks_ahead: bool,
    /// True when another world must come to the same.
    pub(super) is_compared: bool,
    /// True once sockets take all that fits them.
    pub(super) is_kind: bool,
    /// When the server was told to stop.
    pub(super) stopping_since: Option<Instant>,
    /// All that came out so far, in one number.
    pub(super) digest: u64,
    pub(super) unheard: Vec<Unheard>,
    /// What ended in a turn that the model does not know yet.
    pub(super) endings: VecDeque<(ConnectionId, Ending)>,
    /// Whose logout was dealt with, and before when their tokens are void in the server alone.
    pub(super) unnoted: Vec<(usize, Option<UnixSeconds>)>,
    pub(super) is_hearing_late: bool,
    /// Bytes held at the most while what a peer said was decided on.
    pub(super) pressed_bytes: usize,
}

impl<'a> World<'a> {
    pub(super) fn new(mut choice: Choice<'a>, reads: Reads) -> Result<Self, String> {
        let config = config(&mut choice, reads);
        let flushes_max = choice.pick(&[1, 4, 1_000]);
        let looks_ahead = choice.chance(50);
        let cuts = match reads {
            Reads::Whole | Reads::Roomy => None,
            Reads::Cut(seed) => Some(Choice::Seed(seed)),
        };
        let people = People::new();
        Ok(World {
            server: server(&config, &people)?,
            budgets: Budgets::new(&config),
            choice,
            cuts,
            config,
            people,
            now: Now {
                monotonic: Instant::ORIGIN,
                unix: START,
                fraction: Duration::ZERO,
            },
            links: Vec::new(),
            gone: Vec::new(),
            jobs: VecDeque::new(),
            addresses: BTreeMap::new(),
            hostile: BTreeMap::new(),
            next_nonce: 0,
            disturbed_at: Instant::ORIGIN,
            flushes_max,
            looks_ahead,
            is_compared: reads != Reads::Whole,
            is_kind: false,
            stopping_since: None,
            digest: 0xCBF2_9CE4_8422_2325,
            unheard: Vec::new(),
            endings: VecDeque::new(),
            unnoted: Vec::new(),
            is_hearing_late: false,
            pressed_bytes: 0,
        })
    }

    pub(super) fn link(&self, id: ConnectionId) -> Option<usize> {
        self.links.iter().position(|link| link.id == id)
    }

    pub(super) fn is_proxy(&self, address: Ipv4Addr) -> bool {
        self.config.trusted_proxies.contains(IpAddr::V4(address))
    }

    // Inputs.

    /// Somebody connects; he may be sent away.
    pub(super) fn connect(
        &mut self,
        address: Ipv4Addr,
        character: Character,
    ) -> Result<Option<usize>, String> {
        let peer = Peer::from(SocketAddr::from((address, 1)));
        let Some(id) = self.server.accept(self.now, peer) else {
            self.follow_turned_away(address)?;
            return Ok(None);
        };
        if self.gone.contains(&id) || self.link(id).is_some() {
            return Err("a connection has the name of another".to_owned());
        }
        let mut link = Link::new(id, address, character, self.now.monotonic);
        link.is_counted = !self.is_proxy(address);
        self.links.push(link);
        self.follow_connect(id)?;
        self.turn()?;
        Ok(self.link(id))
    }

    pub(super) fn finish(&mut self, index: usize) -> Result<(), String> {
        let id = self.links[index].id;
        self.server.finished(self.now, id);
        self.follow_leaving(id, false)?;
        if let Some(index) = self.link(id) {
            let link = &mut self.links[index];
            link.has_finished |= link.stage == Stage::Open;
        }
        self.turn()
    }

    pub(super) fn reset(&mut self, index: usize) -> Result<(), String> {
        let id = self.links[index].id;
        self.server.failed(self.now, id);
        self.follow_leaving(id, true)?;
        self.turn()
    }

    /// Somebody sets the wall clock.
    pub(super) fn set_wall_clock(&mut self, unix: u64) -> Result<(), String> {
        self.now.unix = UnixSeconds(unix);
        self.turn()
    }

    // Time.

    /// Time passes, and the server is called when it asked to be.
    pub(super) fn pass_time(&mut self, duration: Duration) -> Result<(), String> {
        let until = self.now.monotonic + duration;
        let mut is_late = false;
        while let Some(next) = self.server.next_deadline().filter(|next| *next <= until) {
            if is_late && next <= self.now.monotonic {
                return Err("the loop would spin: a deadline stays in the past".to_owned());
            }
            is_late = next <= self.now.monotonic;
            self.move_to(next.max(self.now.monotonic + Duration::from_micros(1)))?;
        }
        self.move_to(until.max(self.now.monotonic))
    }

    pub(super) fn move_to(&mut self, at: Instant) -> Result<(), String> {
        let passed = at.since(self.now.monotonic) + self.now.fraction;
        self.now.monotonic = at;
        self.now.unix = self.now.unix.plus(passed.as_secs());
        self.now.fraction = Duration::from_nanos(u64::from(passed.subsec_nanos()));
        for index in 0..self.links.len() {
            let link = &mut self.links[index];
            if link.room > 0 && std::mem::take(&mut link.wants_writable) {
                let id = link.id;
                self.server.writable(id);
            }
        }
        self.turn()
    }

    // A turn, as the driver has it, and all that must hold at its end.

    pub(super) fn turn(&mut self) -> Result<(), String> {
        let held_bytes = self.server.held_bytes();
        self.server.tick(self.now);
        self.follow_tick(held_bytes)?;
        self.take_jobs()?;
        self.write_to_store();
        self.write()?;
        if self.looks_ahead {
            let held_bytes = self.server.held_bytes();
            self.server.look_ahead(self.now);
            self.follow_tick(held_bytes)?;
            self.write()?;
        }
        self.close()?;
        self.note_log();
        self.server.audit()?;
        self.people.check()?;
        self.check_duties()
    }

    /// What else the log is told.
    fn note_log(&mut self) {
        // When a minute's summary is due depends on when it was asked for last.
        let _ = self.server.next_summary(self.now);
        if self.server.next_store_news().is_some() {
            self.digest(0, b"store");
        }
    }

    pub(super) fn write(&mut self) -> Result<(), String> {
        for link in &mut self.links {
            if self.server.waits_to_be_written(link.id) {
                link.waited_at = self.now.monotonic;
            }
        }
        // A few strangers a turn, and as many turns as it takes.
        let some = FlushesLeft {
            broadcasts: self.flushes_max,
            pending: self.flushes_max,
        };
        let mut left = some;
        loop {
            let next = self.server.next_flush(self.now, &mut left);
            if !self.is_hearing_late {
                self.follow_write()?;
            }
            let Some(id) = next else {
                if !self.server.has_flushes() {
                    return Ok(());
                }
                left = some;
                continue;
            };
            let index = self
                .link(id)
                .ok_or("something is to be written to nobody")?;
            let mut taken = Vec::new();
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = self.server.gather(id, &mut slices);
            for slice in &slices[..filled] {
                taken.extend_from_slice(slice);
            }
            let offered = taken.len();
            let is_short = !self.is_kind && self.choice.chance(5);
            let link = &mut self.links[index];
            let mut count = offered.min(link.room);
            if is_short {
                count = self.choice.below(count as u32 + 1) as usize;
            }
            taken.truncate(count);
            link.room -= count;
            link.note_progress(count, offered, self.now.monotonic);
            self.digest(u64::from(id.serial), &taken);
            match self.is_hearing_late {
                true => self.unheard.push(Unheard { id, bytes: taken }),
                false => self.hear(index, &taken)?,
            }
            self.server.wrote(self.now, id, count, count < offered);
        }
    }

    /// Somebody who does not take what it is offered was to be given a broadcast when its turn came.
    fn follow_write(&mut self) -> Result<(), String> {
        for report in self.reports() {
            let index = self.link(report.connection).ok_or("nobody is slow")?;
            let is_slow = report.what == Happening::Refused(Cause::SlowReader);
            if !is_slow || self.links[index].stalled_since.is_none() {
                return Err(format!("{report:?} while others were written to"));
            }
            self.end(&report, None)?;
        }
        Ok(())
    }

    pub(super) fn hear(&mut self, index: usize, bytes: &[u8]) -> Result<(), String> {
        self.links[index].hear(bytes, self.now.monotonic)?;
        self.take_gifts(index)
    }

    fn close(&mut self) -> Result<(), String> {
        while let Some((id, ending)) =
            (self.endings.pop_front()).or_else(|| self.server.next_ending())
        {
            let index = self.link(id).ok_or("a connection ends twice")?;
            self.digest(u64::from(id.serial), &[ending as u8]);
            match ending {
                Ending::Fin => self.links[index].hear_fin()?,
                Ending::Close | Ending::Reset => {
                    let link = self.links.remove(index);
                    if !link.is_over() && !link.is_given_up() {
                        return Err("a connection ends for no reason".to_owned());
                    }
                    if ending == Ending::Reset && !link.may_be_reset() {
                        return Err(format!("a peaceful end is a reset: {link:?}"));
                    }
                    self.gone.push(id);
                }
            }
        }
        Ok(())
    }

    /// Folds bytes into the run's digest (FNV-1a).
    pub(super) fn digest(&mut self, who: u64, bytes: &[u8]) {
        const PRIME: u64 = 0x0000_0100_0000_01B3;
        self.digest = (self.digest ^ who).wrapping_mul(PRIME);
        for byte in bytes {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }

    /// The reports since last asked.
    pub(super) fn reports(&mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        while let Some(report) = self.server.next_report() {
            if report.what.is_notice() {
                continue;
            }
            reports.push(report);
        }
        reports
    }

    /// The server is told to stop, and another is started with a new secret, which still knows
    /// the one before.
    pub(super) fn restart(&mut self) -> Result<(), String> {
        self.server.shut_down(self.now);
        self.follow_shutdown()?;
        let peer = Peer::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        if self.server.accept(self.now, peer).is_some() {
            return Err("somebody is let in at the end".to_owned());
        }
        self.turn()?;
        self.pass_time(STOP_PATIENCE + self.config.linger + Duration::from_millis(40))?;
        self.stopping_since = None;
        if self.server.connections() != 0 || !self.links.is_empty() {
            return Err("somebody is still there after the end".to_owned());
        }
        self.people.generation += 1;
        self.jobs.clear();
        self.people.forget_pending(self.now.monotonic);
        self.gone.clear();
        self.hostile.clear();
        self.budgets = Budgets::new(&self.config);
        self.server = server(&self.config, &self.people)?;
        Ok(())
    }

    /// The tokens that peers were given are good, unless their time is over or the clock was set.
    fn take_gifts(&mut self, index: usize) -> Result<(), String> {
        for text in std::mem::take(&mut self.links[index].gifts) {
            let keys = keys_of(self.people.generation).ok_or("no keys")?;
            let mut verifier = Verifier::new(keys, ClaimRules::default());
            match verifier.verify(&text, self.now.unix) {
                Ok(verified) => {
                    self.links[index].pass = Some(Pass {
                        user: user_of(verified.subject()),
                        issued_at: verified.issued_at().0,
                        expires_at: verified.expires_at().0,
                        made: Made::Signed(self.people.generation),
                        text,
                    });
                }
                Err(TokenError::Expired | TokenError::IssuedAhead) => {}
                Err(error) => return Err(format!("a token was given that is not: {error:?}")),
            }
        }
        Ok(())
    }
}

/// A server over the users, with the keys of their generation.
fn server(config: &Config, people: &People) -> Result<Server, String> {
    let keys = keys_of(people.generation).ok_or("no keys")?;
    let store = people.connect();
    Ok(Server::build(
        config.clone(),
        keys,
        store,
        Events::builtin(),
        7,
    ))
}

/// Small bounds, so that they are met. How it is read may change what is held in memory, and so
/// who goes when that is short: where reads are cut, it is not.
fn config(choice: &mut Choice<'_>, reads: Reads) -> Config {
    let mut config = Config {
        password_memory_kib: crate::limits::PASSWORD_MEMORY_KIB_MIN,
        token_ttl: Duration::from_secs(TOKEN_TTL_SECONDS),
        message_bytes_max: 2_048,
        message_before_login_bytes_max: 1_024,
        ..Config::default()
    };
    config.connections_max = choice.pick(&[6, 20, 40]);
    config.pending_max = choice.pick(&[3, 8, 40]).min(config.connections_max);
    config.connections_per_address_max = choice.pick(&[0, 4, 30]);
    config.pending_per_address_max = choice.pick(&[0, 3, 30]);
    config.outbox_bytes_max = choice.pick(&[4_096, 16_384, 262_144]);
    config.connections_per_user_max = choice.pick(&[0, 2, 5, 32]);
    config.broadcast_rate.count = choice.pick(&[0, 500, 64 * 1_024]);
    config.broadcast_burst_bytes = choice.pick(&[1, 2_000, 256 * 1_024]);
    config.delivery_rate.count = choice.pick(&[0, 20, 20_000]);
    config.delivery_burst = choice.pick(&[1, 40, 40_000]);
    // Room for what one peer may hold and for every connection, and for so much more.
    let peer = 2 * config.message_bytes_max + config.outbox_bytes_max + 1_024 + READ_BYTES_MAX;
    let needed = peer + config.connections_max * CONNECTION_BYTES;
    let more = choice.pick(&[0, 14 * 1_024, 240 * 1_024, 32 * 1_024 * 1_024]);
    let memory = (needed + more) * MEMORY_RESERVE_PARTS / (MEMORY_RESERVE_PARTS - 1) + 8;
    config.memory_bytes_max = match reads {
        Reads::Whole => memory,
        Reads::Roomy | Reads::Cut(_) => usize::MAX / 2,
    };
    config.frame_burst = choice.pick(&[6, 200, 200]);
    config.ban_after = choice.pick(&[0, 0, 1, 5, 20]);
    config.connect_rate.count = choice.pick(&[0, 0, 100]);
    config.require_handshake_token = choice.chance(10);
    if choice.chance(30) {
        config.trusted_proxies = "10.1.0.0/16".parse().unwrap_or_default();
        config.proxy_protocol = choice.chance(50);
    }
    config.login_rate.count = choice.pick(&[0, 10, 1_000]);
    config
}
