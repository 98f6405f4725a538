//! Answers over plain HTTP. Each is the last thing on its connection (contract §1).
//!
//! Promises that every refusal says what would be right, and that an answer to HEAD has no content.
//! Refuses to know how a response is spelled: `wire::response` writes it.

use crate::app::{Fault, write_session};
use crate::gate::{self, Minted};
use crate::server::answers::answer;
use crate::server::answers::cause::CloseCause;
use crate::server::answers::report::ReportKind;
use crate::server::answers::unserved::Unserved;
use crate::server::core::Core;
use crate::time::Now;
use crate::wire::response::{self, Reply, Response, ResponseField, Status};
use crate::wire::{HeadError, Rejection};

const JSON: &str = "application/json";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
/// When to come back, in seconds (RFC 9110 §15.6.4: a 503 may carry `Retry-After`).
const UNAVAILABLE_FIELDS: &[ResponseField<'_>] = &[("Retry-After", &"1")];

impl Core {
    /// Answers `/health`: 200, or 503 while the server stops or the user store fails.
    pub(crate) fn answer_health(&mut self, now: Now, key: u32) {
        // The store is asked now: what it said last may be over.
        self.refresh_users(now);
        let (status, body) = match (self.stopping, self.users.check().is_ok()) {
            (false, true) => (Status::Ok, "ok\n"),
            (true, _) => (Status::ServiceUnavailable, "stopping\n"),
            (false, false) => (
                Status::ServiceUnavailable,
                "the user store does not answer\n",
            ),
        };
        let fields = match status {
            Status::Ok => &[][..],
            _ => UNAVAILABLE_FIELDS,
        };
        // A health check is no failure, so that it never bans the balancer that makes it (contract
        // §4).
        self.report(now, key, ReportKind::Closed(CloseCause::Done), None);
        self.respond(now, key, status, fields, TEXT, body.as_bytes());
    }

    /// Answers a `POST /login`: with a token, or with why there is none.
    pub(crate) fn answer_http_login(&mut self, now: Now, key: u32, result: Result<Minted, Fault>) {
        let mut body = Vec::new();
        match result {
            Ok(minted) => {
                write_session(&mut body, &minted);
                body.push(b'\n');
                self.respond(now, key, Status::Ok, &[], JSON, &body);
            }
            Err(fault) => {
                answer::fault(
                    &mut body,
                    fault.code(),
                    &fault.to_string(),
                    fault.retry_after(),
                );
                body.push(b'\n');
                let status = status_of(fault);
                let wait = fault.retry_after().map(answer::whole_seconds);
                match (&wait, status) {
                    (Some(wait), _) => {
                        self.respond(now, key, status, &[("Retry-After", wait)], JSON, &body);
                    }
                    // RFC 9110 §15.5.2: a 401 must name a way to log in.
                    (None, Status::Unauthorized) => {
                        let fields: &[ResponseField<'_>] = &[("WWW-Authenticate", &"Bearer")];
                        self.respond(now, key, status, fields, JSON, &body);
                    }
                    (None, Status::ServiceUnavailable) => {
                        self.respond(now, key, status, UNAVAILABLE_FIELDS, JSON, &body);
                    }
                    (None, _) => self.respond(now, key, status, &[], JSON, &body),
                }
            }
        }
    }

    /// Refuses a request that the server does not serve, and says in a line what would be right.
    pub(crate) fn refuse_request(&mut self, now: Now, key: u32, unserved: Unserved) {
        self.refuse_with(now, key, CloseCause::Request(unserved), |out, reply| {
            let (status, reason) = (unserved.status(), unserved.reason());
            response::write_line(out, reply, status, unserved.fields(), &reason);
        });
    }

    /// Refuses a head that is malformed or breaks a bound.
    pub(crate) fn refuse_head(&mut self, now: Now, key: u32, error: HeadError) {
        self.refuse_with(now, key, CloseCause::Head(error), |out, reply| {
            error.write(out, reply);
        });
    }

    /// Refuses a handshake with the answer of `rejection`; `cause` is for the log.
    pub(crate) fn refuse_upgrade(
        &mut self,
        now: Now,
        key: u32,
        cause: CloseCause,
        rejection: Rejection,
    ) {
        self.refuse_with(now, key, cause, |out, reply| rejection.write(out, reply));
    }

    /// Refuses a token in `Authorization` that lets nobody in (RFC 6750 §3.1): 401; 403 where the
    /// user may not come in; 503 where the store cannot say who the user is.
    pub(crate) fn refuse_token(&mut self, now: Now, key: u32, cause: gate::Denied) {
        let (status, fields) = match cause {
            gate::Denied::Forbidden(_) => (Status::Forbidden, &[][..]),
            gate::Denied::Unavailable => (Status::ServiceUnavailable, UNAVAILABLE_FIELDS),
            _ => {
                return self.refuse_upgrade(now, key, CloseCause::Gate(cause), Rejection::Token);
            }
        };
        self.refuse_with(now, key, CloseCause::Gate(cause), |out, reply| {
            response::write_line(out, reply, status, fields, &cause);
        });
    }

    /// Reports the refusal, and answers the request with what `write` writes.
    pub(crate) fn refuse_with(
        &mut self,
        now: Now,
        key: u32,
        cause: CloseCause,
        write: impl FnOnce(&mut Vec<u8>, Reply<'_>),
    ) {
        self.report(now, key, ReportKind::Refused(cause), None);
        self.reply(now, key, write);
    }

    /// Answers the request with a body.
    pub(crate) fn respond(
        &mut self,
        now: Now,
        key: u32,
        status: Status,
        fields: &[ResponseField<'_>],
        content_type: &str,
        body: &[u8],
    ) {
        let response = Response {
            status,
            fields,
            content_type,
            body,
        };
        self.reply(now, key, |out, reply| response.write(out, reply));
    }

    /// Answers the request with what `write` writes, and closes the connection after it.
    fn reply(&mut self, now: Now, key: u32, write: impl FnOnce(&mut Vec<u8>, Reply<'_>)) {
        let session = &mut self.sessions[key];
        // A page of `ORIGINS` may read the answer if the answer names its origin (Fetch, CORS
        // protocol).
        let place = session.listed_origin.map(usize::from);
        let reply = Reply {
            date: now.unix,
            is_to_head: session.asks_head,
            reader: place
                .and_then(|place| self.policy.config.origins.get(place).map(String::as_str)),
        };
        self.sessions
            .queue(key, now.monotonic, |out| write(out, reply));
        // Contract §1: each HTTP answer closes its connection.
        self.begin_close(now, key);
    }
}

/// Returns the HTTP status of a fault, which is an error code where it is told in a frame.
fn status_of(fault: Fault) -> Status {
    match fault {
        Fault::BadData(_) | Fault::UnknownEvent => Status::BadRequest,
        Fault::NotFound => Status::NotFound,
        Fault::LoginFailed => Status::Unauthorized,
        Fault::OtherUser | Fault::Denied(_) => Status::Forbidden,
        Fault::RateLimited { .. } | Fault::MessageRate { .. } => Status::TooManyRequests,
        Fault::Busy { .. } | Fault::TokensVoid { .. } | Fault::Unavailable => {
            Status::ServiceUnavailable
        }
    }
}
