//! All the I/O: the mio loop, listeners, sockets, clocks, signals, the helper threads, the log.
//!
//! Waits for events and says which socket is ready. What is read, written and closed, and in which
//! order, the [turn](crate::turn) decides. Promises that nothing outside stops the loop: a disk, a
//! log that nobody reads or a password to check has a thread of its own (contract §5.7). Refuses to
//! know what bytes mean.

mod clock;
mod descriptors;
mod hasher;
mod lines;
mod listener;
mod log_writer;
pub mod logger;
mod network;
mod recording;
mod signals;
mod socket;
mod writer;

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Token};

use crate::app::users::UserWriter;
use crate::record::Recorded;
use crate::server::{Input, Output, StoreNews};
use crate::time::{Instant, Now};
use crate::turn::{READY_MAX, Readiness, Turn};

use clock::Clock;
use hasher::Hasher;
use lines::{Line, SummaryLine, level_of, target_of};
use network::{Network, SIGNALS, WAKER, listener_of};
use signals::Signals;
use writer::StoreWriter;

pub use descriptors::{address_space_limit, connections_possible};
pub use listener::{ListenError, Listener};
pub use recording::RecordingFile;
pub use signals::{HeldSignal, HeldSignals, outlive_file_size_limit};

/// How long the last connections may take once the server is told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);

/// The stack of a helper thread: more than SQLite and Argon2 need, and little where the address
/// space is limited.
const HELPER_STACK_BYTES: usize = 256 * 1024;

/// Serves until a signal says to stop.
///
/// # Errors
/// When the kernel refuses what the loop cannot do without.
pub fn run(
    server: Recorded,
    store: Box<dyn UserWriter>,
    listeners: Vec<Listener>,
) -> Result<(), DriverError> {
    let mut driver = Driver::new(server, store, listeners)?;
    driver.run()?;
    // Ends a recording with its last line.
    driver.turn.core.end();
    log::info!("stopped");
    Ok(())
}

/// The loop cannot start, or cannot go on.
#[derive(Debug)]
pub struct DriverError {
    doing: &'static str,
    error: io::Error,
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.doing, self.error)
    }
}

impl std::error::Error for DriverError {}

/// Makes an error that names what the driver was doing when the kernel refused.
fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> DriverError {
    move |error| DriverError { doing, error }
}

/// All that runs a server: the turn with its [`Io`](crate::turn::Io), the clock, the signals and
/// the helper threads.
struct Driver {
    turn: Turn<Network>,
    network: Network,
    clock: Clock,
    signals: Signals,
    hasher: Hasher,
    writer: StoreWriter,
    /// When the last connections have had their time; `None` until the server is told to stop.
    stop_by: Option<Instant>,
}

impl Driver {
    /// Starts the helper threads and the event queue.
    ///
    /// # Errors
    /// When the kernel refuses a descriptor or a thread.
    fn new(
        server: Recorded,
        store: Box<dyn UserWriter>,
        listeners: Vec<Listener>,
    ) -> Result<Driver, DriverError> {
        let turn = Turn::new(server, listeners.len());
        let mut signals = Signals::new().map_err(failed("listen for signals"))?;
        let network = Network::new(listeners, &mut signals)?;
        // A helper thread wakes the loop by it, which waits in `poll` and would not look otherwise.
        let waker = Arc::new(network.waker().map_err(failed("create the waker"))?);
        Ok(Driver {
            turn,
            network,
            clock: Clock::start(),
            signals,
            hasher: Hasher::start(Arc::clone(&waker)).map_err(failed("start a helper thread"))?,
            writer: StoreWriter::start(store, waker).map_err(failed("start a helper thread"))?,
            stop_by: None,
        })
    }

    /// Waits for events, takes a turn, hands out jobs and writes the log, until the server has
    /// stopped.
    ///
    /// # Errors
    /// When the kernel no longer lets the loop wait for events.
    fn run(&mut self) -> Result<(), DriverError> {
        let mut events = Events::with_capacity(READY_MAX);
        for listener in self.network.listeners() {
            log::info!("listening on {listener}");
        }
        let mut now = self.clock.now();
        loop {
            match self.network.wait(&mut events, self.timeout(now)) {
                // `poll` hands EINTR on. The signal's byte is in its pipe, so that the next call
                // returns at once.
                Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
                Err(error) => return Err(failed("wait for events")(error)),
                Ok(()) => {}
            }
            // Read once in a turn: all of it happens at one time.
            now = self.clock.now();
            for event in &events {
                self.take(now, event);
            }
            self.turn.run(now, &mut self.network);
            self.hand_out(now);
            if self.is_done(now) {
                return Ok(());
            }
        }
    }

    /// Returns how long to wait for events; `None` for as long as it takes.
    fn timeout(&self, now: Now) -> Option<Duration> {
        let next = [self.turn.next_at(), self.stop_by];
        let next = next.into_iter().flatten().min();
        next.map(|at| at.since(now.monotonic))
    }

    /// True once the server is told to stop, and no connection is left or [`STOP_TIMEOUT`] has
    /// passed.
    fn is_done(&self, now: Now) -> bool {
        self.stop_by
            .is_some_and(|by| self.turn.core.connections() == 0 || by <= now.monotonic)
    }

    /// Tells the turn, or the core, what an event says.
    fn take(&mut self, now: Now, event: &Event) {
        match event.token() {
            WAKER => self.take_outcomes(now),
            SIGNALS => self.take_signals(now),
            token => match listener_of(token) {
                Some(listener) => self.turn.listener_ready(listener),
                None => self.take_readiness(now, token, event),
            },
        }
    }

    /// Tells the turn for what a connection has become ready.
    fn take_readiness(&mut self, now: Now, Token(slot): Token, event: &Event) {
        let readiness = Readiness {
            readable: event.is_readable(),
            writable: event.is_writable(),
            peer_finished: event.is_read_closed(),
            has_urgent: event.is_priority(),
            has_failed: event.is_error(),
        };
        self.turn
            .connection_ready(now, &mut self.network, slot, readiness);
    }

    /// Tells the core what the helper threads have done.
    fn take_outcomes(&mut self, now: Now) {
        while let Some(outcome) = self.hasher.next_outcome() {
            self.turn.core.handle(now, Input::Hashed(outcome));
        }
        while let Some(outcome) = self.writer.next_outcome() {
            self.turn.core.handle(now, Input::Kept(outcome));
        }
    }

    /// Begins to stop the server; at a second signal stops it at once.
    fn take_signals(&mut self, now: Now) {
        if !self.signals.take() {
            return;
        }
        if self.stop_by.is_some() {
            // Told again: the connections that are left have no more time.
            self.stop_by = Some(now.monotonic);
            return;
        }
        log::info!(
            "stopping: {} connections are told to go",
            self.turn.core.connections()
        );
        self.stop_by = Some(now.monotonic + STOP_TIMEOUT);
        // The kernel refuses newcomers from here on.
        self.network.stop_listening();
        self.turn.stop(now);
    }

    /// Hands the helper threads and the log what the core has for them.
    fn hand_out(&mut self, now: Now) {
        while let Some(output) = self.turn.core.poll(now) {
            match output {
                Output::Hash(job) => self.hasher.hand_out(job),
                Output::Store(job) => self.writer.hand_out(job),
                Output::Summary(summary) => log::info!("{}", SummaryLine(&summary)),
                Output::StoreNews(news) => log_store_news(&news),
                Output::Report(report) => {
                    let (target, level) = (target_of(report.what), level_of(report.what));
                    log::log!(target: target, level, "{}", Line(&report));
                }
            }
        }
    }
}

fn log_store_news(news: &StoreNews) {
    match news {
        StoreNews::Failed(fault) => log::error!("no user can be confirmed: {fault}"),
        StoreNews::Remains(fault) => log::warn!("users still not confirmed: {fault}"),
        StoreNews::Answers => log::warn!("users can be confirmed again"),
    }
}
