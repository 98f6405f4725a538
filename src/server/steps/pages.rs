//! Requests of web pages: which pages may ask, and which may read the answer (RFC 6455 §10.2,
//! Fetch).
//!
//! Promises that a page of a foreign origin is refused before anything is spent on its request
//! (contract §1). Refuses to know how an `Origin` is compared: `wire::Origins` does that.

use std::net::IpAddr;

use crate::config::Listen;
use crate::time::Now;
use crate::wire::response::{ResponseField, Status};
use crate::wire::{Origins, Request};

use crate::server::answers::cause::CloseCause;
use crate::server::answers::report::ReportKind;
use crate::server::core::Core;
use crate::server::steps::respond::TEXT;

/// How long a browser may remember that a page of another origin may log in.
const PREFLIGHT_SECONDS: u32 = 600;

impl Core {
    /// Returns the origins whose pages may ask on this connection. Over the loopback interface a
    /// name is the server's own only if it can mean nothing else: by DNS rebinding, a page of an
    /// attacker reaches this machine under the attacker's name (contract §1).
    pub(crate) fn origins(&self, key: u32) -> Origins<'_> {
        let session = &self.sessions[key];
        let is_loopback = |address: &IpAddr| address.is_loopback();
        let listens = |listen: &Listen| match listen {
            Listen::Tcp(address) => is_loopback(&address.ip().to_canonical()),
            Listen::Unix(_) => false,
        };
        // `LISTEN` decides as well as the peer: where a port is forwarded to a container, peers
        // from elsewhere may come from its loopback address.
        let is_at_risk = !session.is_proxy
            && session.peer.address.as_ref().is_some_and(is_loopback)
            && self.policy.config.listen.iter().any(listens);
        match is_at_risk {
            true => Origins::LoopbackAnd(&self.policy.config.origins),
            false => Origins::OwnAnd(&self.policy.config.origins),
        }
    }

    /// Decides whether the page that asks may, before anything is spent on its request. Returns
    /// false when it was refused. A page of `ORIGINS` may read the answer, and is noted for that.
    pub(crate) fn let_page_in(&mut self, now: Now, key: u32, request: &Request<'_>) -> bool {
        match self.origins(key).check(request) {
            Ok(place) => {
                let place = place.and_then(|place| u8::try_from(place).ok());
                self.sessions[key].listed_origin = place;
                true
            }
            Err(rejection) => {
                self.refuse_upgrade(now, key, CloseCause::Upgrade(rejection), rejection);
                false
            }
        }
    }

    /// Answers `OPTIONS /login`: a browser asks whether a page of another origin may log in (Fetch
    /// §4.8).
    pub(crate) fn answer_preflight(&mut self, now: Now, key: u32, request: &Request<'_>) {
        if !self.let_page_in(now, key, request) {
            return;
        }
        let fields: &[ResponseField<'_>] = &[
            ("Allow", &"POST, OPTIONS"),
            ("Access-Control-Allow-Methods", &"POST"),
            ("Access-Control-Allow-Headers", &"Content-Type"),
            ("Access-Control-Max-Age", &PREFLIGHT_SECONDS),
        ];
        // Only a page of another origin needs to know what is allowed.
        let told = match self.sessions[key].listed_origin {
            Some(_) => fields,
            None => &fields[..1],
        };
        self.report(now, key, ReportKind::Closed(CloseCause::Done), None);
        self.respond(now, key, Status::Ok, told, TEXT, b"");
    }
}
