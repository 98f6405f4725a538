//! Broadcasts on their way: frames that not every member was given yet. To say something costs the
//! same however many listen; a member is given what it has missed when its turn to be written comes,
//! or before anything else is queued for it, so that each hears everything in the order in which it
//! was decided.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::time::UnixSeconds;

use crate::server::parts::shared_frame::{SharedFrame, SharedFrames};

/// The frames that some member has yet to be given, the oldest first.
#[derive(Default)]
pub(crate) struct Broadcasts {
    frames: VecDeque<Broadcast>,
    /// How many there ever were, modulo 2³²: the count of a member who was given all.
    published: u32,
    /// Bytes of `frames`.
    bytes: usize,
    /// How often a frame of them is yet to be given to a member.
    left: usize,
}

struct Broadcast {
    frame: Rc<SharedFrame>,
    said_at: UnixSeconds,
    /// Members who have yet to be given it; not zero.
    left: usize,
}

/// A frame for one member, who is to be given it if its token was good when it was said.
pub(crate) struct Missed {
    pub(crate) frame: Rc<SharedFrame>,
    pub(crate) said_at: UnixSeconds,
}

impl Broadcasts {
    /// The count of a member who was given everything.
    pub(crate) fn published(&self) -> u32 {
        self.published
    }

    /// True when everybody was given everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes of the frames that some member has yet to be given.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How often a frame is yet to be given to a member.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// Something is said to so many members. O(1).
    pub(crate) fn publish(&mut self, frame: Rc<SharedFrame>, said_at: UnixSeconds, members: usize) {
        if members == 0 {
            return;
        }
        self.left += members;
        self.bytes += frame.len();
        self.published = self.published.wrapping_add(1);
        self.frames.push_back(Broadcast {
            frame,
            said_at,
            left: members,
        });
    }

    /// The next frame for a member who was `given` so many; counts it as given. O(1).
    #[inline]
    pub(crate) fn next(&mut self, given: &mut u32) -> Option<Missed> {
        let missed = self.published.wrapping_sub(*given) as usize;
        let index = self.frames.len().checked_sub(missed)?;
        let broadcast = self.frames.get_mut(index)?;
        *given = given.wrapping_add(1);
        broadcast.left -= 1;
        self.left -= 1;
        let frame = Rc::clone(&broadcast.frame);
        let said_at = broadcast.said_at;
        // Nobody is given a frame before those ahead of it: the first is the first to be done with.
        if index == 0 && broadcast.left == 0 {
            self.frames.pop_front();
            self.bytes -= frame.len();
        }
        Some(Missed { frame, said_at })
    }

    /// Counts again who has yet to be given what, by what every member was given, and collects the
    /// frames. O(members).
    pub(crate) fn audit(
        &self,
        given: impl Iterator<Item = u32> + Clone,
        shared: &mut SharedFrames,
    ) -> Result<(), String> {
        let (mut bytes, mut all_left) = (0, 0);
        for (index, broadcast) in self.frames.iter().enumerate() {
            let behind = self.frames.len() - index;
            let misses = |given: &u32| self.published.wrapping_sub(*given) as usize >= behind;
            let left = given.clone().filter(misses).count();
            if left != broadcast.left || left == 0 {
                return Err(format!(
                    "a broadcast: {} are said to miss it, {left} found",
                    broadcast.left
                ));
            }
            bytes += broadcast.frame.len();
            all_left += left;
            shared.insert(broadcast.frame.as_ptr(), broadcast.frame.len());
        }
        match bytes == self.bytes && all_left == self.left {
            true => Ok(()),
            false => Err(format!(
                "bytes of broadcasts, and how often they are missed: {} and {} said, {bytes} and \
                 {all_left} found",
                self.bytes, self.left
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn each_is_given_what_it_missed_once_and_in_order() {
        let ledger_bytes = Rc::new(Cell::new(0));
        let mut broadcasts = Broadcasts::default();
        let (mut early, mut late) = (broadcasts.published(), broadcasts.published());
        let hear = |broadcasts: &mut Broadcasts, given: &mut u32| {
            let mut heard = Vec::new();
            while let Some(Missed { frame, .. }) = broadcasts.next(given) {
                heard.push(frame[0]);
            }
            heard
        };
        for (number, expected) in [(1, vec![1]), (2, vec![2]), (3, vec![3])] {
            broadcasts.publish(
                SharedFrame::new(&[number; 9], &ledger_bytes),
                UnixSeconds(7),
                2,
            );
            assert_eq!(hear(&mut broadcasts, &mut early), expected);
        }
        assert_eq!(
            (broadcasts.bytes(), ledger_bytes.get(), broadcasts.left()),
            (27, 27, 3)
        );
        let mut newcomer = broadcasts.published();
        assert_eq!(hear(&mut broadcasts, &mut newcomer), Vec::<u8>::new());
        assert_eq!(hear(&mut broadcasts, &mut late), [1, 2, 3]);
        assert!(broadcasts.is_empty());
        assert_eq!(
            (broadcasts.bytes(), ledger_bytes.get(), broadcasts.left()),
            (0, 0, 0)
        );
    }

    #[test]
    fn an_audit_finds_a_count_that_is_wrong() {
        let ledger_bytes = Rc::new(Cell::new(0));
        let after = |change: fn(&mut Broadcasts)| {
            let mut broadcasts = Broadcasts::default();
            for members in 1..=2 {
                let frame = SharedFrame::new(&[1; 9], &ledger_bytes);
                broadcasts.publish(frame, UnixSeconds(7), members);
            }
            change(&mut broadcasts);
            broadcasts.audit([0, 1].into_iter(), &mut SharedFrames::new())
        };
        assert_eq!(after(|_| {}), Ok(()));
        assert!(after(|broadcasts| broadcasts.frames[1].left = 1).is_err());
        assert!(after(|broadcasts| broadcasts.bytes += 1).is_err());
        assert!(after(|broadcasts| broadcasts.left += 1).is_err());
    }

    #[test]
    fn what_is_said_to_nobody_is_not_kept() {
        let ledger_bytes = Rc::new(Cell::new(0));
        let mut broadcasts = Broadcasts::default();
        broadcasts.publish(SharedFrame::new(&[1; 9], &ledger_bytes), UnixSeconds(7), 0);
        assert!(broadcasts.is_empty());
        assert_eq!(ledger_bytes.get(), 0);
    }
}
