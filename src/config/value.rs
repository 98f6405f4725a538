//! The texts that values are written as. Each function takes a text and gives the value, or
//! what would have been right.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;

use super::{Listen, Rate};
use crate::limits::{
    BYTE_RATE_MAX, ISSUER_BYTES_MAX, LISTENERS_MAX, ORIGINS_MAX, RATE_COUNT_MAX,
    UNIX_PATH_BYTES_MAX,
};
use crate::network::{Networks, NetworksError};

/// What would have been right, to go after "must be".
pub(super) type Expected = Cow<'static, str>;

const DURATION_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
const SIZE_UNITS: [(&str, u64); 4] = [
    ("", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// `true`, `false`, `1` or `0`.
pub(super) fn switch(text: &str) -> Result<bool, Expected> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("true or false".into()),
    }
}

/// A whole number.
pub(super) fn count<T: TryFrom<u64>>(text: &str, min: u64, max: u64) -> Result<T, Expected> {
    whole(text)
        .and_then(|number| within(number, min, max))
        .ok_or_else(|| format!("a whole number from {min} to {max}").into())
}

/// The mode of a file, in octal as chmod(1) takes it.
pub(super) fn mode(text: &str) -> Result<u32, Expected> {
    let is_octal = |byte: u8| matches!(byte, b'0'..=b'7');
    let is_mode = matches!(text.len(), 3 | 4) && text.bytes().all(is_octal);
    let mode = u32::from_str_radix(text, 8).ok();
    mode.filter(|mode| is_mode && *mode <= 0o777)
        .ok_or_else(|| "a mode in octal, such as 0660 or 600, from 0000 to 0777".into())
}

/// A duration such as `250ms`, `5s`, `30m` or `1h`, between bounds in milliseconds.
pub(super) fn duration(text: &str, min: u64, max: u64) -> Result<Duration, Expected> {
    measured(text, &DURATION_UNITS)
        .and_then(|millis| within(millis, min, max))
        .map(Duration::from_millis)
        .ok_or_else(|| duration_expected("", min, max))
}

/// A duration of whole seconds.
pub(super) fn seconds(text: &str, min: u64, max: u64) -> Result<Duration, Expected> {
    duration(text, min, max)
        .ok()
        .filter(|duration| duration.subsec_nanos() == 0)
        .ok_or_else(|| duration_expected("whole seconds, ", min, max))
}

fn duration_expected(also: &str, min: u64, max: u64) -> Expected {
    let (min, max) = (show_duration(min), show_duration(max));
    format!("a duration such as 250ms, 5s, 30m or 1h, {also}from {min} to {max}").into()
}

/// A size such as `64KiB`, `32MiB` or plain bytes.
pub(super) fn size<T: TryFrom<u64>>(text: &str, min: u64, max: u64) -> Result<T, Expected> {
    measured(text, &SIZE_UNITS)
        .and_then(|bytes| within(bytes, min, max))
        .ok_or_else(|| {
            let (min, max) = (show_size(min), show_size(max));
            format!("a size such as 4096, 64KiB or 32MiB, from {min} to {max}").into()
        })
}

/// A size that is whole KiB, in KiB; the bounds too.
pub(super) fn size_in_kib(text: &str, min: u32, max: u32) -> Result<u32, Expected> {
    let (min, max) = (u64::from(min) * 1_024, u64::from(max) * 1_024);
    let bytes: u64 = size(text, min, max)?;
    match bytes % 1_024 {
        0 => Ok((bytes / 1_024) as u32),
        _ => Err("a size in whole KiB, such as 19MiB".into()),
    }
}

/// A rate such as `100/s` or `10/min`, or `0` for none.
pub(super) fn rate(text: &str) -> Result<Rate, Expected> {
    let (number, unit) = text.split_once('/').unwrap_or((text, ""));
    let expected =
        || format!("a rate such as 100/s or 10/min, to {RATE_COUNT_MAX}; 0 turns the limit off");
    let count = count(number, 0, RATE_COUNT_MAX).map_err(|_| expected())?;
    let period = match unit {
        "s" => Duration::from_secs(1),
        "min" => Duration::from_secs(60),
        "" if text == "0" => Duration::from_secs(1),
        _ => return Err(expected().into()),
    };
    Ok(Rate { count, period })
}

/// A rate of bytes such as `64KiB/s`, or `0` for none.
pub(super) fn byte_rate(text: &str) -> Result<Rate, Expected> {
    let (bytes, unit) = text.split_once('/').unwrap_or((text, ""));
    let period = Duration::from_secs(1);
    measured(bytes, &SIZE_UNITS)
        .filter(|bytes| unit == "s" || (unit.is_empty() && *bytes == 0))
        .and_then(|bytes| within(bytes, 0, BYTE_RATE_MAX))
        .map(|count| Rate { count, period })
        .ok_or_else(|| {
            let max = show_size(BYTE_RATE_MAX);
            format!("bytes a second such as 64KiB/s, to {max}/s; 0 turns the limit off").into()
        })
}

/// The path of a file.
pub(super) fn path(text: &str) -> Result<PathBuf, Expected> {
    match text.is_empty() {
        true => Err("the path of a file".into()),
        false => Ok(PathBuf::from(text)),
    }
}

/// A string that a claim can hold; the empty text is none.
pub(super) fn claim(text: &str) -> Result<Option<String>, Expected> {
    match text.len() {
        0 => Ok(None),
        1..=ISSUER_BYTES_MAX => Ok(Some(text.to_owned())),
        _ => Err(format!("at most {ISSUER_BYTES_MAX} bytes").into()),
    }
}

/// A level of the log.
pub(super) fn level(text: &str) -> Result<LevelFilter, Expected> {
    match text {
        "error" => Ok(LevelFilter::Error),
        "warn" => Ok(LevelFilter::Warn),
        "info" => Ok(LevelFilter::Info),
        "debug" => Ok(LevelFilter::Debug),
        _ => Err("error, warn, info or debug".into()),
    }
}

/// Where to listen: one address or more, each once.
pub(super) fn listeners(text: &str) -> Result<Vec<Listen>, Expected> {
    let listeners = each(text, listener)?;
    match (1..=LISTENERS_MAX).contains(&listeners.len()) && all_differ(&listeners) {
        true => Ok(listeners),
        false => Err(format!("1 to {LISTENERS_MAX} addresses, each once").into()),
    }
}

fn listener(text: &str) -> Result<Listen, Expected> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path.len() {
            1..=UNIX_PATH_BYTES_MAX => Ok(Listen::Unix(PathBuf::from(path))),
            _ => Err(format!("unix: and a path of 1 to {UNIX_PATH_BYTES_MAX} bytes").into()),
        };
    }
    text.parse::<SocketAddr>().map(Listen::Tcp).map_err(|_| {
        "an IP address and a port, such as 127.0.0.1:7420 or [::1]:7420, or unix:/path".into()
    })
}

/// Networks in CIDR form; the empty text is none.
pub(super) fn networks(text: &str) -> Result<Networks, Expected> {
    text.parse()
        .map_err(|error: NetworksError| format!("a list of networks; {error}").into())
}

/// Origins (RFC 6454 §6.1), as a browser sends them; the empty text is none.
pub(super) fn origins(text: &str) -> Result<Vec<String>, Expected> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let origins = each(text, origin)?;
    match origins.len() <= ORIGINS_MAX && all_differ(&origins) {
        true => Ok(origins),
        false => Err(format!("at most {ORIGINS_MAX} origins, each once").into()),
    }
}

fn origin(text: &str) -> Result<String, Expected> {
    let is_origin = text.split_once("://").is_some_and(|(scheme, host)| {
        let is_scheme = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.');
        let is_host = |byte: u8| byte.is_ascii_graphic() && !b"/\\?#@*".contains(&byte);
        scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme.bytes().all(is_scheme)
            && !host.is_empty()
            && host.bytes().all(is_host)
            && !host.bytes().any(|byte| byte.is_ascii_uppercase())
            // A browser leaves out the port that the scheme implies.
            && !(scheme == "https" && host.ends_with(":443"))
            && !(scheme == "http" && host.ends_with(":80"))
    });
    // Pages from files have no host: so Electron and Cordova write theirs.
    match is_origin || text == "file://" {
        true => Ok(text.to_owned()),
        false => Err(
            "origins as browsers send them, such as https://example.org or http://localhost:8080: \
             lower case, no path, no slash at the end, no :443 or :80 that the scheme implies"
                .into(),
        ),
    }
}

/// The parts of a list, which commas separate.
fn each<T>(text: &str, part: fn(&str) -> Result<T, Expected>) -> Result<Vec<T>, Expected> {
    text.split(',').map(|text| part(text.trim())).collect()
}

/// O(n²), n ≤ [`ORIGINS_MAX`].
fn all_differ<T: PartialEq>(values: &[T]) -> bool {
    let mut rest = values;
    while let Some((first, others)) = rest.split_first() {
        if others.contains(first) {
            return false;
        }
        rest = others;
    }
    true
}

/// Digits, and nothing else.
fn whole(text: &str) -> Option<u64> {
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse().ok(),
        false => None,
    }
}

/// Digits and a unit, as a number of the smallest unit.
fn measured(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    whole(number)?.checked_mul(*factor)
}

fn within<T: TryFrom<u64>>(number: u64, min: u64, max: u64) -> Option<T> {
    match (min..=max).contains(&number) {
        true => T::try_from(number).ok(),
        false => None,
    }
}

/// A number of milliseconds, as a person would write it.
fn show_duration(millis: u64) -> String {
    match millis {
        0 => "0s".to_owned(),
        _ => show(millis, &DURATION_UNITS),
    }
}

/// A number of bytes, as a person would write it.
pub fn show_size(bytes: u64) -> String {
    show(bytes, &SIZE_UNITS)
}

/// In the largest unit that divides the number.
fn show(number: u64, units: &[(&str, u64)]) -> String {
    let mut largest = ("", 1);
    for (name, factor) in units {
        if number.is_multiple_of(*factor) && (number > 0 || *factor == 1) {
            largest = (name, *factor);
        }
    }
    format!("{}{}", number / largest.1, largest.0)
}

#[cfg(test)]
mod tests;
