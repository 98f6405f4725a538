//! What peers sent, put together from the pieces in a recording, to be read in its cuts.

use std::collections::BTreeMap;

use super::input::read_id;
use super::lines::text_bytes;
use super::replay::ReplayError;
use crate::server::ConnectionId;

/// What stands for a byte that was never written: nobody looked into it. It may stand in whatever is
/// not finished.
const FILLER: u8 = b'x';

/// The streams of all connections, by their serials.
pub(super) struct PeerBytes {
    /// Pieces, by where in the stream each begins.
    pieces: BTreeMap<(u32, u64), Vec<u8>>,
    /// Where in each stream the next byte stands.
    next_at: BTreeMap<u32, u64>,
}

impl PeerBytes {
    /// Those of a recording.
    ///
    /// # Errors
    /// When a line that should say what a peer sent does not.
    pub(super) fn read(lines: &[Box<str>]) -> Result<PeerBytes, ReplayError> {
        let mut pieces = BTreeMap::new();
        for (index, line) in lines.iter().enumerate() {
            if let Some(text) = line.strip_prefix("+ ") {
                let piece = read_piece(text).ok_or(ReplayError::Unreadable(index + 1));
                let (place, bytes) = piece?;
                pieces.insert(place, bytes);
            }
        }
        Ok(PeerBytes {
            pieces,
            next_at: BTreeMap::new(),
        })
    }

    /// The next `count` bytes of a connection.
    pub(super) fn next(&mut self, id: ConnectionId, count: usize) -> Vec<u8> {
        let next_at = self.next_at.entry(id.serial).or_default();
        let start = *next_at;
        *next_at += count as u64;
        let places = start..*next_at;
        places.map(|at| self.byte(id.serial, at)).collect()
    }

    fn byte(&self, serial: u32, at: u64) -> u8 {
        let before = self.pieces.range((serial, 0)..=(serial, at)).next_back();
        let byte = before.and_then(|((_, start), bytes)| bytes.get((at - start) as usize));
        byte.copied().unwrap_or(FILLER)
    }
}

fn read_piece(text: &str) -> Option<((u32, u64), Vec<u8>)> {
    let mut words = text.splitn(3, ' ');
    let id = read_id(words.next()?)?;
    let at = words.next()?.parse().ok()?;
    let bytes = text_bytes(words.next()?)?;
    Some(((id.serial, at), bytes))
}
