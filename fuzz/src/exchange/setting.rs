//! What the world of a script is like: the clocks, the users, and who the peers are.

use std::time::Duration;

use framegate::internals::app::users::User;
use framegate::internals::limits::CLAIM_SECONDS_MAX;
use framegate::internals::server::Peer;
use framegate::internals::time::{Instant, Now, UnixSeconds};
use serde_json::{Value, json};

use super::clocks::Clocks;
use super::{PEERS, START, USERS, setting as said_by, users, usual_peer};

/// No script begins at this second or later: there is to be time after it.
const CLOCK_END: u64 = CLAIM_SECONDS_MAX / 2;
/// Microseconds that the clock of deadlines has run, and that pass before a step of the wall clock, at the
/// most: some 285 years.
const MICROS_MAX: u64 = 1 << 53;

/// How a script's world begins.
pub(super) struct Setting {
    pub(super) clocks: Clocks,
    pub(super) users: Vec<User>,
    /// By the number of the peer.
    pub(super) who: [Peer; PEERS as usize],
}

impl Setting {
    /// The setting of a script; the usual one for what it does not say, or says wrongly. All of its members
    /// may be missing.
    ///
    /// ```text
    /// {"at":1796000000,                              the second of the wall clock,
    ///  "micros":750000,                              how much of it has gone by,
    ///  "uptime":1204711,                             the clock of deadlines, in microseconds, and
    ///  "steps":[{"after":5000000,"at":1796003600}],  when the wall clock is set (microseconds from the
    ///                                                start), and to what
    ///  "peers":["192.0.2.1:49152","unix:1000"],      who each peer is, by its number
    ///  "users":[{"id":"alice","name":"Alice A.","createdAt":1795000000,
    ///            "disabled":true,"tokensValidFrom":1795500000}]}
    /// ```
    pub(super) fn read(text: Option<&[u8]>) -> Setting {
        let said: Value = text
            .and_then(|text| serde_json::from_slice(text).ok())
            .unwrap_or_default();
        let start = read_start(&said).unwrap_or(Now {
            unix: START,
            ..Now::default()
        });
        Setting {
            clocks: Clocks::new(start, &read_steps(&said, start).unwrap_or_default()),
            users: match said["users"].as_array() {
                Some(users) => users.iter().filter_map(read_user).collect(),
                None => users().to_vec(),
            },
            who: read_peers(&said).unwrap_or_else(usual_peers),
        }
    }
}

/// What one has to know of a script's world to make a token that its server takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The wall clock when the script begins.
    pub start: UnixSeconds,
    /// The ids of the users; there is at least one.
    pub users: Vec<Box<str>>,
}

impl Known {
    /// What is known of the world of a script. Where that has no user, the usual ones stand for them.
    pub fn of(script: &[u8]) -> Known {
        let (mut start, mut users) = (START, Vec::new());
        if let Some(text) = said_by(script) {
            let setting = Setting::read(Some(&text));
            start = setting.clocks.start().unix;
            users.extend(setting.users.into_iter().map(|user| user.id));
        }
        if users.is_empty() {
            users = USERS.map(Box::from).to_vec();
        }
        Known { start, users }
    }
}

/// What of a setting [`Setting::read`] does not take, in a few words.
pub(super) fn unread(text: &[u8]) -> Option<String> {
    let said: Value = match serde_json::from_slice(text) {
        Ok(said) => said,
        Err(error) => return Some(format!("the setting is no JSON: {error}")),
    };
    let Some(start) = read_start(&said) else {
        return Some(match read_second(&said, START.0) {
            None => format!("the setting's clock is not 1 to {}", CLOCK_END - 1),
            Some(_) => "the setting's \"micros\" or \"uptime\" is none that may be".to_owned(),
        });
    };
    if read_steps(&said, start).is_none() {
        return Some("the setting's \"steps\" are none".to_owned());
    }
    if read_peers(&said).is_none() {
        return Some(format!("the setting's \"peers\" are not {PEERS} or less"));
    }
    let users = said["users"].as_array().map_or(&[][..], Vec::as_slice);
    let bad = users.iter().filter(|user| read_user(user).is_none());
    match bad.count() {
        0 => None,
        bad => Some(format!(
            "{bad} of the setting's {} users are none",
            users.len()
        )),
    }
}

/// A member that is a number up to `max`; `usual` where there is none.
fn number(said: &Value, name: &str, usual: u64, max: u64) -> Option<u64> {
    match &said[name] {
        Value::Null => Some(usual),
        value => value.as_u64().filter(|number| *number <= max),
    }
}

fn read_second(said: &Value, usual: u64) -> Option<UnixSeconds> {
    let unix = number(said, "at", usual, CLOCK_END - 1)?;
    (unix > 0).then_some(UnixSeconds(unix))
}

/// How much of the wall clock's second has gone by.
fn read_fraction(said: &Value) -> Option<Duration> {
    number(said, "micros", 0, 999_999).map(Duration::from_micros)
}

fn read_start(said: &Value) -> Option<Now> {
    let uptime = number(said, "uptime", 0, MICROS_MAX)?;
    Some(Now {
        monotonic: Instant::from_micros(uptime),
        unix: read_second(said, START.0)?,
        fraction: read_fraction(said)?,
    })
}

fn read_steps(said: &Value, start: Now) -> Option<Vec<Now>> {
    let steps = match &said["steps"] {
        Value::Null => &[][..],
        steps => steps.as_array()?,
    };
    let read_step = |step: &Value| {
        let after = number(step, "after", 0, MICROS_MAX)?;
        Some(Now {
            monotonic: start.monotonic + Duration::from_micros(after),
            unix: read_second(step, 0)?,
            fraction: read_fraction(step)?,
        })
    };
    steps.iter().map(read_step).collect()
}

fn read_peers(said: &Value) -> Option<[Peer; PEERS as usize]> {
    let peers = match &said["peers"] {
        Value::Null => &[][..],
        peers => peers.as_array()?,
    };
    let mut who = usual_peers();
    if peers.len() > who.len() {
        return None;
    }
    for (peer, said) in who.iter_mut().zip(peers) {
        *peer = said.as_str()?.parse().ok()?;
    }
    Some(who)
}

fn usual_peers() -> [Peer; PEERS as usize] {
    std::array::from_fn(|number| usual_peer(number as u8))
}

fn read_user(said: &Value) -> Option<User> {
    let id = said["id"].as_str()?;
    let name = said["name"].as_str().unwrap_or(id);
    let created_at = said["createdAt"].as_u64().unwrap_or(1);
    let user = User::new(id, name, None, UnixSeconds(created_at)).ok()?;
    Some(User {
        disabled: said["disabled"].as_bool().unwrap_or(false),
        tokens_valid_from: said["tokensValidFrom"].as_u64().map(UnixSeconds),
        ..user
    })
}

/// What [`Setting::read`] reads.
pub(super) fn write(start: Now, steps: &[Now], who: &[Peer], users: &[User]) -> Vec<u8> {
    let mut said = wall_clock(start);
    said["uptime"] = start.monotonic.as_micros().into();
    let steps = steps.iter().map(|step| {
        let mut said = wall_clock(*step);
        let after = step.monotonic.since(start.monotonic);
        said["after"] = (after.as_micros() as u64).into();
        said
    });
    let peers = who.iter().map(|peer| peer.to_string().into());
    for (name, list) in [
        ("steps", steps.collect::<Vec<Value>>()),
        ("peers", peers.collect()),
    ] {
        if !list.is_empty() {
            said[name] = list.into();
        }
    }
    said["users"] = users.iter().map(shown_user).collect();
    said.to_string().into_bytes()
}

fn wall_clock(now: Now) -> Value {
    let mut said = json!({"at": now.unix.0});
    if !now.fraction.is_zero() {
        said["micros"] = (now.fraction.as_micros() as u64).into();
    }
    said
}

fn shown_user(user: &User) -> Value {
    let mut said = json!({"id": &*user.id, "name": &*user.name, "createdAt": user.created_at.0});
    if user.disabled {
        said["disabled"] = true.into();
    }
    if let Some(from) = user.tokens_valid_from {
        said["tokensValidFrom"] = from.0.into();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::super::{MAGIC, play, unplayed, write_setting};

    #[test]
    fn what_is_not_taken_is_told_and_the_rest_is_played() {
        let users = r#"{"users":[{"id":"a"},{"name":"b"},7]}"#;
        for (setting, told) in [
            (r#"{"at":1800000000,"users":[{"id":"a"}]}"#, None),
            ("{}", None),
            ("{", Some("the setting is no JSON: ")),
            (r#"{"at":0}"#, Some("the setting's clock is not 1 to ")),
            (r#"{"at":"now"}"#, Some("the setting's clock is not 1 to ")),
            (
                r#"{"micros":1000000}"#,
                Some("the setting's \"micros\" or "),
            ),
            (r#"{"uptime":-1}"#, Some("the setting's \"micros\" or ")),
            (
                r#"{"steps":[{"at":9},{"after":9}]}"#,
                Some("the setting's \"steps\" are none"),
            ),
            (r#"{"steps":7}"#, Some("the setting's \"steps\" are none")),
            (
                r#"{"peers":["unix","me"]}"#,
                Some("the setting's \"peers\" are not 8 or less"),
            ),
            (
                r#"{"peers":["unix","[::1]:7"],"steps":[{"at":9}],"micros":9}"#,
                None,
            ),
            (users, Some("2 of the setting's 3 users are none")),
        ] {
            let mut script = MAGIC.to_vec();
            write_setting(&mut script, setting.as_bytes());
            let unread = unplayed(&script).unwrap_or_default();
            assert_eq!(unread.is_empty(), told.is_none(), "{setting}: {unread}");
            assert!(unread.starts_with(told.unwrap_or_default()), "{unread}");
            assert!(play(&script).starts_with("state "));
            script.push(0);
            let left = unplayed(&script).unwrap_or_default();
            assert!(left.contains("it ends with 1 of the 6 bytes "), "{left}");
        }
        assert_eq!(unplayed(b"GET"), None);
    }
}
