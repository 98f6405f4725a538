//! Names of members: matched as they are decoded, and held to come once each. Nothing is taken from
//! the heap for a name with an escape.

use std::hash::{DefaultHasher, Hasher};
use std::iter;
use std::str;

use super::JsonError;
use crate::limits::JSON_MEMBERS_MAX;

/// The longest name that a member of ours can have once its escapes are decoded.
const DECODED_BYTES_MAX: usize = 32;
/// As many names as most objects have: for more of them memory is taken.
const NAMES_WITHOUT_HEAP: usize = 8;
/// As many bytes of a name as are hashed together.
const HASHED_BYTES: usize = 64;

/// A name of a member, as it stands between its quotation marks.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) text: &'a str,
    pub(super) has_escape: bool,
}

impl Name<'_> {
    /// The name with its escapes decoded; `None` when it is longer than any name of ours.
    #[cold]
    #[inline(never)]
    pub(super) fn decoded(self) -> Option<Decoded> {
        let mut decoded = Decoded::default();
        for character in characters(self.text) {
            let end = decoded.length + character.len_utf8();
            character.encode_utf8(decoded.bytes.get_mut(decoded.length..end)?);
            decoded.length = end;
        }
        Some(decoded)
    }
}

/// A name whose escapes are decoded.
#[derive(Default)]
pub(super) struct Decoded {
    bytes: [u8; DECODED_BYTES_MAX],
    length: usize,
}

impl Decoded {
    pub(super) fn text(&self) -> &str {
        str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

/// The names of an object, as they come.
#[derive(Default)]
pub(super) struct Names<'a> {
    /// A bit for each name: while no two have the same, no name was repeated.
    bits: u64,
    /// True when a name had a bit that was taken, or an escape, with which it may be written in
    /// more than one way.
    may_repeat: bool,
    count: usize,
    first: [&'a str; NAMES_WITHOUT_HEAP],
    others: Vec<&'a str>,
}

impl<'a> Names<'a> {
    #[inline(always)]
    pub(super) fn push(&mut self, name: Name<'a>) {
        let first = name.text.as_bytes().first().copied().unwrap_or_default();
        let bit = 1 << ((usize::from(first) + 7 * name.text.len()) % u64::BITS as usize);
        self.may_repeat |= name.has_escape || self.bits & bit != 0;
        self.bits |= bit;
        match self.first.get_mut(self.count) {
            Some(place) => *place = name.text,
            None => self.push_other(name.text),
        }
        self.count += 1;
    }

    #[cold]
    fn push_other(&mut self, name: &'a str) {
        if self.count < JSON_MEMBERS_MAX {
            self.others.push(name);
        }
    }

    /// Looks at all of them once the object is read.
    ///
    /// # Errors
    ///
    /// When there are too many, or two are the same.
    #[inline(always)]
    pub(super) fn check(&self) -> Result<(), JsonError> {
        if self.count > JSON_MEMBERS_MAX {
            return Err(JsonError::TooManyMembers);
        }
        match self.may_repeat && self.have_repeat() {
            true => Err(JsonError::RepeatedMember),
            false => Ok(()),
        }
    }

    /// By hashes, so that no names make the work quadratic in their bytes: those of one hash are
    /// compared, and to make many of them takes more than a peer has.
    #[cold]
    #[inline(never)]
    fn have_repeat(&self) -> bool {
        let mut hashed = [(0, ""); JSON_MEMBERS_MAX];
        let names = self.first.iter().take(self.count).chain(&self.others);
        for (place, name) in hashed.iter_mut().zip(names) {
            *place = (hash(name), *name);
        }
        let hashed = &mut hashed[..self.count];
        hashed.sort_unstable_by_key(|(hash, _)| *hash);
        let mut of_one_hash = hashed.chunk_by(|(hash, _), (other, _)| hash == other);
        of_one_hash.any(|names| {
            let pairs = (1..names.len()).flat_map(|end| (0..end).map(move |start| (start, end)));
            let mut pairs = pairs.map(|(start, end)| (names[start].1, names[end].1));
            pairs.any(|(one, other)| characters(one).eq(characters(other)))
        })
    }
}

/// Alike for names that are alike, whatever they are written with: of pieces whose ends hang on the
/// decoded bytes alone.
fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    if !name.contains('\\') {
        for piece in name.as_bytes().chunks(HASHED_BYTES) {
            hasher.write(piece);
        }
        return hasher.finish();
    }
    let mut piece = [0; HASHED_BYTES];
    let mut length = 0;
    for character in characters(name) {
        for byte in character.encode_utf8(&mut [0; 4]).bytes() {
            piece[length] = byte;
            length += 1;
            if length == HASHED_BYTES {
                hasher.write(&piece);
                length = 0;
            }
        }
    }
    if length > 0 {
        hasher.write(&piece[..length]);
    }
    hasher.finish()
}

/// The characters that `text` says, which was scanned before and stands between quotation marks:
/// RFC 8259 §7.
pub(super) fn characters(text: &str) -> impl Iterator<Item = char> {
    let mut rest = text.chars();
    iter::from_fn(move || match rest.next()? {
        '\\' => escaped(&mut rest),
        plain => Some(plain),
    })
}

fn escaped(rest: &mut str::Chars<'_>) -> Option<char> {
    match rest.next()? {
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'u' => match code_unit(rest)? {
            high @ 0xD800..=0xDBFF => {
                let low = rest.nth(1).and_then(|_| code_unit(rest))?;
                char::from_u32(0x1_0000 + ((high & 0x3FF) << 10 | low & 0x3FF))
            }
            unit => char::from_u32(unit),
        },
        itself => Some(itself),
    }
}

fn code_unit(rest: &mut str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit << 4 | rest.next()?.to_digit(16)?))
}
