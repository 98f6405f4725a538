//! What the world of a script is like: the clock, and the users.

use framegate::internals::app::users::User;
use framegate::internals::limits::CLAIM_SECONDS_MAX;
use framegate::internals::time::UnixSeconds;
use serde_json::{Value, json};

use super::{START, users};

/// Users of a script at the most.
const USERS_MAX: usize = 16;

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
        let start = said["at"]
            .as_u64()
            .filter(|at| (1..CLAIM_SECONDS_MAX / 2).contains(at));
        let users_said = said["users"].as_array();
        Setting {
            start: start.map_or(START, UnixSeconds),
            users: match users_said {
                Some(users) => users.iter().take(USERS_MAX).filter_map(read_user).collect(),
                None => users().to_vec(),
            },
        }
    }
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
