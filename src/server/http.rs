//! Plain HTTP: a request's head and body, the routes, and the upgrade. A connection carries one
//! request; its answer is the last thing on it, unless that is a 101.

use std::mem;

use crate::app::{Credentials, Fault, write_session};
use crate::gate::{self, Minted};
use crate::limits::LOGIN_TIMEOUT;
use crate::time::{Instant, Now};
use crate::wire::response::{self, Reply, Response, ResponseField, Status};
use crate::wire::{
    BodyDecoder, Endpoint, Expectation, Head, HeadError, HeadScanner, Held, ProxyHeader, Rejection,
    Request, TokenSource, TransferEncoding, Upgrade, forwarded, head,
};

use super::Ending;
use super::cause::{Cause, NoRoom};
use super::hub::Hub;
use super::login::Via;
use super::rates::Meter;
use super::report::What;
use super::session::{Open, Peer, Ping, State};
use super::unserved::Unserved;
use super::{Server, answer};

const JSON: &str = "application/json";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
/// RFC 9110 §15.6.4: when to come back, in seconds.
const UNAVAILABLE_FIELDS: &[ResponseField<'_>] = &[("Retry-After", &"1")];

impl Server {
    /// Bytes of a PROXY protocol header, and of the head after it.
    pub(super) fn receive_proxy(&mut self, now: Now, key: u32, bytes: &[u8]) {
        let State::Proxy { by, held } = &mut self.hub.sessions[key as usize].state else {
            return;
        };
        let held_bytes = held.len();
        held.extend_from_slice(bytes);
        let (by, mut held) = (*by, mem::take(held));
        self.hub.tell_tap(key, |tap, id| {
            tap.proxy(id, &held[held_bytes..ProxyHeader::judged_bytes(&held)]);
        });
        match ProxyHeader::parse(&held) {
            Ok(Some(header)) => {
                self.hub.sessions[key as usize].state = State::Head {
                    by,
                    scanner: HeadScanner::default(),
                    held: Held::default(),
                };
                if let Some(source) = header.source
                    && let Err(why) = self.hub.name_client(now, key, Peer::from(source))
                {
                    // Not a byte of a request has been read.
                    let what = What::Refused(Cause::NoRoom(why));
                    return self.hub.abandon(now, key, what, Ending::Reset);
                }
                self.receive_head(now, key, &mut held[header.bytes_used..]);
            }
            Ok(None) => {
                self.hub.sessions[key as usize].state = State::Proxy { by, held };
                self.hub.account(key);
            }
            // proxy-protocol.txt §2.1: the connection is to be aborted.
            Err(error) => {
                let what = What::Refused(Cause::Proxy(error));
                self.hub.abandon(now, key, what, Ending::Reset);
            }
        }
    }

    /// Bytes of a head. Only an unfinished one is kept.
    pub(super) fn receive_head(&mut self, now: Now, key: u32, bytes: &mut [u8]) {
        let State::Head { by, scanner, held } = &mut self.hub.sessions[key as usize].state else {
            return;
        };
        let (by, mut scanner, mut kept) = (*by, mem::take(scanner), mem::take(held));
        let is_first = kept.is_empty();
        if !is_first {
            kept.extend_from_slice(bytes);
        }
        let whole = if is_first { &mut *bytes } else { &mut kept[..] };
        match scanner.scan(whole) {
            Ok(Some(head)) => {
                let head_bytes = head.bytes_used();
                self.receive_request(now, key, by, head);
                self.receive_after_head(now, key, &mut whole[head_bytes..]);
                self.hub.ask_for_body(now, key);
            }
            Ok(None) => {
                if is_first {
                    kept.extend_from_slice(bytes);
                }
                self.hub.sessions[key as usize].state = State::Head {
                    by,
                    scanner,
                    held: kept,
                };
                self.hub.account(key);
            }
            Err(error) => {
                let judged = &whole[..scanner.judged_bytes()];
                self.hub.tell_tap(key, |tap, id| tap.no_head(id, judged));
                self.hub.sessions[key as usize].asks_head = head::asks_head(whole);
                self.hub.refuse_head(now, key, error);
            }
        }
    }

    fn receive_request(&mut self, now: Now, key: u32, by: Instant, head: Head<'_>) {
        self.hub.tell_tap(key, |tap, id| tap.head(id, head));
        self.hub.sessions[key as usize].asks_head = head::asks_head(head.bytes());
        let request = match Request::parse(head) {
            Ok(request) => request,
            Err(error) => return self.hub.refuse_head(now, key, error),
        };
        if !self.hub.learn_client(now, key, &request) {
            return;
        }
        let refuse = |hub: &mut Hub, unserved| hub.refuse_request(now, key, unserved);
        match (request.path, request.method) {
            ("/ws", "GET") | ("/login", "POST") if self.hub.stopping => {
                refuse(&mut self.hub, Unserved::Stopping);
            }
            ("/ws", "GET" | "HEAD") => self.receive_upgrade(now, key, &request),
            ("/login", "POST") => self.receive_login(now, key, by, &request),
            ("/login", "OPTIONS") => self.hub.answer_preflight(now, key, &request),
            ("/health", "GET" | "HEAD") => self.hub.answer_health(now, key),
            ("/ws" | "/health", _) => refuse(&mut self.hub, Unserved::NotGet),
            ("/login", _) => refuse(&mut self.hub, Unserved::NotPost),
            _ => refuse(&mut self.hub, Unserved::Path),
        }
    }

    /// Bytes after a head: a body's, or frames. They are the same whether they came with the
    /// head or later; what nobody waits for is not looked at.
    pub(super) fn receive_after_head(&mut self, now: Now, key: u32, bytes: &mut [u8]) {
        match self.hub.sessions[key as usize].state {
            State::Body { .. } => self.receive_body(now, key, bytes),
            State::Open(_) if !bytes.is_empty() => self.receive_frames(now, key, bytes),
            _ => {}
        }
    }

    /// `GET /ws` (RFC 6455 §4.2).
    fn receive_upgrade(&mut self, now: Now, key: u32, request: &Request<'_>) {
        let upgrade = match Upgrade::check(request, self.hub.origins(key)) {
            Ok(upgrade) => upgrade,
            Err(rejection) => {
                return self
                    .hub
                    .refuse_upgrade(now, key, Cause::Upgrade(rejection), rejection);
            }
        };
        let Some(token) = upgrade.token else {
            return match self.hub.config.require_handshake_token {
                true => {
                    let rejection = Rejection::NoToken;
                    self.hub
                        .refuse_upgrade(now, key, Cause::Upgrade(rejection), rejection);
                }
                false => self.hub.open(now, key, &upgrade),
            };
        };
        self.hub.refresh_users(now);
        match self
            .gate
            .admit_token(token.text, None, &mut self.hub, now.unix)
        {
            Ok(pass) => {
                self.hub.open(now, key, &upgrade);
                self.hub.admit(now, key, &pass);
            }
            // A browser shows a script nothing of a 401: it is let in, and told at once.
            Err(cause) if token.source == TokenSource::Subprotocol => {
                self.hub.open(now, key, &upgrade);
                self.hub.refuse(now, key, Cause::Gate(cause), None, None);
            }
            Err(cause) => self.hub.refuse_token(now, key, cause),
        }
    }

    /// The head of a `POST /login`.
    fn receive_login(&mut self, now: Now, key: u32, by: Instant, request: &Request<'_>) {
        if !self.hub.let_page_in(now, key, request) {
            return;
        }
        match body_of(request, self.hub.config.message_before_login_bytes_max) {
            Err(unserved) => self.hub.refuse_request(now, key, unserved),
            Ok(decoder) => {
                self.hub.sessions[key as usize].state = State::Body {
                    by,
                    decoder,
                    held: Held::default(),
                    awaits_continue: request.expectation == Expectation::Continue,
                };
            }
        }
    }

    /// Bytes of a body, and what follows it, which is not looked at.
    fn receive_body(&mut self, now: Now, key: u32, bytes: &[u8]) {
        let body = match self.hub.decode_body(key, bytes) {
            Ok(Some(body)) => body,
            Ok(None) => return self.hub.account(key),
            Err(error) => {
                return self.hub.refuse_request(now, key, Unserved::Body(error));
            }
        };
        if self.hub.stopping {
            return self.hub.refuse_request(now, key, Unserved::Stopping);
        }
        let by = now.monotonic + LOGIN_TIMEOUT;
        self.hub.sessions[key as usize].state = State::Answering { by };
        self.hub.timer_wheel.schedule(key, by);
        self.hub.account(key);
        self.hub.refresh_users(now);
        let begun = match str::from_utf8(&body) {
            Ok(text) => Credentials::parse(text)
                .and_then(|credentials| self.hub.begin_login(now, key, credentials, Via::Http)),
            Err(_) => Err(Fault::BadData("the body is not UTF-8")),
        };
        if let Err(fault) = begun {
            let fault = self.hub.meter_no_login(now, key, fault);
            if let Fault::BadData(_) = fault {
                let what = What::Refused(Cause::Request(Unserved::NoLogin));
                self.hub.report(now, key, what, None);
            }
            self.hub.answer_http_login(now, key, Err(fault));
        }
    }
}

impl Hub {
    /// Learns from a trusted proxy's request for which client it comes. Returns whether the
    /// request may go on.
    fn learn_client(&mut self, now: Now, key: u32, request: &Request<'_>) -> bool {
        let session = &self.sessions[key as usize];
        if !session.is_proxy {
            if forwarded::is_told(request) {
                self.notice(now, key, What::ForwardedIgnored);
            }
            return true;
        }
        let is_named = session.is_named;
        if self.config.proxy_protocol && !is_named {
            // The PROXY header names nobody, and the fields may be a client's own words.
            if request.path != "/health" {
                self.notice(now, key, What::HeaderUnnamed);
            }
            return true;
        }
        let trusted = |address| self.config.trusted_proxies.contains(address);
        let client = match session.peer.address {
            // A PROXY header has named it.
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
                // A proxy's own check names nobody, and need not; nor need a proxy that a PROXY
                // header named, which asks for itself.
                let is_check = request.path == "/health" && !forwarded::is_told_otherwise(request);
                if !is_named && !is_check {
                    self.notice(now, key, What::ClientUnnamed);
                }
                true
            }
            Err(error) => {
                self.refuse_with(now, key, Cause::Forwarded(error), |out, reply| {
                    error.write(out, reply);
                });
                false
            }
        }
    }

    /// There is no place for the client a proxy named.
    fn refuse_client(&mut self, now: Now, key: u32, why: NoRoom) {
        let cause = Cause::NoRoom(why);
        let address = self.sessions[key as usize].peer.key();
        let ban = address.map(|address| self.bans.left(address, now.monotonic));
        let wait = answer::whole_seconds(ban.unwrap_or_default()).max(1);
        self.refuse_with(now, key, cause, |out, reply| {
            let fields: &[ResponseField<'_>] = &[("Retry-After", &wait)];
            let status = Status::ServiceUnavailable;
            response::write_line(out, reply, status, fields, &cause.reason());
        });
    }

    /// RFC 9110 §10.1.1: the client waits to be asked for a body that we want and it did not send.
    fn ask_for_body(&mut self, now: Now, key: u32) {
        if let State::Body {
            awaits_continue, ..
        } = &mut self.sessions[key as usize].state
            && mem::take(awaits_continue)
        {
            self.push(now, key, response::write_continue);
        }
    }

    /// 101, and the connection is a WebSocket.
    fn open(&mut self, now: Now, key: u32, upgrade: &Upgrade<'_>) {
        let open = Open {
            endpoint: Endpoint::default(),
            meter: Meter::default(),
            opened_at: now.monotonic,
            message_since: None,
            alive_at: now.monotonic,
            ping: Ping::None,
            is_socket_full: false,
            read_by: now.monotonic,
            login_failures: 0,
            login_pending: false,
        };
        self.sessions[key as usize].state = State::Open(open);
        self.push(now, key, |out| upgrade.accept(out));
        self.schedule(now, key);
    }

    fn answer_health(&mut self, now: Now, key: u32) {
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
        self.report(now, key, What::Closed(Cause::Done), None);
        self.respond(now, key, status, fields, TEXT, body.as_bytes());
    }

    /// What a `POST /login` came to.
    pub(super) fn answer_http_login(&mut self, now: Now, key: u32, result: Result<Minted, Fault>) {
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
                    // RFC 9110 §15.5.2: a 401 names a way in.
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

    /// Answers a request that leads nowhere.
    fn refuse_request(&mut self, now: Now, key: u32, unserved: Unserved) {
        self.refuse_with(now, key, Cause::Request(unserved), |out, reply| {
            let (status, reason) = (unserved.status(), unserved.reason());
            response::write_line(out, reply, status, unserved.fields(), &reason);
        });
    }

    fn refuse_head(&mut self, now: Now, key: u32, error: HeadError) {
        self.refuse_with(now, key, Cause::Head(error), |out, reply| {
            error.write(out, reply);
        });
    }

    pub(super) fn refuse_upgrade(
        &mut self,
        now: Now,
        key: u32,
        cause: Cause,
        rejection: Rejection,
    ) {
        self.refuse_with(now, key, cause, |out, reply| rejection.write(out, reply));
    }

    /// A token in `Authorization` that lets nobody in (RFC 6750 §3.1).
    fn refuse_token(&mut self, now: Now, key: u32, cause: gate::Cause) {
        let (status, fields) = match cause {
            gate::Cause::Forbidden(_) => (Status::Forbidden, &[][..]),
            gate::Cause::Unavailable => (Status::ServiceUnavailable, UNAVAILABLE_FIELDS),
            _ => {
                return self.refuse_upgrade(now, key, Cause::Gate(cause), Rejection::Token);
            }
        };
        self.refuse_with(now, key, Cause::Gate(cause), |out, reply| {
            response::write_line(out, reply, status, fields, &cause);
        });
    }

    fn refuse_with(
        &mut self,
        now: Now,
        key: u32,
        cause: Cause,
        write: impl FnOnce(&mut Vec<u8>, Reply<'_>),
    ) {
        self.report(now, key, What::Refused(cause), None);
        self.reply(now, key, write);
    }

    pub(super) fn respond(
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

    /// Gives a request its answer, the last thing on its connection.
    fn reply(&mut self, now: Now, key: u32, write: impl FnOnce(&mut Vec<u8>, Reply<'_>)) {
        let session = &mut self.sessions[key as usize];
        let place = session.listed_origin.map(usize::from);
        let reply = Reply {
            date: now.unix,
            is_to_head: session.asks_head,
            reader: place.and_then(|place| self.config.origins.get(place).map(String::as_str)),
        };
        session
            .outbox
            .push(&mut self.pool, now.monotonic, |out| write(out, reply));
        self.finish(now, key);
    }
}

/// How the body of a login comes.
fn body_of(request: &Request<'_>, bytes_max: usize) -> Result<BodyDecoder, Unserved> {
    match (request.transfer_encoding, request.content_length) {
        (TransferEncoding::Other, _) => Err(Unserved::Coding),
        // RFC 9112 §6.1: both together are an attempt to smuggle a request past somebody.
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
