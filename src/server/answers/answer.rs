//! The JSON that the server itself sends: answers, errors, and an HTTP answer's body.

use std::time::Duration;

use crate::app::push_integer;
use crate::json;

/// Writes `{"event":…,"id":…,"data":…}`, the data being what `write_data` appends; `id` and that are
/// JSON already.
pub(crate) fn event(
    out: &mut Vec<u8>,
    event: &str,
    id: Option<&str>,
    write_data: impl FnOnce(&mut Vec<u8>),
) {
    out.extend_from_slice(b"{\"event\":");
    json::push_string(out, event);
    if let Some(id) = id {
        out.extend_from_slice(b",\"id\":");
        out.extend_from_slice(id.as_bytes());
    }
    out.extend_from_slice(b",\"data\":");
    write_data(out);
    out.push(b'}');
}

/// Writes an error frame's text.
pub(crate) fn error(
    out: &mut Vec<u8>,
    id: Option<&str>,
    code: &str,
    reason: &str,
    retry_after: Option<Duration>,
) {
    event(out, "error", id, |out| {
        fault(out, code, reason, retry_after)
    });
}

/// Writes `{"code":…,"reason":…,"retryAfter":…}`: an error's `data`, and the body of an HTTP
/// refusal.
pub(crate) fn fault(out: &mut Vec<u8>, code: &str, reason: &str, retry_after: Option<Duration>) {
    out.extend_from_slice(b"{\"code\":");
    json::push_string(out, code);
    out.extend_from_slice(b",\"reason\":");
    json::push_string(out, reason);
    if let Some(wait) = retry_after {
        out.extend_from_slice(b",\"retryAfter\":");
        push_integer(out, whole_seconds(wait));
    }
    out.push(b'}');
}

/// A wait in whole seconds, rounded up, for `retryAfter` and `Retry-After` (RFC 9110 §10.2.3).
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
