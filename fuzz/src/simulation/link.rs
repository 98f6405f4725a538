//! One connection: what its peer says and hears, and what it is owed.

use std::collections::VecDeque;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use framegate::internals::limits::READ_BYTES_PER_SECOND_MIN;
use framegate::internals::server::ConnectionId;
use framegate::internals::time::Instant;

use super::arrival::ARRIVAL_BYTES_MAX;
use super::client_bytes::{Mark, Request, Said, Script};
use super::people::VerifiedToken;
use super::sockets::Socket;
use crate::client_parser::ClientParser;

/// How a peer behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerKind {
    Honest,
    /// Says little and listens.
    Silent,
    /// Takes a little at a time.
    Slow,
    /// Takes nothing after the first kilobytes.
    Deaf,
    /// As deaf, and says Pings alone: it never logs in.
    Pinging,
    /// Says as much as it can.
    Flooding,
    /// Shows tokens that are bad, or other people's.
    Forging,
    /// Breaks rules.
    Rude,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its request has not wholly come.
    Asking,
    /// Its password is being checked, until then.
    Waiting {
        by: Instant,
    },
    Open,
    /// It asked to be logged out, in a frame with this id, and is told by then what became of that.
    /// Nothing more is read of it.
    LoggingOut {
        user: usize,
        frame: Option<u32>,
        by: Instant,
    },
    /// Nothing more is read of it, from then on.
    Over(Over),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Over {
    pub(super) at: Instant,
    /// The code of its last error, if it is to hear one.
    pub(super) error: Option<&'static str>,
    /// The code of its Close; `Some(None)` is a Close without one.
    pub(super) close: Option<Option<u16>>,
    /// True when what it was owed need not have come: it was dropped, or cut off.
    pub(super) is_cut: bool,
}

/// Somebody logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) user: usize,
    pub(super) issued_at: u64,
    pub(super) expires_at: u64,
}

/// A login that was said in a frame and not yet answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Login {
    pub(super) id: u32,
    pub(super) is_right: bool,
}

/// What a peer is to hear, in this order.
#[derive(Clone, Debug)]
pub(super) struct Owed {
    pub(super) what: Expected,
    /// False when it may as well not come.
    pub(super) is_sure: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// An HTTP answer with one of these.
    Answer(Vec<u16>),
    Reply {
        id: u32,
        event: &'static str,
        /// The mistakes it may be told of instead.
        errors: &'static [&'static str],
        /// For `message`: to how many, at the least and at the most.
        delivered: Option<(u64, u64)>,
        /// For `getUser`: whether that user is there.
        is_online: Option<bool>,
    },
    Broadcast {
        nonce: u32,
        from: usize,
    },
    Pong(Vec<u8>),
    /// A message was too much: `rate_limited`, with when to try again.
    Limit {
        id: Option<u32>,
    },
}

pub(super) struct Link {
    pub(super) id: ConnectionId,
    /// What it counts by, once `is_counted`; before that, its proxy's.
    pub(super) address: Ipv4Addr,
    pub(super) is_counted: bool,
    /// From where its connection comes.
    pub(super) came_from: Ipv4Addr,
    /// For whom it comes, when it is a proxy's.
    pub(super) client: Option<Ipv4Addr>,
    pub(super) kind: PeerKind,
    pub(super) stage: Stage,
    pub(super) member: Option<Member>,
    pub(super) logins: Vec<Login>,
    /// Logins that were granted, or denied, and of which it has not heard.
    pub(super) grants: u32,
    pub(super) denials: u32,
    pub(super) login_failures: u8,
    /// When it would be due again, had it kept exactly to its rate, in microseconds.
    pub(super) meter_micros: u64,

    // To the server.
    /// What it has said and the server has not yet been given.
    pub(super) outgoing: Vec<u8>,
    /// Bytes the server has read.
    pub(super) sent: usize,
    pub(super) marks: VecDeque<Mark>,

    // From the server.
    pub(super) end: Socket,
    pub(super) owed: VecDeque<Owed>,
    pub(super) heard: ClientParser,
    /// True once it has heard its last error.
    pub(super) heard_error: bool,
    /// True once it has heard a Close.
    pub(super) heard_close: bool,
    pub(super) has_fin: bool,
    /// True once its FIN was seen while its WebSocket was open: it ends when its login is answered.
    pub(super) has_finished: bool,
    /// True once it sent more than is dropped at once, after its end.
    pub(super) has_flooded: bool,
    /// Turns since bytes for it could be written and were not.
    pub(super) turns_waited: u32,
    /// True once it was refused for a hostile cause.
    pub(super) is_hostile: bool,
    /// Tokens it was given.
    pub(super) new_tokens: Vec<String>,
    /// True when it was asked for a sign of life.
    pub(super) is_asked: bool,
    /// When it heard the last Ping, if nothing was heard of it since.
    pub(super) asked_at: Option<Instant>,
    /// True when its socket took less than it was last offered.
    pub(super) is_full: bool,
    /// True when its socket will say that it takes bytes again.
    pub(super) wants_writable: bool,
    /// The token it shows again and again.
    pub(super) pass: Option<VerifiedToken>,

    // Times.
    pub(super) accepted_at: Instant,
    pub(super) opened_at: Instant,
    /// When a password of its was last being checked, or waited for that.
    pub(super) password_at: Instant,
    /// When bytes for it last waited for their turn to be written.
    pub(super) waited_at: Instant,
    /// When it was last heard of, or took bytes though its socket was full.
    pub(super) alive_at: Instant,
    /// When the last byte that waited was taken, or by when it was read by a steady reader.
    pub(super) caught_up_at: Instant,
    /// Since when something is said in part.
    pub(super) unfinished_since: Option<Instant>,
    /// True between the fragments of a message.
    pub(super) is_in_message: bool,
    /// True when its socket took less than it was offered, when what is read at the moment came or
    /// since.
    pub(super) was_stalled: bool,
    /// Since when bytes wait and its socket took none.
    pub(super) stalled_since: Option<Instant>,
    /// Since when the token it lives by is over, as far as we looked.
    pub(super) expired_since: Option<Instant>,
}

/// What one wants to see when something did not come.
impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("stage", &self.stage)
            .field("member", &self.member)
            .field("owed", &self.owed)
            .field("room", &self.end.borrow().room)
            .field("stalled_since", &self.stalled_since)
            .field("has_finished", &self.has_finished)
            .field("waited_at", &self.waited_at)
            .finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(
        id: ConnectionId,
        address: Ipv4Addr,
        kind: PeerKind,
        end: Socket,
        now: Instant,
    ) -> Link {
        end.borrow_mut().room = match kind {
            PeerKind::Deaf => 3_000,
            PeerKind::Slow | PeerKind::Pinging => 400,
            _ => usize::MAX / 2,
        };
        Link {
            id,
            address,
            is_counted: true,
            came_from: address,
            client: None,
            kind,
            stage: Stage::Asking,
            member: None,
            logins: Vec::new(),
            grants: 0,
            denials: 0,
            login_failures: 0,
            meter_micros: 0,
            outgoing: Vec::new(),
            sent: 0,
            marks: VecDeque::new(),
            end,
            owed: VecDeque::new(),
            heard: ClientParser::default(),
            heard_error: false,
            heard_close: false,
            has_fin: false,
            has_finished: false,
            has_flooded: false,
            turns_waited: 0,
            is_hostile: false,
            new_tokens: Vec::new(),
            is_asked: false,
            asked_at: None,
            is_full: false,
            wants_writable: false,
            pass: None,
            accepted_at: now,
            opened_at: now,
            password_at: now,
            waited_at: now,
            alive_at: now,
            caught_up_at: now,
            unfinished_since: None,
            is_in_message: false,
            expired_since: None,
            was_stalled: false,
            stalled_since: None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_))
    }

    /// True once its socket has failed, of which the server may not have heard.
    pub(super) fn is_broken(&self) -> bool {
        self.end.borrow().has_failed
    }

    /// True once nothing more is read of it.
    pub(super) fn is_read_no_more(&self) -> bool {
        matches!(self.stage, Stage::LoggingOut { .. } | Stage::Over(_))
    }

    /// True once its `POST /login` may have been answered without its password being checked.
    pub(super) fn is_given_up(&self) -> bool {
        matches!(self.stage, Stage::Waiting { .. }) && !self.owed.is_empty()
    }

    pub(super) fn say(&mut self, script: Script) {
        let begin = self.sent + self.end.borrow().arrived.len() + self.outgoing.len();
        self.outgoing.extend_from_slice(&script.bytes);
        self.marks.extend(script.marks.into_iter().map(|mark| Mark {
            begin: mark.begin + begin,
            end: mark.end + begin,
            said: mark.said,
        }));
    }

    /// Its socket was offered bytes, and took `count` of them.
    pub(super) fn note_progress(&mut self, count: usize, offered: usize, now: Instant) {
        self.turns_waited = 0;
        self.wants_writable |= count < offered;
        self.was_stalled |= count < offered;
        if std::mem::replace(&mut self.is_full, count < offered) && count > 0 {
            self.alive_at = now;
            self.asked_at = None;
        }
        let reading = count as f64 / READ_BYTES_PER_SECOND_MIN as f64;
        self.caught_up_at = self.caught_up_at.max(now) + Duration::from_secs_f64(reading);
        if count == offered {
            self.stalled_since = None;
        } else if count > 0 || self.stalled_since.is_none() {
            self.stalled_since = Some(now);
        }
    }

    /// The next bytes of what it has said, on their way to the server.
    pub(super) fn next_piece(&mut self, bytes: usize) -> Vec<u8> {
        if self.has_finished {
            return Vec::new();
        }
        let rest = self.outgoing.split_off(bytes.min(self.outgoing.len()));
        std::mem::replace(&mut self.outgoing, rest)
    }

    /// Whether it has something to say that arrives with its FIN. What ends with a Close does not: the
    /// peer leaves by that.
    pub(super) fn has_last_words(&self) -> bool {
        let leaves_by_itself = self.marks.iter().any(|mark| mark.said.is_close());
        let fits = (1..=ARRIVAL_BYTES_MAX).contains(&self.outgoing.len());
        fits && !leaves_by_itself
    }

    /// How many bytes it says no sooner than with its FIN.
    pub(super) fn bytes_kept_back(&self) -> usize {
        self.end.borrow().kept_back.unwrap_or_default()
    }

    /// Its FIN was heard.
    pub(super) fn note_finished(&mut self) {
        self.has_finished |= self.stage == Stage::Open;
    }

    /// The next thing it has said to the end, if there is one.
    pub(super) fn next_mark(&mut self) -> Option<Mark> {
        match self.marks.front() {
            Some(mark) if mark.end <= self.sent => self.marks.pop_front(),
            _ => None,
        }
    }

    /// What it has begun to say, where that is wrong already.
    pub(super) fn begun_mark(&mut self) -> Option<Mark> {
        let is_wrong = |said: &Said| {
            matches!(
                said,
                Said::Broken(_) | Said::NoClient | Said::Request(Request::Plain(_))
            )
        };
        let mark = self.marks.front()?;
        match mark.begin < self.sent && is_wrong(&mark.said) {
            true => self.marks.pop_front(),
            false => None,
        }
    }

    /// True when something is said in part.
    pub(super) fn is_unfinished(&self) -> bool {
        let is_begun = |mark: &Mark| mark.begin < self.sent;
        self.is_in_message || self.marks.front().is_some_and(is_begun)
    }

    /// Whether its descriptor may be closed with a reset. Where more was sent than is dropped at once,
    /// the peer has had time to read what it was told last; one whose socket failed reads nothing.
    pub(super) fn may_be_reset(&self, now: Instant, linger: Duration) -> bool {
        let Stage::Over(over) = self.stage else {
            return self.is_hostile || self.stalled_since.is_some();
        };
        let has_flooded = self.has_flooded && over.at + linger <= now;
        over.is_cut
            || self.is_broken()
            || has_flooded
            || self.is_hostile
            || self.stalled_since.is_some()
    }

    pub(super) fn owe(&mut self, what: Expected, is_sure: bool) {
        self.owed.push_back(Owed { what, is_sure });
    }

    /// The answer to a `POST /login`, unless it was given up and that may have been answered.
    pub(super) fn owe_answer(&mut self, status: u16) {
        if self.owed.is_empty() {
            self.owe(Expected::Answer(vec![status]), true);
        }
    }

    pub(super) fn owe_reply(
        &mut self,
        id: Option<u32>,
        event: &'static str,
        errors: &'static [&'static str],
        is_sure: bool,
    ) {
        // Without an id a reply cannot be told from another; the peers here always give one
        // where they are answered.
        let Some(id) = id else { return };
        let what = Expected::Reply {
            id,
            event,
            errors,
            delivered: None,
            is_online: None,
        };
        self.owe(what, is_sure);
    }
}
