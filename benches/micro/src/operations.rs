//! The operations. Each is prepared once and then run as often as wanted, and every run sees to
//! it that what should come of it did. Frames are unmasked where they lie, so their masked bytes
//! are copied anew for each run: that is counted in.

use std::hint::black_box;

use framegate::internals::gate::{
    AccountStatus, Admission, Bound, ClaimRules, Directory, Envelope, TokenError, Unavailable,
    Verifier,
};
use framegate::internals::limits::FRAGMENTS_MAX;
use framegate::internals::wire::frame::{self, Opcode};
use framegate::internals::wire::{
    Endpoint, Event, HeadScanner, MessageRules, Origins, Request, Upgrade,
};

use crate::peer;
use crate::subject::{self, FRAME_BYTES, HEAD, MESSAGE_BYTES, NOW, SPEAKER};
use crate::turns::Core;

pub type Run = Box<dyn FnMut()>;

pub struct Operation {
    pub name: &'static str,
    pub prepare: fn() -> Run,
    /// How many of what a figure is told of one run makes.
    pub units: u32,
    /// True when a run may take nothing from the heap.
    pub is_allocation_free: bool,
}

const LISTENERS: usize = 500;
const FRAMES_AT_ONCE: usize = 16;
/// The headers of a server's frames, of up to 125 bytes and of more (RFC 6455 §5.2).
const SHORT_HEADER_BYTES: usize = 2;
const LONG_HEADER_BYTES: usize = 4;
const ENCODED_BYTES: usize = 100;

pub const OPERATIONS: &[Operation] = &[
    part("verify", verify),
    part("refuse", refuse),
    part("envelope", envelope),
    part("admit", admit),
    part("frame_decode", frame_decode),
    part("frame_encode", frame_encode),
    part("handshake", handshake),
    whole("round_trip", || round_trips(1), 1),
    whole(
        "round_trip_16",
        || round_trips(FRAMES_AT_ONCE),
        FRAMES_AT_ONCE,
    ),
    whole("visit", visit, 1),
    whole("broadcast_500", || broadcasts(1), LISTENERS),
    whole(
        "broadcast_500_x16",
        || broadcasts(FRAMES_AT_ONCE),
        LISTENERS * FRAMES_AT_ONCE,
    ),
];

/// Beside [`OPERATIONS`]: another's check of the token.
pub const PEER: Operation = whole("jsonwebtoken", peer::decode_token, 1);

/// A part of a frame's way.
const fn part(name: &'static str, prepare: fn() -> Run) -> Operation {
    Operation {
        name,
        prepare,
        units: 1,
        is_allocation_free: true,
    }
}

/// The whole way, or another's.
const fn whole(name: &'static str, prepare: fn() -> Run, units: usize) -> Operation {
    Operation {
        name,
        prepare,
        units: units as u32,
        is_allocation_free: false,
    }
}

fn verify() -> Run {
    let token = subject::token();
    let mut verifier = Verifier::new(subject::keys(), ClaimRules::default());
    Box::new(move || {
        let verified = verifier.verify(black_box(&token), NOW);
        assert!(black_box(verified).is_ok());
    })
}

fn refuse() -> Run {
    let token = subject::forged_token();
    let mut verifier = Verifier::new(subject::keys(), ClaimRules::default());
    Box::new(move || {
        let verified = verifier.verify(black_box(&token), NOW);
        assert!(matches!(verified, Err(TokenError::Signature)));
    })
}

fn envelope() -> Run {
    let text = subject::text();
    Box::new(move || {
        let envelope = Envelope::parse(black_box(&text));
        assert!(black_box(envelope).is_ok());
    })
}

/// Everybody is known, and stands well.
struct Everybody;

impl Directory for Everybody {
    fn standing(&mut self, _: &str) -> Result<Option<AccountStatus>, Unavailable> {
        Ok(Some(AccountStatus::default()))
    }
}

fn admit() -> Run {
    let text = subject::text();
    let mut gate = subject::gate();
    let bound = Bound {
        subject: SPEAKER,
        standing: AccountStatus::default(),
    };
    Box::new(move || {
        let passage = gate.admit(black_box(&text), Some(bound), &mut Everybody, NOW);
        assert!(matches!(black_box(passage), Ok(Admission::Admitted(_))));
    })
}

fn frame_decode() -> Run {
    let frame = subject::frame();
    let mut scratch = [0; FRAME_BYTES];
    let mut endpoint = Endpoint::default();
    let rules = MessageRules {
        bytes_max: 16 * 1_024,
        fragments_max: FRAGMENTS_MAX,
        binary: false,
    };
    Box::new(move || {
        scratch.copy_from_slice(black_box(&frame));
        let event = endpoint.next(&mut &mut scratch[..], rules);
        assert!(matches!(black_box(event), Ok(Some(Event::Text(_)))));
    })
}

fn frame_encode() -> Run {
    let payload = [b'x'; ENCODED_BYTES];
    let mut out = Vec::with_capacity(2 * ENCODED_BYTES);
    Box::new(move || {
        out.clear();
        frame::write_with(&mut out, Opcode::Text, |out| {
            out.extend_from_slice(black_box(&payload));
        });
        assert_eq!(black_box(&out).len(), SHORT_HEADER_BYTES + ENCODED_BYTES);
    })
}

/// The head of an upgrade, read and checked.
fn handshake() -> Run {
    Box::new(|| {
        let mut scanner = HeadScanner::default();
        let head = scanner.scan(black_box(HEAD.as_bytes())).ok().flatten();
        let request = Request::parse(head.expect("the head is whole")).expect("it is sound");
        let upgrade = Upgrade::check(&request, Origins::OwnAnd(&[]));
        assert!(black_box(upgrade).is_ok());
    })
}

/// Somebody who comes to forge, from his first byte to his last.
fn visit() -> Run {
    let mut core = Core::new(&[]);
    let forgery = subject::forged_frame();
    Box::new(move || core.visit(HEAD.as_bytes(), &forgery))
}

/// Frames of one connection that arrive in one read, and their answers in one write.
fn round_trips(frames: usize) -> Run {
    let mut core = Core::new(&[SPEAKER.to_owned()]);
    let id = core.log_in(SPEAKER);
    let input = subject::frame().repeat(frames);
    let answers_bytes = frames * (SHORT_HEADER_BYTES + subject::answer().len());
    Box::new(move || assert_eq!(core.turn(id, &input), answers_bytes))
}

/// Messages of one connection that arrive in one read, to each of those that are logged in.
fn broadcasts(frames: usize) -> Run {
    let users: Vec<_> = (0..LISTENERS).map(|number| format!("u{number}")).collect();
    let mut core = Core::new(&users);
    let ids: Vec<_> = users.iter().map(|user| core.log_in(user)).collect();
    let speaker = users.iter().position(|user| user == SPEAKER);
    let id = ids[speaker.expect("the speaker listens too")];
    let input = subject::message_frame().repeat(frames);
    let delivered_bytes = frames * LISTENERS * (LONG_HEADER_BYTES + MESSAGE_BYTES);
    Box::new(move || assert_eq!(core.turn(id, &input), delivered_bytes))
}
