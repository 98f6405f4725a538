//! Plain HTTP: a request's head and body, the routes, and the upgrade.
//!
//! A connection carries one request, and its answer is the last thing on it unless that is a 101.
//! So nothing after a request can pass for a second one (contract §1). Refuses to know how HTTP is
//! spelled: `wire` parses and writes it.

use std::mem;

use crate::app::{Credentials, Fault};
use crate::limits::LOGIN_TIMEOUT;
use crate::time::{Instant, Now};
use crate::wire::response::{self, ResponseField, Status};
use crate::wire::{
    BodyDecoder, Expectation, Head, Held, Rejection, Request, TokenSource, TransferEncoding,
    Upgrade, forwarded, head,
};

use crate::server::answers::answer;
use crate::server::answers::cause::{CloseCause, NoRoom};
use crate::server::answers::report::ReportKind;
use crate::server::answers::unserved::Unserved;
use crate::server::connection::Peer;
use crate::server::core::{Core, Handlers};
use crate::server::parts::login_queue::Via;
use crate::server::parts::sessions::{Open, State};

impl Core {
    /// Takes bytes of a head. A whole head is decided on, with what follows it in the same read;
    /// only an unfinished one is kept.
    pub(crate) fn receive_head(
        &mut self,
        handlers: &mut Handlers,
        now: Now,
        key: u32,
        bytes: &mut [u8],
    ) {
        // Taken out of the session, so that the head can be lent while the core decides on it.
        let begun = self.sessions.change(key, |state| match state {
            State::Head { by, scanner, held } => Some((*by, mem::take(scanner), mem::take(held))),
            _ => None,
        });
        let Some((by, mut scanner, mut kept)) = begun else {
            return;
        };
        // A head that comes in one read is parsed where it lies. Only what comes in pieces is
        // copied.
        let is_first = kept.is_empty();
        if !is_first {
            kept.extend_from_slice(bytes);
        }
        let whole = if is_first { &mut *bytes } else { &mut kept[..] };
        // The scanner goes on where it stopped, so the work is linear in the bytes however they are
        // cut.
        match scanner.scan(whole) {
            Ok(Some(head)) => {
                let head_bytes = head.bytes_used();
                self.receive_request(handlers, now, key, by, head);
                // Contract §5.8: what follows counts as if it had come in a read of its own.
                self.receive_after_head(handlers, now, key, &mut whole[head_bytes..]);
                // Last, since the body may have come with the head (RFC 9110 §10.1.1).
                self.ask_for_body(now, key);
            }
            Ok(None) => {
                if is_first {
                    kept.extend_from_slice(bytes);
                }
                self.sessions.set_state(
                    key,
                    State::Head {
                        by,
                        scanner,
                        held: kept,
                    },
                );
            }
            Err(error) => {
                // A recording is told of no byte that the verdict does not follow from.
                let judged = &whole[..scanner.judged_bytes()];
                self.tell_tap(key, |tap, id| tap.no_head(id, judged));
                // RFC 9110 §9.3.2: a malformed HEAD request is answered without content, too.
                self.sessions[key].asks_head = head::asks_head(whole);
                self.refuse_head(now, key, error);
            }
        }
    }

    /// Decides on a whole head: for which client it comes, and what it asks for.
    fn receive_request(
        &mut self,
        handlers: &mut Handlers,
        now: Now,
        key: u32,
        by: Instant,
        head: Head<'_>,
    ) {
        self.tell_tap(key, |tap, id| tap.head(id, head));
        self.sessions[key].asks_head = head::asks_head(head.bytes());
        let request = match Request::parse(head) {
            Ok(request) => request,
            Err(error) => return self.refuse_head(now, key, error),
        };
        // First of all: the client may be banned, and then nothing more is spent on it.
        if !self.learn_client(now, key, &request) {
            return;
        }
        let refuse = |core: &mut Core, unserved| core.refuse_request(now, key, unserved);
        match (request.path, request.method) {
            // A stopping server begins nothing. Health checks still learn that it stops.
            ("/ws", "GET") | ("/login", "POST") if self.stopping => {
                refuse(self, Unserved::Stopping);
            }
            ("/ws", "GET" | "HEAD") => self.receive_upgrade(handlers, now, key, &request),
            ("/login", "POST") => self.receive_login(now, key, by, &request),
            ("/login", "OPTIONS") => self.answer_preflight(now, key, &request),
            ("/health", "GET" | "HEAD") => self.answer_health(now, key),
            ("/ws" | "/health", _) => refuse(self, Unserved::NotGet),
            ("/login", _) => refuse(self, Unserved::NotPost),
            _ => refuse(self, Unserved::Path),
        }
    }

    /// Takes bytes after a head: those of a body, or frames. They mean the same whether they came
    /// with the head or later. In any other state they are not looked at.
    pub(crate) fn receive_after_head(
        &mut self,
        handlers: &mut Handlers,
        now: Now,
        key: u32,
        bytes: &mut [u8],
    ) {
        match self.sessions[key].state() {
            State::Body { .. } => self.receive_body(now, key, bytes),
            State::Open(_) if !bytes.is_empty() => self.receive_frames(handlers, now, key, bytes),
            _ => {}
        }
    }

    /// Answers `GET /ws` with a 101, or refuses it (RFC 6455 §4.2).
    fn receive_upgrade(
        &mut self,
        handlers: &mut Handlers,
        now: Now,
        key: u32,
        request: &Request<'_>,
    ) {
        let upgrade = match Upgrade::check(request, self.origins(key)) {
            Ok(upgrade) => upgrade,
            Err(rejection) => {
                return self.refuse_upgrade(now, key, CloseCause::Upgrade(rejection), rejection);
            }
        };
        let Some(token) = upgrade.token else {
            return match self.policy.config.require_handshake_token {
                true => {
                    let rejection = Rejection::NoToken;
                    self.refuse_upgrade(now, key, CloseCause::Upgrade(rejection), rejection);
                }
                false => self.open(now, key, &upgrade),
            };
        };
        // Contract §3: a token that was revoked 50 ms ago is refused.
        self.refresh_users(now);
        match handlers.gate.admit_token(token.text, None, self, now.unix) {
            Ok(pass) => {
                self.open(now, key, &upgrade);
                self.admit(now, key, &pass);
            }
            // A browser shows a script nothing of a 401. So the connection is opened, told why, and
            // closed (contract §1).
            Err(cause) if token.source == TokenSource::Subprotocol => {
                self.open(now, key, &upgrade);
                self.refuse(now, key, CloseCause::Gate(cause), None, None);
            }
            Err(cause) => self.refuse_token(now, key, cause),
        }
    }

    /// Takes the head of a `POST /login`, and waits for its body.
    fn receive_login(&mut self, now: Now, key: u32, by: Instant, request: &Request<'_>) {
        // Ahead of all else: a page of a foreign origin may guess passwords with its visitor's
        // browser.
        if !self.let_page_in(now, key, request) {
            return;
        }
        match body_of(request, self.policy.config.message_before_login_bytes_max) {
            Err(unserved) => self.refuse_request(now, key, unserved),
            Ok(decoder) => {
                // `by` stays that of the head: `HANDSHAKE_TIMEOUT` bounds the whole request.
                self.sessions.set_state(
                    key,
                    State::Body {
                        by,
                        decoder,
                        held: Held::default(),
                        awaits_continue: request.expectation == Expectation::Continue,
                    },
                );
            }
        }
    }

    /// Takes bytes of a body, and begins the login once it is whole. What follows the body is not
    /// looked at (contract §1).
    fn receive_body(&mut self, now: Now, key: u32, bytes: &[u8]) {
        let body = match self.decode_body(key, bytes) {
            Ok(Some(body)) => body,
            Ok(None) => return,
            Err(error) => {
                return self.refuse_request(now, key, Unserved::Body(error));
            }
        };
        // The server may have begun to stop while the body came.
        if self.stopping {
            return self.refuse_request(now, key, Unserved::Stopping);
        }
        // The request was in time. How long the password takes to check is our doing, and has its
        // own deadline.
        let by = now.monotonic + LOGIN_TIMEOUT;
        self.sessions.set_state(key, State::Answering { by });
        self.timer_wheel.schedule(key, by);
        self.refresh_users(now);
        let begun = match str::from_utf8(&body) {
            Ok(text) => Credentials::parse(text)
                .and_then(|credentials| self.begin_login(now, key, credentials, Via::Http)),
            Err(_) => Err(Fault::BadData("the body is not UTF-8")),
        };
        if let Err(fault) = begun {
            let fault = self.meter_no_login(now, key, fault);
            if let Fault::BadData(_) = fault {
                let what = ReportKind::Refused(CloseCause::Request(Unserved::NoLogin));
                self.report(now, key, what, None);
            }
            self.answer_http_login(now, key, Err(fault));
        }
    }
}

impl Core {
    /// Learns from a trusted proxy's request for which client it comes. Returns false when the
    /// request was refused.
    fn learn_client(&mut self, now: Now, key: u32, request: &Request<'_>) -> bool {
        let session = &self.sessions[key];
        if !session.is_proxy {
            // From any other peer these fields mean nothing. The log says so: the proxy may be
            // missing in `TRUSTED_PROXIES`.
            if forwarded::is_told(request) {
                self.notice(now, key, ReportKind::ForwardedIgnored);
            }
            return true;
        }
        let is_named = session.is_named;
        // With `PROXY_PROTOCOL` the header alone counts. It has named no client, and these fields
        // may be the client's own words, which the proxy passes on.
        if self.policy.config.proxy_protocol && !is_named {
            if request.path != "/health" {
                self.notice(now, key, ReportKind::HeaderUnnamed);
            }
            return true;
        }
        let trusted = |address| self.policy.config.trusted_proxies.contains(address);
        let client = match session.peer.address {
            // A PROXY header has named the client already.
            Some(_) if session.is_counted => return true,
            Some(peer) => forwarded::client(request, peer, trusted),
            None => forwarded::client_of_trusted_peer(request, trusted),
        };
        match client {
            Ok(Some(client)) => match self.name_client(now, key, Peer::from(client)) {
                Ok(()) => true,
                Err(why) => {
                    self.refuse_client(now, key, why);
                    false
                }
            },
            Ok(None) => {
                // A proxy's own health check comes for no client. Nor need a proxy name one that
                // was itself named by a PROXY header: it asks for itself.
                let is_check = request.path == "/health" && !forwarded::is_told_otherwise(request);
                if !is_named && !is_check {
                    self.notice(now, key, ReportKind::ClientUnnamed);
                }
                true
            }
            Err(error) => {
                self.refuse_with(now, key, CloseCause::Forwarded(error), |out, reply| {
                    error.write(out, reply);
                });
                false
            }
        }
    }

    /// Refuses the client that a proxy named: there is no room for it. The head is read by now, so
    /// it is told by 503 with `Retry-After` (contract §1).
    fn refuse_client(&mut self, now: Now, key: u32, why: NoRoom) {
        let cause = CloseCause::NoRoom(why);
        let address = self.sessions[key].peer.key();
        // A banned client is told when its ban ends.
        let ban = address.map(|address| self.bans.left(address, now.monotonic));
        let wait = answer::whole_seconds(ban.unwrap_or_default()).max(1);
        self.refuse_with(now, key, cause, |out, reply| {
            let fields: &[ResponseField<'_>] = &[("Retry-After", &wait)];
            let status = Status::ServiceUnavailable;
            response::write_line(out, reply, status, fields, &cause.reason());
        });
    }

    /// Sends `100 Continue` to a client that waits for it before it sends its body (RFC 9110
    /// §10.1.1).
    fn ask_for_body(&mut self, now: Now, key: u32) {
        let is_asked = self.sessions.change(key, |state| match state {
            State::Body {
                awaits_continue, ..
            } => mem::take(awaits_continue),
            _ => false,
        });
        if is_asked {
            self.push(now, key, response::write_continue);
        }
    }

    /// Answers 101: the connection is a WebSocket from now on.
    fn open(&mut self, now: Now, key: u32, upgrade: &Upgrade<'_>) {
        let open = Open::new(now.monotonic);
        self.sessions.set_state(key, State::Open(open));
        self.push(now, key, |out| upgrade.accept(out));
        // The deadline of the request gives way to the one for the first valid token.
        self.schedule(now, key);
    }
}

/// Returns how the body of a login is to be decoded.
///
/// # Errors
/// Why it is refused ahead of its first byte: no length, two, one over `bytes_max`, or a coding
/// that the server does not know.
fn body_of(request: &Request<'_>, bytes_max: usize) -> Result<BodyDecoder, Unserved> {
    match (request.transfer_encoding, request.content_length) {
        (TransferEncoding::Other, _) => Err(Unserved::Coding),
        // RFC 9112 §6.1: both together may be an attempt to smuggle a request past a proxy.
        (TransferEncoding::Chunked, Some(_)) => Err(Unserved::LengthTwice),
        (TransferEncoding::Absent, None) => Err(Unserved::LengthMissing),
        _ if request.expectation == Expectation::Unknown => Err(Unserved::Expectation),
        (TransferEncoding::Chunked, None) => Ok(BodyDecoder::chunked(bytes_max)),
        (TransferEncoding::Absent, Some(bytes)) => match usize::try_from(bytes) {
            Ok(bytes) if bytes <= bytes_max => Ok(BodyDecoder::announced(bytes)),
            _ => Err(Unserved::TooLong),
        },
    }
}
