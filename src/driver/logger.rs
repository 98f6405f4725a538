//! The log: one line an event on standard error, escaped, bounded in length and in number.
//!
//! ```text
//! 2026-11-24T10:20:30Z WARN refused connection=12 peer=203.0.113.7 reason=bad_signature
//! ```
//!
//! Whatever a peer wrote may stand in a line, and a person reads it on a terminal: a character
//! that is not printable is escaped here, whoever logged it. [`escape`] also keeps one value
//! from looking like two.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use log::{LevelFilter, Log, Metadata, Record, SetLoggerError};

use super::clock::Clock;
use crate::config::Rate;
use crate::limits::{LOG_LINE_BYTES_MAX, LOG_VALUE_BYTES_MAX};
use crate::time::{Instant, UnixSeconds};

/// What is put behind a text that was cut.
const CUT: &str = "...";

/// Sends what is logged from now on to standard error.
///
/// # Errors
///
/// When a logger is installed already.
pub fn install(level: LevelFilter, rate: Rate) -> Result<(), SetLoggerError> {
    log::set_boxed_logger(Box::new(Logger {
        clock: Clock::start(),
        throttle: Mutex::new(Throttle::new(rate)),
    }))?;
    log::set_max_level(level);
    Ok(())
}

/// A value for `key=value`: as it is where that cannot be misread, quoted and escaped where it
/// could be, cut at [`LOG_VALUE_BYTES_MAX`] with dots behind it.
pub fn escape(value: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        let shown = cut(value, LOG_VALUE_BYTES_MAX);
        if !shown.is_empty() && shown.chars().all(is_plain) {
            f.write_str(shown)?;
        } else {
            write!(f, "\"{}\"", shown.escape_debug())?;
        }
        match shown.len() == value.len() {
            true => Ok(()),
            false => f.write_str(CUT),
        }
    })
}

fn is_plain(c: char) -> bool {
    !matches!(c, ' ' | '"' | '\'' | '=' | '\\') && is_printable(c)
}

/// What moves no cursor, turns no direction, joins nothing and takes up room.
fn is_printable(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1
}

/// The longest start of `text` of at most `bytes_max` bytes that ends between characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

struct Logger {
    clock: Clock,
    throttle: Mutex<Throttle>,
}

impl Log for Logger {
    /// Our own lines only: others log raw bytes of peers.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dropped) = throttle.admit(self.clock.monotonic()) {
            let line = line(record, self.clock.now().unix, dropped);
            // Standard error may be gone; there is nobody left to tell.
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

fn is_ours(target: &str) -> bool {
    let ours = env!("CARGO_CRATE_NAME");
    target
        .strip_prefix(ours)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Lets so many lines through in each period, and counts the others.
struct Throttle {
    rate: Rate,
    /// When the period began.
    began: Instant,
    /// Lines of this period; ≤ `rate.count` unless that is 0.
    written: u32,
    /// Lines dropped that no line has told of.
    dropped: u64,
}

impl Throttle {
    fn new(rate: Rate) -> Throttle {
        Throttle {
            rate,
            began: Instant::ORIGIN,
            written: 0,
            dropped: 0,
        }
    }

    /// Whether a line may be written, and then how many were dropped before it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if now.since(self.began) >= self.rate.period {
            self.began = now;
            self.written = 0;
        }
        if self.rate.count > 0 && self.written >= self.rate.count {
            self.dropped += 1;
            return None;
        }
        self.written = self.written.saturating_add(1);
        Some(std::mem::take(&mut self.dropped))
    }
}

/// A whole line with its line feed.
fn line(record: &Record<'_>, at: UnixSeconds, dropped: u64) -> String {
    let tail = match dropped {
        0 => String::new(),
        _ => format!(" lines_dropped={dropped}"),
    };
    let mut line = Line {
        text: String::with_capacity(LOG_LINE_BYTES_MAX + 1),
        bytes_max: LOG_LINE_BYTES_MAX - tail.len(),
    };
    // A full line refuses the rest, and that is what was wanted of it.
    let _ = write!(line, "{at} {} {}", record.level(), record.args());
    line.text.push_str(&tail);
    line.text.push('\n');
    line.text
}

/// A line that escapes what it is given, and takes no more than it has room for.
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
        let line = line_of(format_args!("refused id={}", escape("a \"b\"\n\\")), 0);
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
    fn a_plain_value_stands_bare_and_any_other_in_quotes() {
        for (value, shown) in [
            ("alice", "alice"),
            ("203.0.113.7:5000", "203.0.113.7:5000"),
            ("é", "é"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a=b", "\"a=b\""),
            ("a\nreason=x", "\"a\\nreason=x\""),
            ("\u{202e}", "\"\\u{202e}\""),
        ] {
            assert_eq!(escape(value).to_string(), shown);
        }
    }

    #[test]
    fn a_value_has_its_bytes_and_then_dots() {
        let longest = "v".repeat(LOG_VALUE_BYTES_MAX);
        assert_eq!(escape(&longest).to_string(), longest);
        assert_eq!(
            escape(&format!("{longest}v")).to_string(),
            format!("{longest}...")
        );
        let wide = "é".repeat(LOG_VALUE_BYTES_MAX);
        let shown = escape(&wide).to_string();
        assert_eq!(shown.len(), LOG_VALUE_BYTES_MAX + CUT.len());
    }

    #[test]
    fn lines_over_the_rate_are_dropped_and_told_by_the_next() {
        let mut throttle = Throttle::new(PER_SECOND);
        let at = Instant::from_micros;
        assert_eq!(throttle.admit(at(0)), Some(0));
        assert_eq!(throttle.admit(at(1)), Some(0));
        assert_eq!(throttle.admit(at(2)), None);
        assert_eq!(throttle.admit(at(999_999)), None);
        assert_eq!(throttle.admit(at(1_000_000)), Some(2));
        assert_eq!(throttle.admit(at(1_000_001)), Some(0));
        assert_eq!(throttle.admit(at(1_000_002)), None);
        assert_eq!(throttle.admit(at(9_000_000)), Some(1));
    }

    #[test]
    fn a_rate_of_none_drops_nothing() {
        let mut throttle = Throttle::new(Rate {
            count: 0,
            ..PER_SECOND
        });
        for _ in 0..10_000 {
            assert_eq!(throttle.admit(Instant::ORIGIN), Some(0));
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
