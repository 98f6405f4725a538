//! `getUser`: a user by id.

use crate::app::users::User;
use crate::app::{Fault, Host, Outcome, push_integer};
use crate::gate::Admitted;
use crate::gate::json::{self, JsonError};

const EXPECTED: Fault = Fault::BadData("getUser takes `data` {\"id\":\"…\"}");

pub(in crate::app) fn handle(
    host: &mut dyn Host,
    frame: &Admitted<'_>,
    answer: &mut Vec<u8>,
) -> Result<Outcome, Fault> {
    let mut id = None;
    json::members::<JsonError>(frame.data().unwrap_or_default(), |name, value| {
        if name == "id" {
            id = value.string();
        }
        Ok(())
    })
    .map_err(|_| EXPECTED)?;

    let user = host.user(&id.ok_or(EXPECTED)?)?.ok_or(Fault::NotFound)?;
    write(answer, &user, host.is_online(&user.id));
    Ok(Outcome::Answer)
}

fn write(out: &mut Vec<u8>, user: &User, online: bool) {
    out.extend_from_slice(b"{\"id\":");
    json::push_string(out, &user.id);
    out.extend_from_slice(b",\"name\":");
    json::push_string(out, &user.name);
    out.extend_from_slice(b",\"createdAt\":");
    push_integer(out, user.created_at.0);
    out.extend_from_slice(match online {
        true => b",\"online\":true}",
        false => b",\"online\":false}",
    });
}
