//! A tap: it is handed what peers send, each part as soon as the core has it. There is none but where
//! a recording is made.

use crate::server::connection::ConnectionId;
use crate::wire::{Event, Head, Part, Violation};

/// Is told what peers send, as the core takes it apart. Each byte that the core has judged is told
/// once, in the order of its connection's stream; those of an unfinished head are not, nor those that
/// the core does not look at.
pub trait Tap {
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
