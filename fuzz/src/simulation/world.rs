//! A server, its driver, its clocks and its peers, all in one thread and one choice after the
//! other. What a step must come to is in `model_connections`, and by when in `model_deadlines`.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::iter::repeat_n;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use framegate::internals::app::Events;
use framegate::internals::app::password::HashJob;
use framegate::internals::config::Config;
use framegate::internals::gate::{ClaimRules, TokenError, Verifier};
use framegate::internals::limits::STOP_PATIENCE;
use framegate::internals::server::{
    CloseCause, ConnectionId, Ending, LoginFailure, Peer, Report, ReportKind, Server,
};
use framegate::internals::time::{Instant, Now, UnixSeconds};
use framegate::internals::turn::Turn;

use super::Reads;
use super::arrival::{ARRIVAL_BYTES_MAX, Coming, Undecided, Unheard};
use super::budgets::Budgets;
use super::choice::Choice;
use super::link::{Link, PeerKind, Stage};
use super::logouts::Writer;
use super::model_connections::is_presentable;
use super::outputs::Outputs;
use super::people::{Made, People, VerifiedToken, user_of};
use super::secrets::keys_of;
use super::settings::config;
use super::sockets::{DISCARD_BYTES_MAX, LISTENERS, Sockets};
use super::tapped::Tapped;

/// After how many turns the core counts itself again, where a run has thousands of them.
const AUDIT_INTERVAL: u64 = 4;
/// And where it has some tens: it is counted again at the end of these too.
const AUDIT_INTERVAL_OF_BYTES: u64 = 16;

/// What a peer may still send that is over: once it is more than is dropped at once, and once more
/// than is dropped when it is closed as well.
const UNWANTED_BYTES: [usize; 4] = [60, DISCARD_BYTES_MAX, DISCARD_BYTES_MAX + 60, 20_000];

const START: UnixSeconds = UnixSeconds(1_800_000_000);

pub(super) struct World<'a> {
    pub(super) choice: Choice<'a>,
    /// How a piece that arrives is cut further, if it is: by choices of its own, so that all else
    /// stays as it was.
    pub(super) cuts: Option<Choice<'a>>,
    pub(super) config: Config,
    pub(super) turn: Turn<Sockets>,
    pub(super) sockets: Sockets,
    pub(super) people: People,
    pub(super) budgets: Budgets,
    pub(super) now: Now,
    /// Connections whose descriptors there are, in the order they were accepted in.
    pub(super) links: Vec<Link>,
    /// Connections there were.
    pub(super) gone: Vec<ConnectionId>,
    /// Passwords the helper thread has yet to check, and for whom.
    pub(super) jobs: VecDeque<(HashJob, ConnectionId, Ipv4Addr)>,
    /// Where those come from who said something, by the connection's serial.
    pub(super) addresses: BTreeMap<u32, Ipv4Addr>,
    /// Hostile failures by address, as they were reported.
    pub(super) hostile: BTreeMap<Ipv4Addr, u32>,
    pub(super) next_nonce: u32,
    /// When the users last changed, or the store last failed.
    pub(super) disturbed_at: Instant,
    /// True when another world must come to the same.
    pub(super) is_compared: bool,
    /// When the server was told to stop.
    pub(super) stopping_since: Option<Instant>,
    /// All that came out so far: by connection, what it heard, how it ended, and what was reported.
    digests: BTreeMap<u32, [u64; 3]>,
    /// The same in one number.
    pub(super) digest: u64,
    /// Turns taken.
    pub(super) turns: u64,
    /// After how many of them the core counts itself again.
    pub(super) audit_interval: u64,
    /// Who comes next at each listener, until it is accepted.
    pub(super) newcomers: [VecDeque<(Ipv4Addr, PeerKind)>; LISTENERS],
    /// True in the runs in which more goes wrong with those who come and with those who are over.
    pub(super) is_harsh: bool,
    /// What comes of each peer in this turn, by the connection's serial.
    pub(super) coming: BTreeMap<u32, Coming>,
    /// Who sent its FIN while what it said before waited, in the turns that are taken at the moment.
    pub(super) left_early: Vec<ConnectionId>,
    /// Of which connection something is read and not decided on in whole.
    pub(super) undecided: Option<Undecided>,
    /// What the log was told that is no line for it.
    is_unfit_for_log: Option<String>,
    /// What the core had for the outside and nobody has looked at yet.
    pub(super) outputs: Outputs,
    /// Reports of meanwhile.
    pub(super) collected: Vec<Report>,
    pub(super) unheard: Vec<Unheard>,
    /// What ended in a turn that the model does not know yet.
    pub(super) endings: VecDeque<(ConnectionId, Ending)>,
    /// What the core's tap was told, in harsh runs.
    pub(super) tapped: Tapped,
    /// The helper thread that writes to the store.
    pub(super) writer: Writer,
    /// Bytes held at the most while what a peer said was decided on.
    pub(super) pressed_bytes: usize,
}

impl<'a> World<'a> {
    pub(super) fn new(mut choice: Choice<'a>, reads: Reads) -> Result<Self, String> {
        let (config, run) = config(&mut choice, reads);
        let cuts = match reads {
            Reads::Whole | Reads::Roomy => None,
            Reads::Cut(seed) => Some(Choice::Seed(seed)),
        };
        let audit_interval = match choice {
            Choice::Bytes(_) => AUDIT_INTERVAL_OF_BYTES,
            Choice::Seed(_) | Choice::Noted { .. } => AUDIT_INTERVAL,
        };
        let people = People::new();
        let is_harsh = run.is_harsh && reads == Reads::Whole;
        let tapped = Tapped::default();
        Ok(World {
            turn: turn(&config, &people, is_harsh.then_some(&tapped))?,
            sockets: Sockets::default(),
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
            is_compared: reads != Reads::Whole,
            stopping_since: None,
            digests: BTreeMap::new(),
            digest: 0,
            turns: 0,
            audit_interval,
            newcomers: Default::default(),
            is_harsh,
            coming: BTreeMap::new(),
            left_early: Vec::new(),
            undecided: None,
            is_unfit_for_log: None,
            outputs: Outputs::default(),
            collected: Vec::new(),
            unheard: Vec::new(),
            endings: VecDeque::new(),
            tapped: tapped.clone(),
            writer: Writer::new(run.is_store_late && reads == Reads::Whole),
            pressed_bytes: 0,
        })
    }

    /// The world is over, and its turn is kept for the next one.
    pub(super) fn leave(self) {
        SPARE.set(Some(self.turn));
    }

    pub(super) fn link(&self, id: ConnectionId) -> Option<usize> {
        self.links.iter().position(|link| link.id == id)
    }

    pub(super) fn is_proxy(&self, address: Ipv4Addr) -> bool {
        self.config.trusted_proxies.contains(IpAddr::V4(address))
    }

    // Inputs.

    /// A peer sends its FIN: perhaps right after words, perhaps after words that nobody wants.
    pub(super) fn finish(&mut self, index: usize) -> Result<(), String> {
        let id = self.links[index].id;
        let link = &mut self.links[index];
        let is_first = !std::mem::replace(&mut link.end.borrow_mut().has_finished, true);
        let is_heard = is_first && !link.is_broken();
        let coming = if is_heard && link.is_read_no_more() {
            let bytes = match self.is_harsh {
                true => self.choice.pick(&UNWANTED_BYTES),
                false => UNWANTED_BYTES[0],
            };
            let mut end = link.end.borrow_mut();
            end.receive(repeat_n(0x81, bytes));
            link.has_flooded = end.arrived.len() > DISCARD_BYTES_MAX;
            Coming::Fin
        } else if is_heard && link.has_last_words() && !self.is_compared {
            let last = link.next_piece(ARRIVAL_BYTES_MAX);
            link.end.borrow_mut().receive(last);
            Coming::LastBytes
        } else {
            Coming::Fin
        };
        self.come(index, coming);
        self.turn()?;
        if let Some(index) = self.link(id) {
            self.links[index].note_finished();
        }
        Ok(())
    }

    pub(super) fn reset(&mut self, index: usize) -> Result<(), String> {
        self.links[index].end.borrow_mut().has_failed = true;
        if self.is_harsh && self.choice.chance(40) {
            // The server hears of it when it next asks the socket for something, or for the last thing.
            let mut end = self.links[index].end.borrow_mut();
            end.has_failed = self.choice.chance(50);
            end.fails_to_shut = true;
            drop(end);
            return self.turn();
        }
        let (id, stage) = (self.links[index].id, self.links[index].stage);
        self.come(index, Coming::Reset);
        match stage {
            Stage::Over(_) => self.cut(index),
            Stage::LoggingOut { .. } => self.check_leaving(id, true)?,
            _ => {}
        }
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
        while let Some(next) = self.next_at().filter(|next| *next <= until) {
            if is_late && next <= self.now.monotonic {
                return Err("the loop would spin: a deadline stays in the past".to_owned());
            }
            is_late = next <= self.now.monotonic;
            self.move_to(next.max(self.now.monotonic + Duration::from_micros(1)))?;
        }
        self.move_to(until.max(self.now.monotonic))
    }

    fn next_at(&self) -> Option<Instant> {
        let due = [self.turn.next_at(), self.writer.next_at()];
        due.into_iter().flatten().min()
    }

    pub(super) fn move_to(&mut self, at: Instant) -> Result<(), String> {
        let passed = at.since(self.now.monotonic) + self.now.fraction;
        self.now.monotonic = at;
        self.now.unix = self.now.unix.plus(passed.as_secs());
        self.now.fraction = Duration::from_nanos(u64::from(passed.subsec_nanos()));
        self.answer_from_store()?;
        for index in 0..self.links.len() {
            if self.links[index].wants_writable {
                self.links[index].wants_writable = false;
                self.tell_writable(index);
            }
        }
        self.turn()
    }

    /// What else the log is told.
    pub(super) fn note_log(&mut self) -> Result<(), String> {
        self.take_outputs();
        self.is_unfit_for_log.take().map_or(Ok(()), Err)
    }

    /// Whether the report is of a peer that takes too little.
    pub(super) fn is_too_slow(&self, index: usize, report: &Report) -> bool {
        let is_slow = report.what == ReportKind::Refused(CloseCause::SlowReader);
        is_slow && self.links[index].stalled_since.is_some()
    }

    /// Whether the report is of a peer whose socket has failed, as the server found out by itself.
    pub(super) fn is_left_unsaid(&self, report: &Report) -> bool {
        let index = self.link(report.connection);
        let is_due = |index| self.is_due(index, CloseCause::PeerLeft);
        report.what == ReportKind::Closed(CloseCause::PeerLeft) && index.is_some_and(is_due)
    }

    pub(super) fn hear(&mut self, index: usize, bytes: &[u8]) -> Result<(), String> {
        let link = &mut self.links[index];
        let heard = link.hear(bytes, self.now.monotonic);
        heard.map_err(|broken| format!("{broken}: {link:?}"))?;
        self.take_new_tokens(index)
    }

    /// Which connection hears, ends or is reported otherwise in another world.
    pub(super) fn difference(&self, other: &World<'_>) -> Option<String> {
        let serials = self.digests.keys().chain(other.digests.keys());
        let serial = serials
            .filter(|serial| self.digests.get(serial) != other.digests.get(serial))
            .min()?;
        let parts = |world: &World<'_>| world.digests.get(serial).copied().unwrap_or_default();
        let differing = parts(self).into_iter().zip(parts(other));
        let what = ["hears", "ends", "is reported"].into_iter().zip(differing);
        let what: Vec<&str> = what
            .filter(|(_, (a, b))| a != b)
            .map(|(what, _)| what)
            .collect();
        Some(format!(
            "connection {serial} {} otherwise",
            what.join(" and ")
        ))
    }

    /// The connection has heard these bytes.
    pub(super) fn digest_bytes(&mut self, id: ConnectionId, bytes: &[u8]) {
        self.fold(id, 0, bytes);
    }

    /// The connection has ended.
    pub(super) fn digest_ending(&mut self, id: ConnectionId, ending: Ending) {
        self.fold(id, 1, &[ending as u8]);
    }

    /// This was reported of the connection. By which of an address's connections a ban is earned
    /// depends on which is decided on first, and so on how they are read.
    pub(super) fn digest_report(&mut self, report: &Report) {
        if self.is_compared && matches!(report.what, ReportKind::Banned(_)) {
            return;
        }
        let text = format!("{:?}", report.what);
        self.fold(report.connection, 2, text.as_bytes());
    }

    fn fold(&mut self, id: ConnectionId, part: usize, bytes: &[u8]) {
        let parts = self.digests.entry(id.serial).or_insert([FNV_OFFSET; 3]);
        let part = &mut parts[part];
        let folded = fold(*part, bytes);
        // A sum, so that it is the same in whatever order they hear.
        let name = |part: u64| fold(part, &id.serial.to_be_bytes());
        let change = name(folded).wrapping_sub(name(*part));
        self.digest = self.digest.wrapping_add(change);
        *part = folded;
    }

    /// The reports since last asked.
    pub(super) fn reports(&mut self) -> Vec<Report> {
        let mut reports = std::mem::take(&mut self.collected);
        self.take_outputs();
        for report in self.outputs.reports.drain(..) {
            self.is_unfit_for_log = self
                .is_unfit_for_log
                .take()
                .or(is_presentable(&report).err());
            // A login past its rate ends nothing, and is judged by its answer.
            let is_limited = report.what == ReportKind::LoginFailed(LoginFailure::LoginRate);
            if !report.what.is_notice() && !is_limited {
                reports.push(report);
            }
        }
        reports
    }

    /// The server is told to stop, and another is started with a new secret, which still knows
    /// the one before.
    pub(super) fn restart(&mut self) -> Result<(), String> {
        self.turn.stop(self.now);
        self.check_shutdown()?;
        let peer = Peer::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        self.sockets.coming[0].push_back(peer);
        self.turn.listener_ready(0);
        self.turn()?;
        if self.is_harsh {
            self.ask_one_that_stops()?;
        }
        // A server that stops waits for the helper thread.
        self.writer.hurry(self.now.monotonic);
        self.answer_from_store()?;
        self.pass_time(STOP_PATIENCE + self.config.linger + Duration::from_millis(40))?;
        self.stopping_since = None;
        if self.sockets.coming[0].pop_front().is_none() {
            return Err("somebody is let in at the end".to_owned());
        }
        if self.turn.core.connections() != 0 || !self.links.is_empty() {
            return Err("somebody is still there after the end".to_owned());
        }
        self.people.generation += 1;
        self.jobs.clear();
        self.outputs = Outputs::default();
        self.writer.forget();
        self.people.forget_pending(self.now.monotonic);
        self.gone.clear();
        self.hostile.clear();
        self.budgets = Budgets::new(&self.config);
        self.tapped = Tapped::default();
        let tapped = self.is_harsh.then_some(&self.tapped);
        self.turn = turn(&self.config, &self.people, tapped)?;
        Ok(())
    }

    /// What was begun to be asked is asked of a server that stops.
    fn ask_one_that_stops(&mut self) -> Result<(), String> {
        let is_asking = |link: &&Link| link.stage == Stage::Asking;
        let asking = self.links.iter().filter(is_asking).map(|link| link.id);
        for id in asking.collect::<Vec<_>>() {
            if let Some(index) = self.link(id) {
                self.deliver(index, usize::MAX)?;
            }
        }
        Ok(())
    }

    /// The tokens that peers were given are good, unless their time is over or the clock was set.
    fn take_new_tokens(&mut self, index: usize) -> Result<(), String> {
        for text in std::mem::take(&mut self.links[index].new_tokens) {
            let keys = keys_of(self.people.generation).ok_or("no keys")?;
            let mut verifier = Verifier::new(keys, ClaimRules::default());
            match verifier.verify(&text, self.now.unix) {
                Ok(verified) => {
                    self.links[index].pass = Some(VerifiedToken {
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

thread_local! {
    /// The turn of a world that is over: its read buffer takes longer to make than the rest of one.
    static SPARE: Cell<Option<Turn<Sockets>>> = const { Cell::new(None) };
}

/// A server over the users, with the keys of their generation, and its listeners.
fn turn(
    config: &Config,
    people: &People,
    tapped: Option<&Tapped>,
) -> Result<Turn<Sockets>, String> {
    let keys = keys_of(people.generation).ok_or("no keys")?;
    let (config, store) = (config.clone(), people.connect());
    let mut core = Server::build(config, keys, store, Events::builtin(), 7);
    core.set_tap(tapped.map(Tapped::tap));
    let core = core.into();
    Ok(match SPARE.take() {
        Some(spare) => spare.renewed(core, LISTENERS),
        None => Turn::new(core, LISTENERS),
    })
}

/// FNV-1a's, of 64 bits.
const FNV_OFFSET: u64 = 0xCBF2_9CE4_8422_2325;

fn fold(digest: u64, bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01B3;
    let step = |digest: u64, byte: &u8| (digest ^ u64::from(*byte)).wrapping_mul(PRIME);
    bytes.iter().fold(digest, step)
}
