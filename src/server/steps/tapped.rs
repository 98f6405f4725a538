//! Reading bytes while a recording listens: the tap is told each head, body and frame as the core
//! takes the bytes apart.
//!
//! The tap is told the very values that the core goes by, so a recording parses nothing a second
//! time. Refuses to know what a recording is, and how it hides secrets.

use std::mem;

use crate::server::connection::ConnectionId;
use crate::server::core::Core;
use crate::server::parts::sessions::State;
use crate::server::tap::Tap;
use crate::wire::{BodyError, Endpoint, Event, Held, Violation};

impl Core {
    /// Calls `tell` with the tap and the connection's id; does nothing where there is no tap.
    pub(crate) fn tell_tap(&mut self, key: u32, tell: impl FnOnce(&mut dyn Tap, ConnectionId)) {
        let id = self.sessions.id(key);
        if let Some(tap) = &mut self.tap {
            tell(&mut **tap, id);
        }
    }

    /// Takes the next frame off the front of `bytes` and shows it to the tap. Returns `None` when
    /// no further frame is whole.
    ///
    /// # Errors
    /// Which clause of RFC 6455, or which bound, the peer broke. The caller must refuse the
    /// connection.
    pub(crate) fn next_event<'i>(
        &mut self,
        key: u32,
        endpoint: &mut Endpoint,
        bytes: &mut &'i mut [u8],
    ) -> Result<Option<Event<'i>>, Violation> {
        // Asked for each frame: the one before it may have logged the connection in, and then a
        // larger message is allowed.
        let rules = self.message_rules(key);
        let id = self.sessions.id(key);
        let Some(tap) = &mut self.tap else {
            // Without a recording, no part of a frame is handed out: that costs time for each
            // frame.
            return endpoint.next(bytes, rules);
        };
        let frame = endpoint.next_in_parts(bytes, rules, |part| tap.part(id, part));
        match &frame {
            Ok(Some(event)) => tap.frame(id, Ok(event)),
            Ok(None) => {}
            Err(violation) => tap.frame(id, Err(*violation)),
        }
        frame
    }

    /// Decodes more of a request's body, keeps its content and shows it to the tap. Returns the
    /// whole body with its last byte; `None` before that.
    ///
    /// # Errors
    /// Why the bytes are no such body: a chunk that is malformed (RFC 9112 §7.1), or too many
    /// bytes.
    pub(crate) fn decode_body(
        &mut self,
        key: u32,
        mut bytes: &[u8],
    ) -> Result<Option<Held>, BodyError> {
        let id = self.sessions.id(key);
        let tap = &mut self.tap;
        // `change` makes the ledger count what the session holds after this.
        let body = self.sessions.change(key, |state| {
            let State::Body { held, decoder, .. } = state else {
                return Ok(None);
            };
            let is_whole = decoder.decode(&mut bytes, |part| {
                held.extend_from_slice(part.content());
                if let Some(tap) = tap {
                    tap.part(id, part);
                }
            })?;
            // The body leaves the session, since it may hold a password: it is wiped when the
            // caller drops it.
            Ok(is_whole.then(|| mem::take(held)))
        })?;
        if let (Some(tap), Some(body)) = (&mut self.tap, &body) {
            tap.body(id, body);
        }
        Ok(body)
    }
}
