//! One RFC 6455 receiver, the server's side: bytes in, events out.

use std::{fmt, mem};

use super::event::Event;
use super::frame::{self, Header, Opcode};
use super::message::Message;
use super::part::Part;
use super::violation::Violation;
use crate::limits::{CONTROL_PAYLOAD_BYTES_MAX, FRAME_HEADER_BYTES_MAX};

/// What a message may be. The rules may change from call to call; a frame is judged by those
/// in force when its header is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRules {
    /// A message, over all of its fragments, in bytes.
    pub bytes_max: usize,
    /// Frames that one message may be cut into.
    pub fragments_max: u32,
    /// True when binary messages are taken.
    pub binary: bool,
}

/// Reads a client's frames and assembles its messages. Between messages it holds no heap.
///
/// ```text
///         ┌──────── last byte ────────┐
///         ↓                           │
///   Open(idle) ─── first bytes ──→ Open(unfinished)
///         │                           │
///         ├── Close ──→ Closed ←──────┤
///         └ violation ─→ Failed ←─────┘
/// ```
#[derive(Default)]
pub struct Endpoint {
    state: State,
}

enum State {
    Open(Assembly),
    /// A Close was received. RFC 6455 §5.5.1: nothing after it counts.
    Closed,
    /// RFC 6455 §7.1.7: after a failure, no more data is processed.
    Failed(Violation),
}

impl Default for State {
    fn default() -> State {
        State::Open(Assembly::default())
    }
}

impl Endpoint {
    /// Reads the next frame from the front of `input`, unmasking it in place, and moves the
    /// front after what was read. `None` says that the input is used up and asks for more.
    /// How the input is cut changes no event.
    ///
    /// After a Close or a violation the input is dropped unread: the former gives `None` from
    /// then on, the latter is given again.
    ///
    /// # Errors
    /// The peer's first violation, at the first byte that shows it.
    pub fn next<'i>(
        &mut self,
        input: &mut &'i mut [u8],
        rules: MessageRules,
    ) -> Result<Option<Event<'i>>, Violation> {
        self.next_in_parts(input, rules, |_| {})
    }

    /// As [`Endpoint::next`]; each part of the frame is lent to `part` too, as it is read: of a
    /// header that breaks a rule the bytes up to the one that shows it.
    ///
    /// # Errors
    /// As [`Endpoint::next`].
    pub fn next_in_parts<'i>(
        &mut self,
        input: &mut &'i mut [u8],
        rules: MessageRules,
        mut part: impl FnMut(Part<'_>),
    ) -> Result<Option<Event<'i>>, Violation> {
        let outcome = match &mut self.state {
            State::Open(assembly) => assembly.next(input, rules, &mut part),
            State::Closed => Ok(None),
            State::Failed(violation) => Err(*violation),
        };
        match &outcome {
            Ok(Some(Event::Close(_))) => self.state = State::Closed,
            Err(violation) => self.state = State::Failed(*violation),
            Ok(_) => {}
        }
        if self.is_over() {
            *input = &mut [];
        }
        outcome
    }

    /// True when a Close was received or the peer broke a rule: no event comes any more.
    pub const fn is_over(&self) -> bool {
        !matches!(self.state, State::Open(_))
    }

    /// True when a frame or a message has begun and is not finished.
    pub const fn is_unfinished(&self) -> bool {
        matches!(self.state, State::Open(Assembly(Some(_))))
    }

    /// What has begun and is not finished, in a word or two, for those who fuzz.
    pub fn progress(&self) -> &'static str {
        let State::Open(Assembly(unfinished)) = &self.state else {
            return "over";
        };
        match unfinished.as_deref() {
            None => "nothing",
            Some(unfinished) => match (&unfinished.message, &unfinished.frame) {
                (None, Frame::Header(_)) => "a header",
                (None, Frame::Payload(_)) => "a frame",
                (Some(_), Frame::Header(_)) => "a message",
                (Some(_), Frame::Payload(_)) => "a message's frame",
            },
        }
    }

    /// Heap held for what is unfinished, in bytes: at most twice what was received of it, and
    /// a small constant.
    pub fn held_bytes(&self) -> usize {
        match &self.state {
            State::Open(Assembly(Some(unfinished))) => unfinished.held_bytes(),
            _ => 0,
        }
    }
}

/// What was received is not shown.
impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Open(Assembly(None)) => formatter.write_str("Idle"),
            State::Open(_) => write!(formatter, "Unfinished({} bytes)", self.held_bytes()),
            State::Closed => formatter.write_str("Closed"),
            State::Failed(violation) => write!(formatter, "Failed({violation:?})"),
        }
    }
}

/// What is between its first byte and its last; nothing, and no heap, for an idle connection.
#[derive(Default)]
struct Assembly(Option<Box<Unfinished>>);

/// A message between its fragments, a frame between its pieces, or both.
#[derive(Default)]
struct Unfinished {
    message: Option<Message>,
    frame: Frame,
}

/// How far the current frame has come. Between two frames, no byte of a header.
enum Frame {
    Header(PartialHeader),
    Payload(Payload),
}

impl Default for Frame {
    fn default() -> Frame {
        Frame::Header(PartialHeader::default())
    }
}

impl Unfinished {
    fn held_bytes(&self) -> usize {
        let message = self.message.as_ref().map_or(0, Message::capacity);
        let control = match &self.frame {
            Frame::Payload(payload) => payload.control.capacity(),
            Frame::Header(_) => 0,
        };
        size_of::<Unfinished>() + message + control
    }
}

impl Assembly {
    fn next<'i>(
        &mut self,
        input: &mut &'i mut [u8],
        rules: MessageRules,
        part: &mut impl FnMut(Part<'_>),
    ) -> Result<Option<Event<'i>>, Violation> {
        if input.is_empty() {
            return Ok(None);
        }
        let frame = self
            .0
            .as_mut()
            .map(|unfinished| mem::take(&mut unfinished.frame));
        let partial = match frame.unwrap_or_default() {
            Frame::Payload(payload) => return self.read_payload(payload, input, part),
            Frame::Header(partial) => partial,
        };
        let Some(header) = self.read_header(partial, input, rules, part)? else {
            return Ok(None);
        };
        if header.is_whole() && header.payload_bytes <= input.len() {
            let payload = split_front(input, header.payload_bytes);
            frame::unmask(payload, header.mask, 0);
            part(header.opcode.part(payload));
            self.end_frame();
            return Event::whole(header.opcode, payload).map(Some);
        }
        let payload = self.begin_payload(header);
        self.read_payload(payload, input, part)
    }

    fn read_header(
        &mut self,
        mut partial: PartialHeader,
        input: &mut &mut [u8],
        rules: MessageRules,
        part: &mut impl FnMut(Part<'_>),
    ) -> Result<Option<Header>, Violation> {
        let message = self
            .0
            .as_ref()
            .and_then(|unfinished| unfinished.message.as_ref());
        let header = partial.read(input, move |opcode| admit(message, opcode, rules), part)?;
        if header.is_none() {
            self.0.get_or_insert_default().frame = Frame::Header(partial);
        }
        Ok(header)
    }

    fn begin_payload(&mut self, header: Header) -> Payload {
        if !header.opcode.is_control() {
            let message = &mut self.0.get_or_insert_default().message;
            message
                .get_or_insert_with(|| Message::new(header.opcode))
                .fragments += 1;
        }
        Payload {
            header,
            received_bytes: 0,
            control: Vec::new(),
        }
    }

    fn read_payload(
        &mut self,
        mut payload: Payload,
        input: &mut &mut [u8],
        part: &mut impl FnMut(Part<'_>),
    ) -> Result<Option<Event<'static>>, Violation> {
        let unfinished = self.0.get_or_insert_default();
        payload.read(input, unfinished.message.as_mut(), part)?;
        if !payload.is_finished() {
            unfinished.frame = Frame::Payload(payload);
            return Ok(None);
        }
        let event = payload.finish(&mut unfinished.message)?;
        self.end_frame();
        Ok(Some(event))
    }

    /// After a frame, nothing is held unless its message goes on.
    fn end_frame(&mut self) {
        self.0.take_if(|unfinished| unfinished.message.is_none());
    }
}

/// Whether a frame may stand here, and how long its payload may be.
fn admit(
    message: Option<&Message>,
    opcode: Opcode,
    rules: MessageRules,
) -> Result<usize, Violation> {
    match (opcode, message) {
        // §5.5: control frames may stand between the fragments of a message.
        (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => Ok(CONTROL_PAYLOAD_BYTES_MAX),
        // §5.4: a continuation has something to continue, and nothing else stands in between.
        (Opcode::Continuation, None) => Err(Violation::NothingToContinue),
        (Opcode::Text | Opcode::Binary, Some(_)) => Err(Violation::InsideMessage),
        (Opcode::Continuation, Some(message)) if message.fragments >= rules.fragments_max => {
            Err(Violation::TooManyFragments)
        }
        (Opcode::Continuation, Some(message)) => Ok(rules.bytes_max.saturating_sub(message.len())),
        (Opcode::Binary, None) if !rules.binary => Err(Violation::Binary),
        (Opcode::Text | Opcode::Binary, None) => Ok(rules.bytes_max),
    }
}

fn split_front<'i>(input: &mut &'i mut [u8], bytes: usize) -> &'i mut [u8] {
    let (front, rest) = mem::take(input).split_at_mut(bytes);
    *input = rest;
    front
}

/// The first bytes of a header.
#[derive(Default)]
struct PartialHeader {
    bytes: [u8; FRAME_HEADER_BYTES_MAX],
    /// How many of them count.
    len: usize,
}

impl PartialHeader {
    /// Takes from the input what the header lacks; all of it, when that is not enough.
    fn read(
        &mut self,
        input: &mut &mut [u8],
        admit: impl Fn(Opcode) -> Result<usize, Violation> + Copy,
        part: &mut impl FnMut(Part<'_>),
    ) -> Result<Option<Header>, Violation> {
        let room = &mut self.bytes[self.len..];
        let taken = room.len().min(input.len());
        room[..taken].copy_from_slice(&input[..taken]);
        let held = self.len;
        self.len += taken;
        let header = match Header::decode(&self.bytes[..self.len], admit) {
            Ok(header) => header,
            Err(violation) => {
                let refused = self.bytes.get(held..self.refused_bytes(admit));
                part(Part::Header(refused.unwrap_or_default(), 0));
                return Err(violation);
            }
        };
        let used = header.map_or(taken, |header| header.header_bytes - held);
        let came = self.bytes.get(..held + used).unwrap_or_default();
        let mask_bytes = frame::mask_bytes(came).min(used);
        part(Part::Header(split_front(input, used), mask_bytes));
        Ok(header)
    }

    /// How many of the bytes show that they are no header that may stand here.
    #[cold]
    fn refused_bytes(&self, admit: impl Fn(Opcode) -> Result<usize, Violation>) -> usize {
        let is_sound = |end: &usize| Header::decode(&self.bytes[..*end], &admit).is_ok();
        (0..self.len).take_while(is_sound).count()
    }
}

/// A frame's payload under way.
struct Payload {
    header: Header,
    /// ≤ `header.payload_bytes`
    received_bytes: usize,
    /// What was received, for a control frame; a data frame's goes straight to its message.
    control: Vec<u8>,
}

impl Payload {
    fn read(
        &mut self,
        input: &mut &mut [u8],
        message: Option<&mut Message>,
        part: &mut impl FnMut(Part<'_>),
    ) -> Result<(), Violation> {
        let missing = self.header.payload_bytes - self.received_bytes;
        let piece = split_front(input, missing.min(input.len()));
        frame::unmask(piece, self.header.mask, self.received_bytes);
        self.received_bytes += piece.len();
        part(self.header.opcode.part(piece));
        // Of the last frame we know that nothing comes after it.
        let ahead = if self.header.is_final {
            missing
        } else {
            usize::MAX
        };
        match message {
            Some(message) if !self.header.opcode.is_control() => message.push(piece, ahead),
            _ => {
                self.control.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    const fn is_finished(&self) -> bool {
        self.received_bytes == self.header.payload_bytes
    }

    fn finish(self, message: &mut Option<Message>) -> Result<Event<'static>, Violation> {
        if self.header.opcode.is_control() {
            return Event::whole(self.header.opcode, &self.control).map(Event::into_owned);
        }
        match message.take_if(|_| self.header.is_final) {
            Some(message) => message.finish(),
            None => Ok(Event::Fragment),
        }
    }
}

#[cfg(test)]
mod tests;
