//! What is read in sight of the tap, where there is one.

use std::mem;

use crate::server::connection::ConnectionId;
use crate::server::core::Core;
use crate::server::parts::sessions::State;
use crate::server::tap::Tap;
use crate::wire::{BodyError, Endpoint, Event, Held, Violation};

impl Core {
    /// Tells the tap, where there is one.
    pub(crate) fn tell_tap(&mut self, key: u32, tell: impl FnOnce(&mut dyn Tap, ConnectionId)) {
        let id = self.sessions.id(key);
        if let Some(tap) = &mut self.tap {
            tell(&mut **tap, id);
        }
    }

    /// Reads the next frame, in sight of the tap.
    pub(crate) fn next_event<'i>(
        &mut self,
        key: u32,
        endpoint: &mut Endpoint,
        bytes: &mut &'i mut [u8],
    ) -> Result<Option<Event<'i>>, Violation> {
        let rules = self.message_rules(key);
        let id = self.sessions.id(key);
        let Some(tap) = &mut self.tap else {
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

    /// Takes more bytes of the body that is coming, in sight of the tap. Gives back the body once it
    /// is whole.
    pub(crate) fn decode_body(
        &mut self,
        key: u32,
        mut bytes: &[u8],
    ) -> Result<Option<Held>, BodyError> {
        let id = self.sessions.id(key);
        let tap = &mut self.tap;
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
            Ok(is_whole.then(|| mem::take(held)))
        })?;
        if let (Some(tap), Some(body)) = (&mut self.tap, &body) {
            tap.body(id, body);
        }
        Ok(body)
    }
}
