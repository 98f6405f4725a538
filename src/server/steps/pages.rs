//! Which pages a browser may ask us for, and what it may tell them (RFC 6455 §10.2, Fetch).

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
    /// The origins whose pages may ask on this connection. What comes over the loopback interface
    /// and through no proxy that is trusted comes from this machine, maybe by a name that somebody
    /// else has lead there. `LISTEN` decides, and not the peer alone: a port that is forwarded to
    /// a container may come from its loopback too.
    pub(crate) fn origins(&self, key: u32) -> Origins<'_> {
        let session = &self.sessions[key];
        let is_loopback = |address: &IpAddr| address.is_loopback();
        let listens = |listen: &Listen| match listen {
            Listen::Tcp(address) => is_loopback(&address.ip().to_canonical()),
            Listen::Unix(_) => false,
        };
        let is_at_risk = !session.is_proxy
            && session.peer.address.as_ref().is_some_and(is_loopback)
            && self.policy.config.listen.iter().any(listens);
        match is_at_risk {
            true => Origins::LoopbackAnd(&self.policy.config.origins),
            false => Origins::OwnAnd(&self.policy.config.origins),
        }
    }

    /// Whether the page that asks may, before anything is spent on it. One of `ORIGINS` may read
    /// the answer.
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

    /// `OPTIONS /login`: a browser asks whether a page of another origin may log in (Fetch §4.8).
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
        // What is allowed is told to a page of another origin alone.
        let told = match self.sessions[key].listed_origin {
            Some(_) => fields,
            None => &fields[..1],
        };
        self.report(now, key, ReportKind::Closed(CloseCause::Done), None);
        self.respond(now, key, Status::Ok, told, TEXT, b"");
    }
}
