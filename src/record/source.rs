//! What a peer sent, put together from the pieces in a recording, to be read in its cuts.

use std::collections::BTreeMap;

use super::input::read_id;
use super::lines::text_bytes;
use super::replay::ReplayError;

/// What stands for a byte that was never written: nobody looked into it. It may stand in whatever is
/// not finished.
const FILLER: u8 = b'x';

/// One connection's stream.
#[derive(Default)]
pub(super) struct Source {
    /// In the order of the stream.
    pieces: Vec<Piece>,
    /// The first piece that is not used up.
    next: usize,
    /// Where in the stream the next byte stands.
    at: u64,
}

struct Piece {
    at: u64,
    bytes: Vec<u8>,
}

impl Source {
    /// Those of every connection in a recording, by serial.
    ///
    /// # Errors
    /// When a line that should say what a peer sent does not.
    pub(super) fn all(lines: &[Box<str>]) -> Result<BTreeMap<u32, Source>, ReplayError> {
        let mut sources = BTreeMap::<u32, Source>::new();
        for (index, line) in lines.iter().enumerate() {
            if let Some(text) = line.strip_prefix("+ ") {
                let line = index + 1;
                let (serial, piece) = read_piece(text).ok_or(ReplayError::Unreadable { line })?;
                sources.entry(serial).or_default().pieces.push(piece);
            }
        }
        for source in sources.values_mut() {
            // A fragment is written after the control frames that came after it.
            source.pieces.sort_by_key(|piece| piece.at);
        }
        Ok(sources)
    }

    /// The next `count` bytes.
    pub(super) fn read(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.read_byte()).collect()
    }

    fn read_byte(&mut self) -> u8 {
        let at = self.at;
        self.at += 1;
        while let Some(piece) = self.pieces.get(self.next) {
            let Some(into) = at.checked_sub(piece.at) else {
                break;
            };
            if let Some(byte) = piece.bytes.get(into as usize) {
                return *byte;
            }
            self.next += 1;
        }
        FILLER
    }
}

fn read_piece(text: &str) -> Option<(u32, Piece)> {
    let mut words = text.splitn(3, ' ');
    let id = read_id(words.next()?)?;
    let at = words.next()?.parse().ok()?;
    let bytes = text_bytes(words.next()?)?;
    Some((id.serial, Piece { at, bytes }))
}
