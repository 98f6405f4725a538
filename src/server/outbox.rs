//! What waits for one peer: frames of its own in one buffer, and broadcasts that every
//! recipient's outbox shares. An outbox at rest holds nothing; its queue comes from a small pool
//! and goes back there once the peer has taken the last byte.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::rc::Rc;

use crate::time::Instant;

/// Slices in one vectored write.
pub const SLICES_MAX: usize = 64;
/// Queues kept for the next outbox that needs one.
const SPARE_MAX: usize = 64;
/// A queue whose buffer has grown past this is not kept, in bytes.
const SPARE_BYTES_MAX: usize = 16 * 1024;
/// Sent bytes at the front of the buffer that are worth moving the rest for.
const COMPACT_BYTES_MIN: usize = 4 * 1024;

/// The frames that wait for one peer. Eight bytes at rest. It has no `Debug`, for a fresh token may
/// be among them.
#[derive(Default)]
pub(super) struct Outbox {
    queue: Option<Box<Queue>>,
}

#[derive(Default)]
struct Queue {
    /// The bytes of every `Own` segment, one behind the other.
    own: Vec<u8>,
    /// Bytes of `own` that the peer has taken.
    own_taken: usize,
    /// Whole frames, the first of them perhaps taken in part.
    segments: VecDeque<Segment>,
    /// Bytes of the first segment that the peer has taken; less than its length.
    front_taken: usize,
    /// Bytes not yet taken, in all.
    bytes: usize,
    /// When the peer last took a byte, or had none to take.
    progress_at: Instant,
}

enum Segment {
    Own(usize),
    Shared(Rc<[u8]>),
}

impl Segment {
    fn len(&self) -> usize {
        match self {
            Segment::Own(len) => *len,
            Segment::Shared(bytes) => bytes.len(),
        }
    }
}

/// Frames that outboxes share, by where they lie, and their bytes.
pub(super) type SharedFrames = BTreeMap<*const u8, usize>;

/// Queues that no outbox needs at the moment.
#[derive(Default)]
#[expect(
    clippy::vec_box,
    reason = "a queue moves in and out of an outbox as its box"
)]
pub(super) struct Spare {
    queues: Vec<Box<Queue>>,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_none()
    }

    /// Bytes the peer has yet to take.
    pub(super) fn bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.bytes)
    }

    /// Heap this outbox alone holds, in bytes; what it shares is counted elsewhere.
    pub(super) fn held_bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| {
            size_of::<Queue>()
                + queue.own.capacity()
                + queue.segments.capacity() * size_of::<Segment>()
        })
    }

    /// Since when the peer has taken nothing, while bytes wait for it.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        self.queue.as_ref().map(|queue| queue.progress_at)
    }

    /// Queues what `write` appends, as one segment: a whole frame, or the head of an HTTP answer.
    pub(super) fn push(
        &mut self,
        spare: &mut Spare,
        now: Instant,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let queue = self.queue_mut(spare, now);
        let before = queue.own.len();
        write(&mut queue.own);
        let len = queue.own.len().saturating_sub(before);
        if len > 0 {
            queue.segments.push_back(Segment::Own(len));
            queue.bytes += len;
        }
    }

    /// Queues a frame that other outboxes hold too.
    pub(super) fn share(&mut self, spare: &mut Spare, now: Instant, frame: &Rc<[u8]>) {
        let queue = self.queue_mut(spare, now);
        queue.segments.push_back(Segment::Shared(Rc::clone(frame)));
        queue.bytes += frame.len();
    }

    /// The next bytes to write, in order, neighbours in one slice. Returns how many slices of
    /// `slices`, two at least, are filled; there may be more to write only when all or all but one
    /// are.
    pub(super) fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let Some(queue) = &self.queue else { return 0 };
        let mut filled = 0;
        let mut own_at = queue.own_taken;
        let mut own_end = own_at;
        let mut skip = queue.front_taken;
        for segment in &queue.segments {
            match segment {
                Segment::Own(len) => own_end += len - skip,
                Segment::Shared(bytes) => {
                    if own_end > own_at {
                        slices[filled] = IoSlice::new(&queue.own[own_at..own_end]);
                        own_at = own_end;
                        filled += 1;
                    }
                    // One slice stays free for own bytes behind the last shared one.
                    if filled + 1 >= slices.len() {
                        return filled;
                    }
                    slices[filled] = IoSlice::new(&bytes[skip..]);
                    filled += 1;
                }
            }
            skip = 0;
        }
        if own_end > own_at {
            slices[filled] = IoSlice::new(&queue.own[own_at..own_end]);
            filled += 1;
        }
        filled
    }

    /// The peer took `count` bytes of what `gather` gave. Returns the bytes of shared frames that
    /// no outbox holds any longer.
    pub(super) fn take(&mut self, spare: &mut Spare, now: Instant, mut count: usize) -> usize {
        let Some(queue) = &mut self.queue else {
            return 0;
        };
        let mut freed = 0;
        if count > 0 {
            queue.progress_at = now;
        }
        queue.bytes -= count.min(queue.bytes);
        while let Some(front) = queue.segments.front() {
            let left = front.len() - queue.front_taken;
            let taken = left.min(count);
            if matches!(front, Segment::Own(_)) {
                queue.own_taken += taken;
            }
            count -= taken;
            if taken < left {
                queue.front_taken += taken;
                queue.compact();
                return freed;
            }
            queue.front_taken = 0;
            freed += queue.drop_front();
        }
        self.rest(spare);
        freed
    }

    /// Drops every frame of which the peer has not yet taken a byte, so that a Close can follow
    /// the one it is in the middle of. Returns as `take` does.
    pub(super) fn cut(&mut self, spare: &mut Spare) -> usize {
        let Some(queue) = &mut self.queue else {
            return 0;
        };
        let keep = usize::from(queue.front_taken > 0);
        let mut freed = 0;
        while queue.segments.len() > keep {
            if let Some(segment) = queue.segments.pop_back() {
                queue.bytes -= segment.len();
                if let Segment::Own(len) = segment {
                    queue.own.truncate(queue.own.len() - len);
                }
                freed += freed_by(&segment);
            }
        }
        if keep == 0 {
            self.rest(spare);
        }
        freed
    }

    /// Gives everything back. Returns as `take` does.
    pub(super) fn clear(&mut self, spare: &mut Spare) -> usize {
        let Some(queue) = &mut self.queue else {
            return 0;
        };
        let mut freed = 0;
        while !queue.segments.is_empty() {
            freed += queue.drop_front();
        }
        self.rest(spare);
        freed
    }

    /// Counts again what it says of itself, and collects the frames it shares. O(segments).
    pub(super) fn audit(&self, shared: &mut SharedFrames) -> Result<(), String> {
        let Some(queue) = &self.queue else {
            return Ok(());
        };
        let (mut own, mut all) = (0, 0);
        for segment in &queue.segments {
            all += segment.len();
            match segment {
                Segment::Own(len) => own += len,
                Segment::Shared(bytes) => _ = shared.insert(bytes.as_ptr(), bytes.len()),
            }
        }
        let is_own_first = matches!(queue.segments.front(), Some(Segment::Own(_)));
        let own_taken = if is_own_first { queue.front_taken } else { 0 };
        let holds = queue.bytes + queue.front_taken == all
            && queue.own.len() + own_taken == queue.own_taken + own
            && queue
                .segments
                .front()
                .is_some_and(|front| queue.front_taken < front.len());
        match holds {
            true => Ok(()),
            false => Err("an outbox holds another number of bytes than it says".to_owned()),
        }
    }

    fn queue_mut(&mut self, spare: &mut Spare, now: Instant) -> &mut Queue {
        self.queue.get_or_insert_with(|| {
            let mut queue = spare.queues.pop().unwrap_or_default();
            queue.progress_at = now;
            queue
        })
    }

    /// Nothing waits any longer: the queue goes to the pool, or is freed.
    fn rest(&mut self, spare: &mut Spare) {
        let Some(mut queue) = self.queue.take() else {
            return;
        };
        let small = queue.own.capacity() <= SPARE_BYTES_MAX
            && queue.segments.capacity() * size_of::<Segment>() <= SPARE_BYTES_MAX;
        if small && spare.queues.len() < SPARE_MAX {
            queue.own.clear();
            queue.own_taken = 0;
            queue.front_taken = 0;
            queue.bytes = 0;
            spare.queues.push(queue);
        }
    }
}

impl Queue {
    fn drop_front(&mut self) -> usize {
        self.segments
            .pop_front()
            .map_or(0, |segment| freed_by(&segment))
    }

    /// Moves the bytes that wait to the front of the buffer once those before them are the
    /// larger part, so that a reader who is slow but steady does not make it grow. Amortised O(1)
    /// a byte.
    fn compact(&mut self) {
        if self.own_taken >= COMPACT_BYTES_MIN && self.own_taken * 2 >= self.own.len() {
            self.own.drain(..self.own_taken);
            self.own_taken = 0;
        }
    }
}

/// The bytes that go with this segment: those of a shared frame when it is the last to hold it.
fn freed_by(segment: &Segment) -> usize {
    match segment {
        Segment::Shared(bytes) if Rc::strong_count(bytes) == 1 => bytes.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_micros(5);

    fn text(outbox: &Outbox) -> String {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = outbox.gather(&mut slices);
        let bytes: Vec<u8> = slices[..filled].iter().flat_map(|s| s.to_vec()).collect();
        String::from_utf8(bytes).expect("the tests write text")
    }

    fn mixed(spare: &mut Spare) -> Outbox {
        let mut outbox = Outbox::default();
        let shared: Rc<[u8]> = Rc::from(&b"<shared>"[..]);
        outbox.push(spare, NOW, |out| out.extend(b"one"));
        outbox.push(spare, NOW, |out| out.extend(b"two"));
        outbox.share(spare, NOW, &shared);
        outbox.push(spare, NOW, |out| out.extend(b"three"));
        outbox
    }

    #[test]
    fn frames_leave_in_their_order_however_the_peer_takes_them() {
        let whole = "onetwo<shared>three";
        for step in 1..=whole.len() {
            let mut spare = Spare::default();
            let mut outbox = mixed(&mut spare);
            let mut seen = String::new();
            let mut freed = 0;
            while !outbox.is_empty() {
                let waiting = text(&outbox);
                assert_eq!(waiting.len(), outbox.bytes());
                let counted = outbox.audit(&mut SharedFrames::new());
                counted.expect("it counts right");
                let taken = step.min(waiting.len());
                seen.push_str(&waiting[..taken]);
                freed += outbox.take(&mut spare, NOW, taken);
            }
            assert_eq!(seen, whole, "in steps of {step}");
            assert_eq!(freed, 8);
        }
    }

    #[test]
    fn neighbours_go_in_one_slice() {
        let mut spare = Spare::default();
        let mut outbox = mixed(&mut spare);
        let shared: Rc<[u8]> = Rc::from(&b"<shared>"[..]);
        outbox.share(&mut spare, NOW, &shared);
        outbox.share(&mut spare, NOW, &shared);
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = outbox.gather(&mut slices);
        let lens: Vec<usize> = slices[..filled].iter().map(|slice| slice.len()).collect();
        assert_eq!(lens, [6, 8, 5, 8, 8]);
    }

    #[test]
    fn more_segments_than_slices_are_gathered_in_turns() {
        let mut spare = Spare::default();
        let mut outbox = Outbox::default();
        for number in 0..200_u8 {
            let shared: Rc<[u8]> = Rc::from(&[number][..]);
            outbox.share(&mut spare, NOW, &shared);
            outbox.push(&mut spare, NOW, |out| out.push(number));
        }
        let mut seen = Vec::new();
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = outbox.gather(&mut slices);
            let bytes: Vec<u8> = slices[..filled].iter().flat_map(|s| s.to_vec()).collect();
            outbox.take(&mut spare, NOW, bytes.len());
            seen.extend(bytes);
        }
        let expected: Vec<u8> = (0..200).flat_map(|number| [number, number]).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_stall_begins_anew_with_each_byte_taken_and_only_then() {
        let at = Instant::from_micros;
        let mut spare = Spare::default();
        let mut outbox = mixed(&mut spare);
        assert_eq!(outbox.stalled_since(), Some(NOW));
        outbox.take(&mut spare, at(10), 0);
        assert_eq!(outbox.stalled_since(), Some(NOW));
        outbox.take(&mut spare, at(20), 1);
        assert_eq!(outbox.stalled_since(), Some(at(20)));
    }

    #[test]
    fn a_cut_keeps_only_the_frame_under_way() {
        let mut spare = Spare::default();
        let mut outbox = mixed(&mut spare);
        outbox.take(&mut spare, NOW, 4);
        assert_eq!(outbox.cut(&mut spare), 8);
        assert_eq!((text(&outbox).as_str(), outbox.bytes()), ("wo", 2));
        outbox.push(&mut spare, NOW, |out| out.extend(b"close"));
        assert_eq!(text(&outbox), "woclose");

        let mut untouched = mixed(&mut spare);
        untouched.cut(&mut spare);
        assert!(untouched.is_empty());
    }

    #[test]
    fn a_slow_but_steady_reader_does_not_make_the_buffer_grow() {
        for bytes in [1_000, 5_000] {
            let mut spare = Spare::default();
            let mut outbox = Outbox::default();
            outbox.push(&mut spare, NOW, |out| out.resize(bytes, 0));
            for _ in 0..10_000 {
                outbox.push(&mut spare, NOW, |out| out.resize(out.len() + bytes, 0));
                outbox.take(&mut spare, NOW, bytes);
            }
            assert!(outbox.held_bytes() < 32 * 1024, "{}", outbox.held_bytes());
        }
    }

    #[test]
    fn what_an_outbox_holds_is_its_bytes_and_a_place_for_each_frame() {
        let mut spare = Spare::default();
        let mut outbox = Outbox::default();
        for _ in 0..1_000 {
            outbox.push(&mut spare, NOW, |out| out.push(0));
        }
        assert!(outbox.held_bytes() >= 1_000 * (1 + size_of::<Segment>()));
    }

    #[test]
    fn an_outbox_at_rest_holds_nothing_and_the_pool_is_bounded() {
        assert_eq!(size_of::<Outbox>(), 8);
        let mut spare = Spare::default();
        let mut all: Vec<Outbox> = (0..100).map(|_| mixed(&mut spare)).collect();
        for outbox in &mut all {
            outbox.clear(&mut spare);
            assert_eq!(outbox.held_bytes(), 0);
        }
        assert_eq!(spare.queues.len(), SPARE_MAX);
    }

    #[test]
    fn a_queue_that_has_grown_is_not_handed_on() {
        for (frames, bytes) in [(1, 100_000), (2_000, 1)] {
            let mut spare = Spare::default();
            let mut outbox = Outbox::default();
            for _ in 0..frames {
                outbox.push(&mut spare, NOW, |out| out.resize(out.len() + bytes, 0));
            }
            outbox.clear(&mut spare);
            let mut next = Outbox::default();
            next.push(&mut spare, NOW, |out| out.push(0));
            assert!(next.held_bytes() < 32 * 1024, "{}", next.held_bytes());
        }
    }
}
