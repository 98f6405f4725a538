//! `getUser`: a user by id.

use crate::app::users::User;
use crate::app::{Fault, Host, Outcome, push_integer};
use crate::gate::Admitted;
use crate::json::{self, JsonError};
use crate::limits::SUBJECT_BYTES_MAX;

const EXPECTED: Fault = Fault::BadData("getUser takes `data` {\"id\":\"…\"}");

pub(in crate::app) fn handle(
    host: &mut dyn Host,
    frame: &Admitted<'_>,
    answer: &mut Vec<u8>,
) -> Result<Outcome, Fault> {
    let mut id = None;
    json::members_again::<JsonError>(frame.data().unwrap_or_default(), |name, value| {
        if name == "id" {
            id = value
                .is_string()
                .then(|| value.short_string(SUBJECT_BYTES_MAX));
        }
        Ok(())
    })
    .map_err(|_| EXPECTED)?;

    // One that is too long is nobody's, and is not decoded to see that.
    let id = id.ok_or(EXPECTED)?.ok_or(Fault::NotFound)?;
    let user = host.user(&id)?.ok_or(Fault::NotFound)?;
    answer.extend_from_slice(user.profile.get_or_init(|| profile(&user)));
    answer.extend_from_slice(match host.is_online(&user.id) {
        true => b"true}",
        false => b"false}",
    });
    Ok(Outcome::Answer)
}

/// The answer's data, but for what may be another the next time.
fn profile(user: &User) -> Box<[u8]> {
    let mut out = Vec::new();
    out.extend_from_slice(b"{\"id\":");
    json::push_string(&mut out, &user.id);
    out.extend_from_slice(b",\"name\":");
    json::push_string(&mut out, &user.name);
    out.extend_from_slice(b",\"createdAt\":");
    push_integer(&mut out, user.created_at.0);
    out.extend_from_slice(b",\"online\":");
    out.into_boxed_slice()
}
