//! Scripts as a person types them, a line for each thing that a peer does.

use std::borrow::Cow;
use std::time::Duration;

use super::script::{Leaving, MAGIC, PEERS, Record, write_record};
use super::{USERS, token};

/// A day: a line is no more than some thousand records.
const PAUSE_MILLIS_MAX: u64 = 86_400_000;

/// Makes a script of lines such as these:
///
/// ```text
/// # peer 0 opens a WebSocket, asks, and a second later peer 1 asks for a page
/// 0 upgrade
/// 0 text {"token":"$alice","event":"getUser","data":{"id":"bob"}}
/// pause 1000
/// 1 raw GET /health HTTP/1.1\r\nHost: x\r\n\r\n
/// 1 fin
/// 0 deaf
/// 0 reset
/// ```
///
/// `$alice`, `$bob` and `$carol` stand for good tokens of theirs. `text` sends a WebSocket frame with a
/// mask of zeros, so that it can be read in the script; `raw` sends bytes, with `\r`, `\n`, `\\` and
/// `\x` and two hexadecimal digits for what cannot be typed. A pause is in milliseconds, and a day at the
/// most. A peer that is `deaf` takes nothing of what is written to it, until it `hears`.
///
/// # Errors
/// The first line that is none of these, and what would be right.
pub fn compose(lines: &str) -> Result<Vec<u8>, String> {
    let mut script = MAGIC.to_vec();
    let mut pause = Duration::ZERO;
    for (number, line) in (1..).zip(lines.lines()) {
        let line = with_tokens(line.trim());
        let told = |what| format!("line {number}: {what}");
        match action(&line).map_err(told)? {
            Action::Nothing => {}
            Action::Pause(time) => pause = pause.saturating_add(time),
            Action::Send {
                peer,
                bytes,
                hears,
                leaving,
            } => {
                let record = Record {
                    peer,
                    pause: std::mem::take(&mut pause),
                    bytes: &bytes,
                    hears,
                    leaving,
                    is_pause: false,
                };
                write_record(&mut script, &record);
            }
        }
    }
    if !pause.is_zero() {
        let last = Record {
            pause,
            is_pause: true,
            ..Record::default()
        };
        write_record(&mut script, &last);
    }
    Ok(script)
}

enum Action {
    Nothing,
    Pause(Duration),
    Send {
        peer: u8,
        bytes: Vec<u8>,
        hears: Option<bool>,
        leaving: Option<Leaving>,
    },
}

fn action(line: &str) -> Result<Action, &'static str> {
    const WANTED: &str = "wanted: `pause MILLISECONDS`, or a peer from 0 to 7 and one of `upgrade`, \
                          `text JSON`, `raw BYTES`, `deaf`, `hears`, `fin`, `reset`";
    if line.is_empty() || line.starts_with('#') {
        return Ok(Action::Nothing);
    }
    let (first, rest) = line.split_once(' ').ok_or(WANTED)?;
    if first == "pause" {
        let millis: u64 = rest.parse().map_err(|_| WANTED)?;
        return match millis <= PAUSE_MILLIS_MAX {
            true => Ok(Action::Pause(Duration::from_millis(millis))),
            false => Err("a pause is of 86400000 milliseconds, a day, at the most"),
        };
    }
    let peer = first.parse().ok().filter(|peer| *peer < PEERS);
    let (verb, words) = rest.split_once(' ').unwrap_or((rest, ""));
    let peer = peer.ok_or(WANTED)?;
    let (mut bytes, mut hears, mut leaving) = (Vec::new(), None, None);
    match verb {
        "upgrade" => bytes.extend(UPGRADE),
        "text" => bytes = frame(words.as_bytes()),
        "raw" => bytes = unescaped(words)?,
        "deaf" => hears = Some(false),
        "hears" => hears = Some(true),
        "fin" => leaving = Some(Leaving::Fin),
        "reset" => leaving = Some(Leaving::Reset),
        _ => return Err(WANTED),
    }
    Ok(Action::Send {
        peer,
        bytes,
        hears,
        leaving,
    })
}

/// A request that opens a WebSocket.
pub const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A Text frame of a client (RFC 6455 §5.2), with a mask that changes nothing.
fn frame(payload: &[u8]) -> Vec<u8> {
    const FIN_TEXT: u8 = 0x81;
    const MASKED: u8 = 0x80;
    let mut frame = vec![FIN_TEXT];
    match u16::try_from(payload.len()) {
        Ok(length @ 0..=125) => frame.push(MASKED | length as u8),
        Ok(length) => {
            frame.push(MASKED | 126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(MASKED | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

fn with_tokens(line: &str) -> Cow<'_, str> {
    let mut line = Cow::Borrowed(line);
    for user in USERS {
        let name = format!("${user}");
        if line.contains(&name)
            && let Some(token) = token(user)
        {
            line = Cow::Owned(line.replace(&name, &token));
        }
    }
    line
}

fn unescaped(text: &str) -> Result<Vec<u8>, &'static str> {
    const WANTED: &str =
        "after a backslash: r, n, another backslash, or x and two hexadecimal digits";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (kind, after) = rest.split_first().ok_or(WANTED)?;
        rest = after;
        bytes.push(match kind {
            b'r' => b'\r',
            b'n' => b'\n',
            b'\\' => b'\\',
            b'x' => {
                let (digits, after) = rest.split_at_checked(2).ok_or(WANTED)?;
                rest = after;
                let digits = str::from_utf8(digits).map_err(|_| WANTED)?;
                u8::from_str_radix(digits, 16).map_err(|_| WANTED)?
            }
            _ => return Err(WANTED),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{play, records, unplayed};

    #[test]
    fn what_is_typed_is_played() {
        let lines = "
            # two peers
            0 upgrade
            0 text {\"token\":\"$alice\",\"event\":\"getUser\",\"data\":{\"id\":\"bob\"},\"id\":\"1\"}
            pause 1000
            1 raw GET /health HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n
            1 fin
            0 deaf
            0 text {\"event\":\"getUser\"}
            0 hears
        ";
        let script = compose(lines).unwrap();
        let heard = play(&script);
        let lines: Vec<_> = heard.lines().collect();
        assert_eq!(lines[0], "0 < HTTP 101");
        assert!(
            lines[1].starts_with(r#"0 < {"event":"getUser","id":"1","data":{"id":"bob""#),
            "{heard}"
        );
        assert_eq!(lines[2], r"1 < HTTP 200 ok\n");
        assert!(
            heard.contains("0 < Close 3001 ") || heard.contains("0 < Close 3000 "),
            "{heard}"
        );
        assert!(lines.last().unwrap().starts_with("state "), "{heard}");
        assert_eq!(play(&script), heard, "the same again");
    }

    #[test]
    fn all_that_is_typed_is_played_however_long() {
        let (long, last) = ("x".repeat(200_000), "6 reset\n6 fin\n".repeat(1_000));
        let lines = format!("pause 100000\n5 raw {long}\n{last}pause 100001");
        let script = compose(&lines).unwrap();
        let all: Vec<_> = records(&script).collect();
        let sent: usize = all.iter().map(|record| record.bytes.len()).sum();
        let paused: Duration = all.iter().map(|record| record.pause).sum();
        let left = all.iter().filter(|record| record.leaving.is_some()).count();
        assert_eq!((sent, left), (long.len(), 2_000));
        assert_eq!(paused, Duration::from_millis(200_001));
        assert!(all[0].is_pause && !all[1].is_pause && all[all.len() - 1].is_pause);
        assert_eq!(unplayed(&script), None);
        assert!(play(&script).matches("6 reset").count() >= 1_000);
    }

    /// Nobody is there while a pause lasts that is longer than a record says.
    #[test]
    fn a_peer_comes_when_it_speaks_and_a_last_pause_is_played() {
        let heard = play(&compose("pause 100000\n0 upgrade").unwrap());
        assert_eq!(heard.lines().next(), Some("0 < HTTP 101"), "{heard}");
        let heard = play(&compose("0 hears\npause 100000").unwrap());
        assert_eq!(heard.lines().next(), Some("0 closed"), "{heard}");
    }

    #[test]
    fn what_cannot_be_typed_is_escaped() {
        let script = compose(r"2 raw \x00\xff\\\r\n").unwrap();
        let record = records(&script).next().unwrap();
        assert_eq!((record.peer, record.bytes), (2, b"\0\xff\\\r\n".as_slice()));
    }

    #[test]
    fn a_line_that_is_none_is_told_by_its_number() {
        for line in [
            "hello",
            "8 fin",
            "0 dance",
            "pause long",
            "pause 86400001",
            r"0 raw \q",
            r"0 raw \x1",
        ] {
            let error = compose(&format!("\n{line}")).unwrap_err();
            assert!(error.starts_with("line 2: "), "{error}");
        }
    }
}
