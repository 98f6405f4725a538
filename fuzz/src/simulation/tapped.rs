//! What the core's tap is told of what peers send: each byte that is judged, once, and each end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use framegate::internals::server::{ConnectionId, Tap};
use framegate::internals::wire::{Event, Head, Part, Violation};

use super::link::{Link, Stage};

/// What a tap was told.
#[derive(Clone, Default)]
pub(super) struct Tapped(Rc<RefCell<BTreeMap<u32, Told>>>);

/// Of one connection.
#[derive(Clone, Default)]
struct Told {
    bytes: usize,
    /// Bytes of content since the last head or message.
    content: Vec<u8>,
    /// What was told otherwise than it should be.
    broken: Option<&'static str>,
    has_ended: bool,
}

impl Tapped {
    pub(super) fn tap(&self) -> Box<dyn Tap> {
        Box::new(self.clone())
    }

    /// Of the connection so many bytes were told as were judged; all that was read, where nothing is
    /// unfinished. What its transport took off is not the core's.
    pub(super) fn check(&self, link: &Link, has_transport: bool) -> Result<(), String> {
        let told = self.0.borrow();
        let Some(told) = told.get(&link.id.serial) else {
            return Ok(());
        };
        let is_all = link.stage == Stage::Open && !link.is_unfinished() && !has_transport;
        let is_right = told.bytes <= link.sent && (!is_all || told.bytes == link.sent);
        match told.broken {
            Some(broken) => Err(format!("{broken}: {link:?}")),
            None if told.has_ended => Err(format!("an end is told too early: {link:?}")),
            None if !is_right => Err(format!(
                "a tap was told {} of {} bytes: {link:?}",
                told.bytes, link.sent
            )),
            None => Ok(()),
        }
    }

    /// The connection is no more, which the tap was told.
    pub(super) fn check_ended(&self, id: ConnectionId) -> Result<(), String> {
        match self.0.borrow_mut().remove(&id.serial) {
            Some(told) if told.has_ended => Ok(()),
            _ => Err(format!("the end of {id:?} was not told to the tap")),
        }
    }

    fn tell(&self, id: ConnectionId, bytes: usize, change: impl FnOnce(&mut Told)) {
        let mut all = self.0.borrow_mut();
        let told = all.entry(id.serial).or_default();
        if told.has_ended {
            told.broken = Some("something is told after the end");
        }
        told.bytes += bytes;
        change(told);
    }
}

impl Tap for Tapped {
    fn head(&mut self, id: ConnectionId, head: Head<'_>) {
        self.tell(id, head.bytes().len(), |told| told.content.clear());
    }

    fn no_head(&mut self, id: ConnectionId, bytes: &[u8]) {
        self.tell(id, bytes.len(), |_| {});
    }

    fn part(&mut self, id: ConnectionId, part: Part<'_>) {
        let (Part::Header(bytes, _)
        | Part::Framing(bytes)
        | Part::Unread(bytes)
        | Part::Content(bytes)
        | Part::Control(bytes)) = part;
        self.tell(id, bytes.len(), |told| {
            told.content.extend_from_slice(part.content());
        });
    }

    fn body(&mut self, id: ConnectionId, body: &[u8]) {
        self.tell(id, 0, |told| {
            if std::mem::take(&mut told.content) != body {
                told.broken = Some("a body is not its content");
            }
        });
    }

    fn frame(&mut self, id: ConnectionId, frame: Result<&Event<'_>, Violation>) {
        self.tell(id, 0, |told| {
            if let Ok(Event::Text(text)) = frame
                && std::mem::take(&mut told.content) != text.as_bytes()
            {
                told.broken = Some("a message is not its content");
            }
        });
    }

    fn ended(&mut self, id: ConnectionId) {
        self.tell(id, 0, |told| told.has_ended = true);
    }
}
