//! A mutator that signs again: it takes a [script](crate::exchange::records) apart, changes its
//! records, frames, messages or tokens, and puts it together so that lengths, masks and signatures
//! are right. What a fuzzer changes so is read after the signature was found good, while the check of
//! the signature is as it is.
//!
//! Promises that the same input and seed come to the same output, and that the output is a script.
//! Refuses to make all good: now and then a length lies, a mask is missing, or a signature is wrong.

mod havoc;
mod message;
mod random;
mod stream;
mod token;

use std::time::Duration;

use crate::exchange::{Known, Leaving, PEERS, UPGRADE};
pub use havoc::{havoc, havocs};
use random::Random;
use stream::{Frame, Part, Piece};

/// How an engine changes bytes that it knows nothing of.
pub type Plain<'p> = dyn FnMut(&mut Vec<u8>) + 'p;

/// Changes a script in one to four places, or now and then as `plain` changes what it knows nothing
/// of. Returns at most `bytes_max` bytes, of which the last may be missing; where that is less than there
/// is, most changes take something out.
pub fn mutate(script: &[u8], bytes_max: usize, seed: u64, plain: &mut Plain<'_>) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut script = match random.below(16) {
        0 => {
            let mut script = script.to_vec();
            plain(&mut script);
            script
        }
        _ => {
            let (mut pieces, known) = (stream::take_apart(script), Known::of(script));
            for _ in 0..=random.below(4) {
                // Where less is asked for, most that is there may go.
                match bytes_max < script.len() && random.below(4) != 0 {
                    true => shorten(&mut pieces, &mut random),
                    false => change(&mut pieces, &mut random, &known, plain),
                }
            }
            stream::put_together(script, &pieces)
        }
    };
    script.truncate(bytes_max);
    script
}

/// A script that begins as one does and ends as another, in the world of the first: of the other, good
/// tokens are made tokens of that world. Returns at most `bytes_max` bytes.
pub fn cross(one: &[u8], other: &[u8], bytes_max: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut pieces = stream::take_apart(one);
    let mut others = stream::take_apart(other);
    pieces.truncate(random.below(pieces.len() + 1));
    others.drain(..random.below(others.len() + 1));
    let (here, there) = (Known::of(one), Known::of(other));
    if here != there {
        let parts = others.iter_mut().flat_map(|piece| &mut piece.parts);
        parts.for_each(|part| token::move_all(part.bytes_mut(), &there, &here));
    }
    pieces.extend(others);
    let mut script = stream::put_together(one, &pieces);
    script.truncate(bytes_max);
    script
}

/// As [`mutate`], the script being the first `bytes` of `place`, as libFuzzer has it: there is room for
/// `bytes` and for `bytes_max`, of which either may be the larger. `engine` changes as much of what it is
/// given, to as many bytes at the most. Returns how many bytes it is then.
pub fn mutate_in_place(
    place: &mut [u8],
    bytes: usize,
    bytes_max: usize,
    seed: u32,
    engine: impl Fn(&mut [u8], usize, usize) -> usize,
) -> usize {
    /// What the engine may add to one part.
    const GROWTH_BYTES: usize = 64;
    let plain: &mut Plain<'_> = &mut |part| {
        let bytes = part.len();
        let bytes_max = bytes + GROWTH_BYTES;
        part.resize(bytes_max, 0);
        let bytes = engine(part, bytes, bytes_max);
        part.truncate(bytes);
    };
    let script = mutate(&place[..bytes], bytes_max, seed.into(), plain);
    place[..script.len()].copy_from_slice(&script);
    script.len()
}

fn change(pieces: &mut Vec<Piece>, random: &mut Random, known: &Known, plain: &mut Plain<'_>) {
    let kind = random.below(16);
    if pieces.is_empty() || kind == 0 {
        return insert(pieces, random, known);
    }
    let at = random.below(pieces.len());
    let piece = &mut pieces[at];
    let part_at = random.below(piece.parts.len().max(1));
    match (kind, piece.parts.get_mut(part_at)) {
        (1..=3, _) | (_, None) => change_order(pieces, at, random),
        (4, Some(_)) => change_parts(&mut piece.parts, part_at, random),
        (5, Some(part)) => plain(part.bytes_mut()),
        (6..=7, Some(Part::Frame(frame))) => frame.change(random, plain),
        (8..=11, Some(Part::Frame(Frame { payload, .. }))) => {
            message::change(payload, random, known, plain);
        }
        (_, Some(Part::Frame(Frame { payload, .. }))) => {
            message::change_token(payload, random, known, plain);
        }
        (6..=9, Some(Part::Head(head))) => token::change_in_head(head, random, known, plain),
        (_, Some(part)) => plain(part.bytes_mut()),
    }
}

/// Takes out a record, a part of what one sends, or bytes of such a part.
fn shorten(pieces: &mut Vec<Piece>, random: &mut Random) {
    if pieces.is_empty() {
        return;
    }
    let at = random.below(pieces.len());
    let parts = &mut pieces[at].parts;
    let part_at = random.below(parts.len().max(1));
    match (random.below(3), parts.get_mut(part_at)) {
        (0, _) | (_, None) => _ = pieces.remove(at),
        (1, Some(_)) => _ = parts.remove(part_at),
        (_, Some(part)) => {
            let bytes = part.bytes_mut();
            let start = random.below(bytes.len() + 1);
            let end = start + random.below(bytes.len() - start + 1);
            bytes.drain(start..end);
        }
    }
}

/// A peer says something, on a WebSocket that it may have or opens.
fn insert(pieces: &mut Vec<Piece>, random: &mut Random, known: &Known) {
    let at = random.below(pieces.len() + 1);
    let peer = match at.checked_sub(1) {
        Some(before) if random.below(4) != 0 => pieces[before].peer,
        _ => random.below(PEERS.into()) as u8,
    };
    let is_here = pieces[..at].iter().any(|piece| piece.peer == peer);
    let mut parts = vec![Part::Frame(Frame::text(message::new(random, known)))];
    if !is_here || random.below(8) == 0 {
        parts.insert(0, Part::Head(UPGRADE.to_vec()));
    }
    let piece = Piece {
        peer,
        pause: Duration::ZERO,
        hears: None,
        leaving: None,
        is_pause: false,
        parts,
    };
    pieces.insert(at, piece);
}

/// Changes who sends, when, or in which order.
fn change_order(pieces: &mut Vec<Piece>, at: usize, random: &mut Random) {
    /// Around the deadlines of the server, in milliseconds.
    const PAUSES: [u16; 10] = [
        0, 1, 999, 1_000, 5_000, 10_000, 20_000, 30_000, 60_000, 65_535,
    ];
    let other = random.below(pieces.len());
    let piece = &mut pieces[at];
    match random.below(8) {
        0 => piece.peer = random.below(PEERS.into()) as u8,
        1 => piece.pause = Duration::from_millis(random.one_of(&PAUSES).into()),
        2 => piece.leaving = random.one_of(&[None, Some(Leaving::Fin), Some(Leaving::Reset)]),
        3 => piece.hears = random.one_of(&[None, Some(false), Some(true)]),
        4 => _ = pieces.remove(at),
        5 => pieces.swap(at, other),
        6 => {
            let again = pieces[at].clone();
            pieces.insert(other, again);
        }
        // What came in one piece comes in two.
        _ => {
            let middle = random.below(piece.parts.len() + 1);
            let rest = Piece {
                pause: Duration::ZERO,
                parts: piece.parts.split_off(middle),
                ..*piece
            };
            piece.leaving = None;
            pieces.insert(at + 1, rest);
        }
    }
}

/// Changes the order of what one record sends.
fn change_parts(parts: &mut Vec<Part>, at: usize, random: &mut Random) {
    let other = random.below(parts.len());
    match random.below(4) {
        0 => _ = parts.remove(at),
        1 => parts.swap(at, other),
        2 => parts.insert(other, parts[at].clone()),
        _ => {
            let bytes = parts[at].written();
            let (first, second) = bytes.split_at(random.below(bytes.len() + 1));
            let halves = [first, second].map(|half| Part::Bytes(half.to_vec()));
            parts.splice(at..=at, halves);
        }
    }
}

#[cfg(test)]
mod tests;
