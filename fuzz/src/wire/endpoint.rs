//! Frames that are well-formed more often than not, against a model that keeps every frame
//! and every message whole.

use super::receiver::{Seen, receive};
use super::{ends, split_line};
use crate::told::assert_told;
use framegate::internals::wire::{Event, MessageRules, Violation, close};

/// Payloads longer than an input should be: what the last lengths a byte can say stand for.
const LONG: [(u8, usize); 2] = [(0xFE, 126), (0xFF, 1_000)];

/// A script is not read any further when its frames have so many bytes of payload.
const PAYLOADS_BYTES_MAX: usize = 4_000;

/// What an endpoint makes of a client's frames, under any rules and however they are cut, is
/// what the model makes of them.
///
/// After the line of lengths, whose first byte says the rules, the input is frames: the first
/// byte as on the wire, a byte that says the payload's length, and the payload. The harness
/// masks. When the input ends within a payload, the stream ends there.
pub fn endpoint(input: &[u8]) {
    let (line, script) = split_line(input);
    let (rules, lengths) = line.split_first().unwrap_or((&0, &[]));
    let rules = rules_of(*rules);
    let frames = frames(script);
    let mut stream = Vec::new();
    for frame in &frames {
        frame.write(&mut stream);
    }
    let (seen, _) = receive(&stream, ends(stream.len(), lengths), rules);
    assert_eq!(seen, model(&frames, rules));
    if let Err(violation) = seen.verdict {
        assert_told(violation.word(), &violation);
        assert_eq!(violation.close_code().value(), close_code(violation));
    }
}

/// The contract's table of how a connection ends.
fn close_code(violation: Violation) -> u16 {
    match violation {
        Violation::Binary => 1003,
        Violation::Text | Violation::CloseReason => 1007,
        Violation::TooManyFragments => 1008,
        Violation::TooBig => 1009,
        _ => 1002,
    }
}

fn rules_of(byte: u8) -> MessageRules {
    MessageRules {
        binary: byte & 0x80 == 0,
        fragments_max: 1 + u32::from(byte >> 4 & 0x7),
        bytes_max: [0, 1, 4, 16, 125, 126, 500, 2_000]
            .get(usize::from(byte & 0xF))
            .copied()
            .unwrap_or(usize::MAX),
    }
}

/// A frame as a script has it.
struct ScriptFrame {
    first: u8,
    payload_bytes: usize,
    /// As much of it as there is; shorter in the last frame at most.
    payload: Vec<u8>,
}

fn frames(mut script: &[u8]) -> Vec<ScriptFrame> {
    let (mut frames, mut bytes) = (Vec::new(), 0);
    while let [first, length, rest @ ..] = script
        && bytes < PAYLOADS_BYTES_MAX
    {
        let long = LONG.iter().find(|(byte, _)| byte == length);
        let (payload_bytes, payload, behind) = match long {
            // Such a one is one byte, over and over.
            Some((_, bytes)) => {
                let (byte, behind) = rest.split_first().unwrap_or((&b' ', &[]));
                (*bytes, vec![*byte; *bytes], behind)
            }
            None => {
                let bytes = usize::from(*length);
                let (payload, behind) = rest.split_at(bytes.min(rest.len()));
                (bytes, payload.to_vec(), behind)
            }
        };
        bytes += payload_bytes;
        frames.push(ScriptFrame {
            first: *first,
            payload_bytes,
            payload,
        });
        script = behind;
    }
    frames
}

impl ScriptFrame {
    /// Writes the frame as a client does, masked (RFC 6455 §5.2, §5.3).
    fn write(&self, out: &mut Vec<u8>) {
        let mask = [0x37, 0xfa, 0x21, out.len() as u8];
        out.push(self.first);
        match self.payload_bytes {
            bytes @ 0..=125 => out.push(0x80 | bytes as u8),
            bytes => {
                out.push(0x80 | 126);
                out.extend((bytes as u16).to_be_bytes());
            }
        }
        out.extend(mask);
        let masked = self.payload.iter().zip(mask.iter().cycle());
        out.extend(masked.map(|(byte, mask)| byte ^ mask));
    }

    fn is_final(&self) -> bool {
        self.first & 0x80 != 0
    }

    fn is_whole(&self) -> bool {
        self.payload.len() == self.payload_bytes
    }
}

/// A message under way, as the model keeps it.
struct ModelMessage {
    is_text: bool,
    payload: Vec<u8>,
    fragments: u32,
}

fn model(frames: &[ScriptFrame], rules: MessageRules) -> Seen {
    let mut events = Vec::new();
    let mut message = None;
    for frame in frames {
        match model_frame(frame, &mut message, rules) {
            Ok(event) => events.extend(event),
            Err(violation) => {
                let verdict = Err(violation);
                return Seen { events, verdict };
            }
        }
        if let Some(Event::Close(_)) = events.last() {
            break;
        }
    }
    let verdict = Ok(());
    Seen { events, verdict }
}

/// RFC 6455 §5.2, §5.4 and §5.5, and our bounds, clause by clause. `None` when the frame is
/// not all there.
fn model_frame(
    frame: &ScriptFrame,
    message: &mut Option<ModelMessage>,
    rules: MessageRules,
) -> Result<Option<Event<'static>>, Violation> {
    if frame.first & 0x70 != 0 {
        return Err(Violation::ReservedBit);
    }
    match frame.first & 0xF {
        0x0..=0x2 => model_data(frame, message, rules),
        0x8..=0xA if !frame.is_final() => Err(Violation::ControlFragmented),
        0x8..=0xA if frame.payload_bytes > 125 => Err(Violation::ControlTooLong),
        0x8..=0xA if !frame.is_whole() => Ok(None),
        0x8 => {
            let close = close::parse(&frame.payload)?;
            let owned = close.map(|(code, reason)| (code, reason.to_owned().into()));
            Ok(Some(Event::Close(owned)))
        }
        0x9 => Ok(Some(Event::Ping(frame.payload.clone().into()))),
        0xA => Ok(Some(Event::Pong(frame.payload.clone().into()))),
        _ => Err(Violation::ReservedOpcode),
    }
}

fn model_data(
    frame: &ScriptFrame,
    under_way: &mut Option<ModelMessage>,
    rules: MessageRules,
) -> Result<Option<Event<'static>>, Violation> {
    let mut message = match (frame.first & 0xF, under_way.take()) {
        (0x0, None) => return Err(Violation::NothingToContinue),
        (0x0, Some(message)) if message.fragments == rules.fragments_max => {
            return Err(Violation::TooManyFragments);
        }
        (0x0, Some(message)) => message,
        (_, Some(_)) => return Err(Violation::InsideMessage),
        (0x2, None) if !rules.binary => return Err(Violation::Binary),
        (opcode, None) => ModelMessage {
            is_text: opcode == 0x1,
            payload: Vec::new(),
            fragments: 0,
        },
    };
    if frame.payload_bytes > rules.bytes_max - message.payload.len() {
        return Err(Violation::TooBig);
    }
    message.fragments += 1;
    message.payload.extend_from_slice(&frame.payload);
    let text = std::str::from_utf8(&message.payload);
    // What has no error_len may still become a character.
    if message.is_text && text.is_err_and(|error| error.error_len().is_some()) {
        return Err(Violation::Text);
    }
    match (frame.is_whole(), frame.is_final()) {
        (false, _) => Ok(None),
        (true, false) => {
            *under_way = Some(message);
            Ok(Some(Event::Fragment))
        }
        (true, true) if message.is_text => {
            let text = String::from_utf8(message.payload).map_err(|_| Violation::Text)?;
            Ok(Some(Event::Text(text.into())))
        }
        (true, true) => Ok(Some(Event::Binary(message.payload.into()))),
    }
}
