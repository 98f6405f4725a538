//! A tap: it is handed what peers send, each part as soon as the core has it. There is none but where
//! a recording is made.

use std::mem;

use crate::wire::{BodyError, Endpoint, Event, Head, Held, Part, Violation};

use super::Server;
use super::hub::Hub;
use super::session::{ConnectionId, State};

/// Is told what peers send, as the core takes it apart. Each byte that the core has judged is told
/// once, in the order of its connection's stream; those of an unfinished head are not, nor those that
/// the core does not look at.
pub trait Tap {
    /// The next bytes of a PROXY header; of what is none, up to the one that shows it.
    fn proxy(&mut self, id: ConnectionId, bytes: &[u8]);

    /// A whole head.
    fn head(&mut self, id: ConnectionId, head: Head<'_>);

    /// All bytes of what is no head, up to the one that shows it.
    fn no_head(&mut self, id: ConnectionId, bytes: &[u8]);

    /// A part of a body or of a frame.
    fn part(&mut self, id: ConnectionId, part: Part<'_>);

    /// The content since the head is a whole body, this one.
    fn body(&mut self, id: ConnectionId, body: &[u8]);

    /// A frame is whole, or has broken a rule. The content since the last message is that of the
    /// event, where that is a message.
    fn frame(&mut self, id: ConnectionId, frame: Result<&Event<'_>, Violation>);

    /// The connection has ended.
    fn ended(&mut self, id: ConnectionId);
}

impl Server {
    /// Has `tap` told from now on, or nobody.
    pub fn set_tap(&mut self, tap: Option<Box<dyn Tap>>) {
        self.hub.tap = tap;
    }
}

impl Hub {
    /// Tells the tap, where there is one.
    pub(super) fn tell_tap(&mut self, key: u32, tell: impl FnOnce(&mut dyn Tap, ConnectionId)) {
        let id = self.id(key);
        if let Some(tap) = &mut self.tap {
            tell(&mut **tap, id);
        }
    }

    /// Reads the next frame, in sight of the tap.
    pub(super) fn next_event<'i>(
        &mut self,
        key: u32,
        endpoint: &mut Endpoint,
        bytes: &mut &'i mut [u8],
    ) -> Result<Option<Event<'i>>, Violation> {
        let rules = self.message_rules(key);
        let id = self.id(key);
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
    pub(super) fn decode_body(
        &mut self,
        key: u32,
        mut bytes: &[u8],
    ) -> Result<Option<Held>, BodyError> {
        let id = self.id(key);
        let State::Body { held, decoder, .. } = &mut self.sessions[key as usize].state else {
            return Ok(None);
        };
        let is_whole = decoder.decode(&mut bytes, |part| {
            held.extend_from_slice(part.content());
            if let Some(tap) = &mut self.tap {
                tap.part(id, part);
            }
        })?;
        let body = is_whole.then(|| mem::take(held));
        if let (Some(tap), Some(body)) = (&mut self.tap, &body) {
            tap.body(id, body);
        }
        Ok(body)
    }
}
