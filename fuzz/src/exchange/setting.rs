//! What the world of a script is like: the clock, and the users.

use framegate::internals::app::users::User;
use framegate::internals::limits::CLAIM_SECONDS_MAX;
use framegate::internals::time::UnixSeconds;
use serde_json::{Value, json};

use super::{START, users};

/// No script begins at this second or later: there is to be time after it.
const CLOCK_END: u64 = CLAIM_SECONDS_MAX / 2;

/// The clock when a script begins, and the users.
pub(super) struct Setting {
    pub(super) start: UnixSeconds,
    pub(super) users: Vec<User>,
}

impl Setting {
    /// The setting of a script; the usual one for what it does not say, or says wrongly.
    ///
    /// ```text
    /// {"at":1796000000,"users":[{"id":"alice","name":"Alice A.","createdAt":1795000000}]}
    /// ```
    pub(super) fn read(text: Option<&[u8]>) -> Setting {
        let said: Value = text
            .and_then(|text| serde_json::from_slice(text).ok())
            .unwrap_or_default();
        Setting {
            start: read_start(&said).unwrap_or(START),
            users: match said["users"].as_array() {
                Some(users) => users.iter().filter_map(read_user).collect(),
                None => users().to_vec(),
            },
        }
    }
}

/// What of a setting [`Setting::read`] does not take, in a few words.
pub(super) fn unread(text: &[u8]) -> Option<String> {
    let said: Value = match serde_json::from_slice(text) {
        Ok(said) => said,
        Err(error) => return Some(format!("the setting is no JSON: {error}")),
    };
    let is_clock_bad = !said["at"].is_null() && read_start(&said).is_none();
    let users = said["users"].as_array().map_or(&[][..], Vec::as_slice);
    let bad = users
        .iter()
        .filter(|user| read_user(user).is_none())
        .count();
    match (is_clock_bad, bad) {
        (true, _) => Some(format!("the setting's clock is not 1 to {}", CLOCK_END - 1)),
        (false, 0) => None,
        (false, bad) => Some(format!(
            "{bad} of the setting's {} users are none",
            users.len()
        )),
    }
}

fn read_start(said: &Value) -> Option<UnixSeconds> {
    let at = said["at"].as_u64();
    at.filter(|at| (1..CLOCK_END).contains(at)).map(UnixSeconds)
}

fn read_user(said: &Value) -> Option<User> {
    let id = said["id"].as_str()?;
    let name = said["name"].as_str().unwrap_or(id);
    let created_at = said["createdAt"].as_u64().unwrap_or(1);
    User::new(id, name, None, UnixSeconds(created_at)).ok()
}

/// What [`Setting::read`] reads.
pub(super) fn write(start: UnixSeconds, users: &[User]) -> Vec<u8> {
    let users = users
        .iter()
        .map(|user| json!({"id": &*user.id, "name": &*user.name, "createdAt": user.created_at.0}));
    let users: Vec<Value> = users.collect();
    json!({"at": start.0, "users": users})
        .to_string()
        .into_bytes()
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
