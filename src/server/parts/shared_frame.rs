//! A frame that many outboxes hold: its bytes lie once, and are counted once.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::rc::Rc;

/// A frame that outboxes share. It is in the ledger for as long as anybody holds it.
pub(crate) struct SharedFrame {
    bytes: Box<[u8]>,
    /// Bytes of all shared frames there are.
    ledger_bytes: Rc<Cell<usize>>,
}

/// Shared frames by where they lie, and their bytes.
pub(crate) type SharedFrames = BTreeMap<*const u8, usize>;

impl SharedFrame {
    /// The frame, counted in `ledger_bytes`.
    pub(crate) fn new(bytes: &[u8], ledger_bytes: &Rc<Cell<usize>>) -> Rc<SharedFrame> {
        ledger_bytes.set(ledger_bytes.get() + bytes.len());
        Rc::new(SharedFrame {
            bytes: Box::from(bytes),
            ledger_bytes: Rc::clone(ledger_bytes),
        })
    }
}

impl Deref for SharedFrame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for SharedFrame {
    fn drop(&mut self) {
        let left = self.ledger_bytes.get() - self.bytes.len();
        self.ledger_bytes.set(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_counted_once_and_for_as_long_as_somebody_holds_it() {
        let ledger_bytes = Rc::new(Cell::new(0));
        let one = SharedFrame::new(b"one", &ledger_bytes);
        let four = SharedFrame::new(b"four", &ledger_bytes);
        let same = Rc::clone(&one);
        drop(one);
        assert_eq!(ledger_bytes.get(), 7);
        assert_eq!(same[..], *b"one");
        drop(same);
        assert_eq!(ledger_bytes.get(), 4);
        drop(four);
        assert_eq!(ledger_bytes.get(), 0);
    }
}
