//! The log: one line an event on standard error, escaped, bounded in length and in number.
//!
//! ```text
//! 2026-11-24T10:20:30Z WARN refused connection=12 peer=203.0.113.7 reason=bad_signature
//! ```
//!
//! Promises that no text of a peer can pass for a line or a word of ours (contract §5.9), whatever
//! stands in it: each character that is not printable is escaped here, in every line, since the
//! reader may be a terminal. [`quoted`] also keeps one value from looking like two. Refuses to know
//! what is logged.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::{Mutex, OnceLock, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};

use super::clock::Clock;
use super::log_writer::LogWriter;
use crate::config::Rate;
use crate::limits::{LOG_DRAIN_TIMEOUT, LOG_LINE_BYTES_MAX, LOG_VALUE_BYTES_MAX};
use crate::time::{Instant, UnixSeconds};

/// The target of lines that peers cause in any number: `LOG_RATE` is for them, and for no others.
pub(super) const PEERS: &str = concat!(env!("CARGO_CRATE_NAME"), "::peers");

/// What stands after a text that was cut.
const CUT: &str = "...";

/// The writer of the log, once [`install`] has started it.
static WRITER: OnceLock<LogWriter> = OnceLock::new();

/// Sends what is logged from now on to standard error, unless that is done already.
///
/// # Errors
/// When the thread that writes cannot be started.
pub fn install(level: LevelFilter, rate: Rate) -> io::Result<()> {
    if WRITER.get().is_some() {
        return Ok(());
    }
    let started = LogWriter::start()?;
    let writer = WRITER.get_or_init(|| started);
    let logger = Logger {
        clock: Clock::start(),
        throttle: Mutex::new(Throttle::new(rate)),
        writer: writer.clone(),
    };
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level);
    }
    Ok(())
}

/// Puts the last line of a process on standard error, after all that was logged. Waits for its
/// reader no longer than [`LOG_DRAIN_TIMEOUT`].
pub fn say_last(line: fmt::Arguments<'_>) {
    match WRITER.get() {
        Some(writer) => {
            writer.push(|_| format!("{line}\n"));
            writer.drain(LOG_DRAIN_TIMEOUT);
        }
        // When standard error is gone, there is nowhere left to say it.
        None => _ = writeln!(io::stderr(), "{line}"),
    }
}

/// Shows a value of `key=value` that is not one of our own words: in quotes and escaped, so that
/// nothing in it passes for a field or a line of ours; cut at [`LOG_VALUE_BYTES_MAX`], with dots
/// after it.
pub fn quoted(value: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        let shown = cut(value, LOG_VALUE_BYTES_MAX);
        write!(f, "\"{}\"", shown.escape_debug())?;
        match shown.len() == value.len() {
            true => Ok(()),
            false => f.write_str(CUT),
        }
    })
}

/// True for a character that moves no cursor, turns no direction, joins nothing and takes up room.
/// Quotes and backslashes stay: [`quoted`] has escaped those that matter.
fn is_printable(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1
}

/// Returns the longest start of `text` of at most `bytes_max` bytes that ends between characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The log of the process.
struct Logger {
    clock: Clock,
    throttle: Mutex<Throttle>,
    writer: LogWriter,
}

impl Logger {
    /// True when the line may be written. Only those that peers cause count against the rate: their
    /// flood must not drop a line about the server itself.
    fn admits(&self, record: &Record<'_>) -> bool {
        record.target() != PEERS
            || self
                .throttle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .admits(self.clock.monotonic())
    }
}

impl Log for Logger {
    /// True for our own lines. Other crates log raw bytes of peers.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata.target())
    }

    /// Writes a line, or counts it as dropped.
    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        match self.admits(record) {
            true => self
                .writer
                .push(|dropped| line(record, self.clock.now().unix, dropped)),
            false => self.writer.count_dropped(),
        }
    }

    /// Waits until all is written, but no longer than [`LOG_DRAIN_TIMEOUT`].
    fn flush(&self) {
        self.writer.drain(LOG_DRAIN_TIMEOUT);
    }
}

/// True for a target of this crate: a crate whose name only begins with ours is another.
fn is_ours(target: &str) -> bool {
    let ours = env!("CARGO_CRATE_NAME");
    target
        .strip_prefix(ours)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Lets so many lines through in each period.
struct Throttle {
    rate: Rate,
    /// When the period began.
    began: Instant,
    /// Lines of this period; ≤ `rate.count` unless that is 0.
    written: u32,
}

impl Throttle {
    /// A throttle that has let nothing through yet; a rate of 0 lets all through.
    fn new(rate: Rate) -> Throttle {
        Throttle {
            rate,
            began: Instant::ORIGIN,
            written: 0,
        }
    }

    /// Counts a line. Returns false when the period has had its share.
    fn admits(&mut self, now: Instant) -> bool {
        if now.since(self.began) >= self.rate.period {
            self.began = now;
            self.written = 0;
        }
        if self.rate.count > 0 && self.written >= self.rate.count {
            return false;
        }
        self.written = self.written.saturating_add(1);
        true
    }
}

/// Makes a whole line, with its line feed. `dropped` lines are told of at its end, which a long
/// line does not push out.
fn line(record: &Record<'_>, at: UnixSeconds, dropped: u64) -> String {
    let tail = match dropped {
        0 => String::new(),
        _ => format!(" lines_dropped={dropped}"),
    };
    let mut line = Line {
        text: String::with_capacity(LOG_LINE_BYTES_MAX + 1),
        bytes_max: LOG_LINE_BYTES_MAX - tail.len(),
    };
    // A full line refuses the rest, as it should.
    let _ = write!(line, "{at} {} {}", record.level(), record.args());
    line.text.push_str(&tail);
    line.text.push('\n');
    line.text
}

/// A line that escapes what is written to it, and takes no more than it has room for.
struct Line {
    text: String,
    bytes_max: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match is_printable(c) {
                true => self.text.push(c),
                false => self.text.extend(c.escape_debug()),
            }
            if self.text.len() > self.bytes_max {
                let kept = cut(&self.text, self.bytes_max - CUT.len()).len();
                self.text.truncate(kept);
                self.text.push_str(CUT);
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PER_SECOND: Rate = Rate {
        count: 2,
        period: Duration::from_secs(1),
    };

    fn line_of(message: fmt::Arguments<'_>, dropped: u64) -> String {
        let record = Record::builder()
            .args(message)
            .level(log::Level::Warn)
            .target("framegate::server")
            .build();
        line(&record, UnixSeconds(1_795_515_630), dropped)
    }

    #[test]
    fn a_line_has_its_date_its_level_and_its_event() {
        assert_eq!(
            line_of(format_args!("refused connection={}", 12), 0),
            "2026-11-24T10:20:30Z WARN refused connection=12\n"
        );
    }

    #[test]
    fn hostile_text_stays_on_its_line_and_moves_nothing() {
        let hostile = "\r\n\0\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{2066}\u{200b}\u{feff}\u{2028}\u{a0}\u{301}\u{e0041}é漢";
        assert_eq!(
            line_of(format_args!("{hostile}"), 0),
            "2026-11-24T10:20:30Z WARN \\r\\n\\0\\u{1b}[2J\\u{7f}\\u{9b}\\u{202e}\\u{2066}\\u{200b}\
             \\u{feff}\\u{2028}\\u{a0}\\u{301}\\u{e0041}é漢\n"
        );
    }

    #[test]
    fn what_was_escaped_is_not_escaped_again() {
        let line = line_of(format_args!("refused id={}", quoted("a \"b\"\n\\")), 0);
        assert!(
            line.ends_with("refused id=\"a \\\"b\\\"\\n\\\\\"\n"),
            "{line}"
        );
    }

    #[test]
    fn a_line_has_its_bytes_and_not_one_more() {
        let head = line_of(format_args!(""), 0).len() - 1;
        let fits = "x".repeat(LOG_LINE_BYTES_MAX - head);
        let line = line_of(format_args!("{fits}"), 0);
        assert_eq!(line.len(), LOG_LINE_BYTES_MAX + 1);
        assert!(line.ends_with("xxx\n"));

        let line = line_of(format_args!("{fits}x"), 0);
        assert_eq!(line.len(), LOG_LINE_BYTES_MAX + 1);
        assert!(line.ends_with("xxx...\n"));

        for start in 0..8 {
            let wide = format!("{}{}", "x".repeat(start), "漢\u{202e}".repeat(5_000));
            let line = line_of(format_args!("{wide}"), u64::MAX);
            assert!(line.len() <= LOG_LINE_BYTES_MAX + 1);
            assert!(
                line.ends_with("... lines_dropped=18446744073709551615\n"),
                "{line}"
            );
        }
    }

    #[test]
    fn a_value_that_is_not_ours_stands_in_quotes_whatever_it_is() {
        for (value, shown) in [
            ("alice", "\"alice\""),
            ("é", "\"é\""),
            ("", "\"\""),
            ("a=b c", "\"a=b c\""),
            ("a\" reason=x", "\"a\\\" reason=x\""),
            ("a\nreason=x", "\"a\\nreason=x\""),
            ("\u{202e}", "\"\\u{202e}\""),
        ] {
            assert_eq!(quoted(value).to_string(), shown);
        }
    }

    #[test]
    fn a_value_has_its_bytes_and_then_dots() {
        let longest = "v".repeat(LOG_VALUE_BYTES_MAX);
        assert_eq!(quoted(&longest).to_string(), format!("\"{longest}\""));
        assert_eq!(
            quoted(&format!("{longest}v")).to_string(),
            format!("\"{longest}\"...")
        );
        let wide = "é".repeat(LOG_VALUE_BYTES_MAX);
        let shown = quoted(&wide).to_string();
        assert_eq!(shown.len(), LOG_VALUE_BYTES_MAX + "\"\"".len() + CUT.len());
    }

    #[test]
    fn lines_over_the_rate_are_not_let_through() {
        let mut throttle = Throttle::new(PER_SECOND);
        for (micros, admits) in [
            (0, true),
            (1, true),
            (2, false),
            (999_999, false),
            (1_000_000, true),
            (1_000_001, true),
            (1_000_002, false),
            (9_000_000, true),
        ] {
            assert_eq!(throttle.admits(Instant::from_micros(micros)), admits);
        }
    }

    fn logged(logger: &Logger, target: &str, message: &str) {
        let record = |message: fmt::Arguments<'_>| {
            logger.log(&Record::builder().args(message).target(target).build());
        };
        record(format_args!("{message}"));
    }

    #[test]
    fn the_rate_is_for_lines_that_peers_cause_and_what_it_drops_is_told() {
        let logger = Logger {
            clock: Clock::start(),
            throttle: Mutex::new(Throttle::new(Rate {
                count: 2,
                period: Duration::from_secs(3_600),
            })),
            writer: LogWriter::default(),
        };
        for _ in 0..60 {
            logged(&logger, PEERS, "refused");
            logged(&logger, "framegate::driver", "banned");
        }
        let lines = logger.writer.pending();
        let with = |word: &str| lines.iter().filter(|line| line.contains(word)).count();
        assert_eq!((with("refused"), with("banned")), (2, 60));
        assert!(lines[4].ends_with("banned lines_dropped=1\n"), "{lines:?}");
    }

    #[test]
    fn a_rate_of_none_drops_nothing() {
        let mut throttle = Throttle::new(Rate {
            count: 0,
            ..PER_SECOND
        });
        for _ in 0..10_000 {
            assert!(throttle.admits(Instant::ORIGIN));
        }
    }

    #[test]
    fn only_our_own_lines_are_logged() {
        assert!(is_ours("framegate"));
        assert!(is_ours("framegate::driver"));
        assert!(!is_ours("tungstenite::protocol"));
        assert!(!is_ours("framegated"));
    }
}
