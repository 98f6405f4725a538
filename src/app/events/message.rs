//! `message`: any JSON to all who are logged in, or to the connections of one user.

use crate::app::{Audience, Fault, Host, Outcome, push_integer};
use crate::gate::Admitted;
use crate::json;

pub(in crate::app) fn handle(
    host: &mut dyn Host,
    frame: &Admitted<'_>,
    answer: &mut Vec<u8>,
) -> Result<Outcome, Fault> {
    let data = frame
        .data()
        .ok_or(Fault::BadData("a message needs `data`, any JSON"))?;
    let audience = frame.to().map_or(Audience::Everyone, Audience::User);
    let delivered = host.send(audience, &mut |out| write(out, frame, data))?;
    if frame.id().is_none() {
        return Ok(Outcome::Silent);
    }
    answer.extend_from_slice(b"{\"delivered\":");
    push_integer(answer, delivered as u64);
    answer.push(b'}');
    Ok(Outcome::Answer)
}

fn write(out: &mut Vec<u8>, frame: &Admitted<'_>, data: &str) {
    out.extend_from_slice(b"{\"event\":\"message\",\"from\":");
    json::push_string(out, frame.subject());
    if let Some(to) = frame.to() {
        out.extend_from_slice(b",\"to\":");
        json::push_string(out, to);
    }
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(data.as_bytes());
    out.push(b'}');
}
