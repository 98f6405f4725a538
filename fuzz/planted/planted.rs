//! The planted faults: which one is live, and how often the places of all of them are reached and
//! triggered. This file is the module `planted` of the copy that `fuzz/planted/run` makes, and of no
//! other program.
//!
//! After Magma (Hazimeh, Herrera, Payer: "Magma: A Ground-Truth Fuzzing Benchmark", 2020). A place in
//! the code is `planted::fault(N, condition)`. The place is *reached* when it runs. The fault is
//! *triggered* when the condition holds: then the faulty program decides otherwise at this place than
//! the sound one, though a later check may refuse the same. Only the fault that is [`LIVE`] does so. With none live the program is sound, and one run measures
//! all faults, since no fault hides another.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How many faults there are; they are counted from 1.
pub(crate) const FAULTS: usize = 37;

/// The fault that is live in this build, chosen when it begins; 0: none is, or the one that
/// `PLANTED_LIVE` says when the program begins, so that one build can be tried with each.
const BUILT: usize = match option_env!("PLANTED_FAULT") {
    Some(text) => number(text.as_bytes()),
    None => 0,
};

static LIVE: LazyLock<usize> = LazyLock::new(|| match BUILT {
    0 => variable("PLANTED_LIVE").map_or(0, |text| number(text.as_encoded_bytes())),
    built => built,
});

/// What is counted of a fault.
#[derive(Clone, Copy)]
pub(crate) enum Event {
    Reached,
    Triggered,
}

/// The names of the events in a report, in their order.
const EVENTS: [&str; 2] = ["reached", "triggered"];

/// Passes the place of the fault with this number. True when the program is to behave as the fault
/// says: the condition holds, and the fault is live.
pub(crate) fn fault(number: usize, condition: bool) -> bool {
    static REPORT: LazyLock<Report> = LazyLock::new(Report::open);
    REPORT.count(number, Event::Reached);
    if condition {
        REPORT.count(number, Event::Triggered);
    }
    condition && number == *LIVE
}

/// A file of lines, each `unix time<TAB>event<TAB>fault<TAB>count`, written at each power of two of a
/// count: so at the first, and seldom. Processes share it: a fuzzer forks its target, or starts it anew
/// after a crash. So the time is that of the wall clock, and who made the file knows when it began.
pub(crate) struct Report {
    /// `None`: nothing is told.
    path: Option<PathBuf>,
    /// By the number of the fault.
    counts: Vec<[AtomicU64; EVENTS.len()]>,
}

impl Report {
    /// The report that `PLANTED_REPORT` names, or else `planted.tsv` in the copy: a server that a test
    /// starts may have no environment. A unit test tells nothing.
    fn open() -> Report {
        let named = variable("PLANTED_REPORT").map(PathBuf::from);
        let of_copy = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("planted.tsv");
        Report::at(named.or_else(|| (!cfg!(test)).then(of_copy)))
    }

    /// A report that goes on where others left the file: what they told is not told again. A process that
    /// ends takes with it what it counted beyond its last line, so that times are right and counts are
    /// at the least what is told.
    pub(crate) fn at(path: Option<PathBuf>) -> Report {
        let mut counts: Vec<[AtomicU64; EVENTS.len()]> = Vec::new();
        counts.resize_with(FAULTS + 1, Default::default);
        let told = path.as_ref().and_then(|path| fs::read_to_string(path).ok());
        for line in told.unwrap_or_default().lines() {
            let mut words = line.split('\t').skip(1);
            let event = words
                .next()
                .and_then(|name| EVENTS.iter().position(|event| *event == name));
            let mut numbers = words.map(|word| word.parse().unwrap_or_default());
            let (fault, count) = (numbers.next().unwrap_or_default(), numbers.next());
            if let (Some(event), Some(events)) = (event, counts.get(fault as usize)) {
                events[event].fetch_max(count.unwrap_or_default(), Ordering::Relaxed);
            }
        }
        Report { path, counts }
    }

    /// Counts an event of a fault.
    pub(crate) fn count(&self, number: usize, event: Event) {
        let Some(counters) = self.counts.get(number) else {
            return;
        };
        let count = counters[event as usize].fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            self.tell(number, event, count);
        }
    }

    /// Writes one line. That a report cannot be written is no concern of the program's.
    #[expect(
        clippy::disallowed_methods,
        reason = "the clock is read for the report, and the program sees nothing of it"
    )]
    fn tell(&self, number: usize, event: Event, count: u64) {
        let Some(path) = &self.path else { return };
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = time.unwrap_or_default().as_secs_f64();
        let name = EVENTS[event as usize];
        let line = format!("{seconds:.3}\t{name}\t{number}\t{count}\n");
        let file = OpenOptions::new().append(true).create(true).open(path);
        // One write: lines of several processes do not mix.
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "no argument of the program can say it: the program must not change for it"
)]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// The number that decimal digits say.
const fn number(mut digits: &[u8]) -> usize {
    let mut number = 0;
    while let [digit, rest @ ..] = digits {
        number = 10 * number + digit.wrapping_sub(b'0') as usize;
        digits = rest;
    }
    number
}
