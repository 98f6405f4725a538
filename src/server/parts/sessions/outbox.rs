//! What waits for one peer: frames of its own in one buffer, and broadcasts that every
//! recipient's outbox shares. An outbox at rest holds nothing; its queue comes from a small pool
//! and goes back there once the peer has taken the last byte.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

use crate::time::Instant;

use crate::server::parts::shared_frame::{SharedFrame, SharedFrames};

/// Slices in one vectored write.
pub const SLICES_MAX: usize = 64;
/// Queues kept for the next outbox that needs one.
const SPARE_MAX: usize = 64;
/// A queue whose buffer has grown past this is not kept, in bytes.
const SPARE_BYTES_MAX: usize = 16 * 1024;
/// Segments that a queue first has room for.
const SEGMENTS_MIN: usize = 4;
/// Sent bytes at the front of the buffer that are worth moving the rest for.
const COMPACT_BYTES_MIN: usize = 4 * 1024;
/// Room for the next frame that a buffer of several is given: last words fit.
const OWN_ROOM_BYTES_MIN: usize = 256;

/// The frames that wait for one peer. Eight bytes at rest. It has no `Debug`, for a fresh token may
/// be among them.
#[derive(Default)]
pub(crate) struct Outbox {
    queue: Option<Box<Queue>>,
}

#[derive(Default)]
struct Queue {
    /// The bytes of every `Own` segment, one after the other.
    own: Vec<u8>,
    /// Bytes of `own` that the peer has taken.
    own_taken: usize,
    /// Whole frames, the first of them perhaps taken in part.
    segments: VecDeque<Segment>,
    /// Bytes of the first segment that the peer has taken; less than its length.
    front_taken: usize,
    /// Bytes not yet taken, in all.
    bytes: usize,
    /// Bytes of them that were queued since the socket was last offered what waits; ≤ `bytes`.
    unoffered_bytes: usize,
    /// Shared frames among those.
    unoffered_shared: u32,
    /// When the peer last took a byte, or had none to take.
    progress_at: Instant,
}

enum Segment {
    Own(usize),
    Shared(Rc<SharedFrame>),
}

impl Segment {
    fn len(&self) -> usize {
        match self {
            Segment::Own(len) => *len,
            Segment::Shared(bytes) => bytes.len(),
        }
    }
}

/// What of an outbox was not offered to its socket.
#[derive(Default)]
pub(crate) struct Unoffered {
    pub(crate) bytes: usize,
    /// Shared frames.
    pub(crate) shared: usize,
    /// True when they are so many bytes that it counts as crowded.
    pub(crate) is_crowded: bool,
}

/// What all outboxes share: queues that none of them needs at the moment, and what is counted of
/// them all.
#[expect(
    clippy::vec_box,
    reason = "a queue moves in and out of an outbox as its box"
)]
pub(crate) struct Pool {
    spare: Vec<Box<Queue>>,
    /// What they hold, in bytes: an outbox that takes one holds that much more.
    spare_bytes: usize,
    spare_bytes_max: usize,
    /// Bytes of shared frames, each counted once however many hold it.
    shared_bytes: Rc<Cell<usize>>,
    /// Bytes that wait and were not offered to their sockets, in all outboxes.
    unoffered_bytes: usize,
    /// Shared frames among them, counted in each outbox.
    unoffered_shared: usize,
    /// Outboxes in which more than `crowded_bytes` of shared frames were not offered.
    crowded: usize,
    /// From here on it is crowded.
    crowded_bytes: usize,
}

/// Heap that an outbox takes for its first shared frame, in bytes.
pub(crate) const OUTBOX_FIRST_BYTES: usize =
    size_of::<Queue>() + SEGMENTS_MIN * size_of::<Segment>();

/// Heap that an outbox takes for each further one, in bytes.
pub(crate) const SEGMENT_BYTES: usize = size_of::<Segment>();

impl Pool {
    /// No outbox. See [`Sessions::new`](super::Sessions::new).
    pub(crate) fn new(crowded_bytes: usize, spare_bytes_max: usize) -> Pool {
        Pool {
            spare: Vec::new(),
            spare_bytes: 0,
            spare_bytes_max,
            shared_bytes: Rc::default(),
            unoffered_bytes: 0,
            unoffered_shared: 0,
            crowded: 0,
            crowded_bytes,
        }
    }

    /// Bytes of the frames that outboxes share, each counted once.
    pub(crate) fn shared_bytes(&self) -> usize {
        self.shared_bytes.get()
    }

    /// What outboxes would hold more that took every spare queue, in bytes.
    pub(crate) fn spare_bytes(&self) -> usize {
        self.spare_bytes
    }

    /// Frees the spare queues.
    pub(crate) fn free_spare(&mut self) {
        self.spare.clear();
        self.spare_bytes = 0;
    }

    /// A frame for many outboxes.
    pub(crate) fn shared_frame(&self, bytes: &[u8]) -> Rc<SharedFrame> {
        SharedFrame::new(bytes, &self.shared_bytes)
    }

    /// Bytes that wait and were not offered to their sockets, in all outboxes.
    pub(crate) fn unoffered_bytes(&self) -> usize {
        self.unoffered_bytes
    }

    /// Shared frames that wait and were not offered to their sockets, counted in each outbox.
    pub(crate) fn unoffered_shared(&self) -> usize {
        self.unoffered_shared
    }

    /// True when some outbox holds so much that was not offered that more could make it full.
    pub(crate) fn has_crowded(&self) -> bool {
        self.crowded > 0
    }

    /// A segment was queued.
    fn note_queued(&mut self, queue: &mut Queue, bytes: usize, shared: u32) {
        queue.bytes += bytes;
        // Answers alone never crowd an outbox.
        if queue.unoffered_shared + shared == 0 {
            queue.unoffered_bytes += bytes;
            self.unoffered_bytes += bytes;
            return;
        }
        self.count_unoffered(
            queue,
            queue.unoffered_bytes + bytes,
            queue.unoffered_shared + shared,
        );
    }

    /// The socket was offered some of what waits, and took all of that: what is left may not have
    /// been offered.
    fn note_offered(&mut self, queue: &mut Queue) {
        let shared = queue.unoffered_shared.min(queue.segments.len() as u32);
        self.count_unoffered(queue, queue.unoffered_bytes.min(queue.bytes), shared);
    }

    /// Nothing of the queue is unoffered any longer.
    fn forget_unoffered(&mut self, queue: &mut Queue) {
        self.count_unoffered(queue, 0, 0);
    }

    fn count_unoffered(&mut self, queue: &mut Queue, bytes: usize, shared: u32) {
        self.unoffered_bytes = self.unoffered_bytes + bytes - queue.unoffered_bytes;
        self.unoffered_shared += shared as usize;
        self.unoffered_shared -= queue.unoffered_shared as usize;
        self.crowded -= usize::from(queue.is_crowded(self.crowded_bytes));
        queue.unoffered_bytes = bytes;
        queue.unoffered_shared = shared;
        self.crowded += usize::from(queue.is_crowded(self.crowded_bytes));
    }
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_none()
    }

    /// Bytes the peer has yet to take.
    pub(crate) fn bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.bytes)
    }

    /// Bytes that were queued since the socket was last offered what waits.
    pub(crate) fn unoffered_bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.unoffered_bytes)
    }

    /// Bytes that were offered to the socket, and that the peer has yet to take: what it is judged
    /// by as a reader.
    pub(crate) fn offered_bytes(&self) -> usize {
        self.queue
            .as_ref()
            .map_or(0, |queue| queue.bytes - queue.unoffered_bytes)
    }

    /// Heap this outbox alone holds, in bytes; what it shares is counted elsewhere.
    pub(crate) fn held_bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.held_bytes())
    }

    /// Heap this outbox alone holds for answers to its own peer, in bytes.
    pub(crate) fn own_bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.own.capacity())
    }

    /// Since when the peer has taken nothing, while bytes wait for it.
    pub(crate) fn stalled_since(&self) -> Option<Instant> {
        self.queue.as_ref().map(|queue| queue.progress_at)
    }

    /// Queues what `write` appends, as one segment: a whole frame, or the head of an HTTP answer.
    pub(crate) fn push(&mut self, pool: &mut Pool, now: Instant, write: impl FnOnce(&mut Vec<u8>)) {
        let queue = self.queue_mut(pool, now);
        let before = queue.own.len();
        queue.reserve_own();
        write(&mut queue.own);
        let len = queue.own.len().saturating_sub(before);
        if len > 0 {
            queue.reserve_segment();
            queue.segments.push_back(Segment::Own(len));
            pool.note_queued(queue, len, 0);
        }
    }

    /// Queues a frame that other outboxes hold too. Returns by how many bytes the heap it alone
    /// holds has grown.
    pub(crate) fn share(&mut self, pool: &mut Pool, now: Instant, frame: Rc<SharedFrame>) -> usize {
        let before = self.held_bytes();
        let queue = self.queue_mut(pool, now);
        queue.reserve_segment();
        let bytes = frame.len();
        queue.segments.push_back(Segment::Shared(frame));
        pool.note_queued(queue, bytes, 1);
        queue.held_bytes() - before
    }

    /// The next bytes to write, in order, neighbours in one slice. Returns how many slices of
    /// `slices`, two at least, are filled; there may be more to write only when all or all but one
    /// are.
    pub(crate) fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
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
                    // One slice stays free for own bytes after the last shared one.
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

    /// The socket was offered what `gather` gave and took `count` bytes of it; `full` when it takes
    /// no more for now.
    pub(crate) fn take(&mut self, pool: &mut Pool, now: Instant, count: usize, full: bool) {
        let Some(queue) = &mut self.queue else { return };
        if count > 0 {
            queue.progress_at = now;
        }
        queue.bytes -= count.min(queue.bytes);
        match queue.take_segments(count) {
            // Of a socket that is full, nothing more could have been asked.
            true if full => pool.forget_unoffered(queue),
            true => pool.note_offered(queue),
            false => self.rest(pool),
        }
    }

    /// Drops every frame of which the peer has not yet taken a byte, so that a Close can follow
    /// the one it is in the middle of; or the answer to its upgrade, without which it understands
    /// no frame.
    pub(crate) fn cut(&mut self, pool: &mut Pool) {
        let Some(queue) = &mut self.queue else { return };
        let keep = usize::from(queue.front_taken > 0 || queue.begins_with_answer());
        while queue.segments.len() > keep {
            if let Some(segment) = queue.segments.pop_back() {
                queue.bytes -= segment.len();
                if let Segment::Own(len) = segment {
                    queue.own.truncate(queue.own.len() - len);
                }
            }
        }
        pool.forget_unoffered(queue);
        if queue.segments.is_empty() {
            self.rest(pool);
        }
    }

    /// Gives everything back.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        let Some(queue) = &mut self.queue else { return };
        queue.segments.clear();
        self.rest(pool);
    }

    /// Counts again what it says of itself, and collects the frames it shares. Returns how many of
    /// its shared frames were not offered, and whether it is crowded. O(segments).
    pub(crate) fn audit(
        &self,
        pool: &Pool,
        shared: &mut SharedFrames,
    ) -> Result<Unoffered, String> {
        let Some(queue) = &self.queue else {
            return Ok(Unoffered::default());
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
            && queue.unoffered_bytes <= queue.bytes
            && queue.unoffered_shared as usize <= queue.segments.len()
            && queue
                .segments
                .front()
                .is_some_and(|front| queue.front_taken < front.len());
        match holds {
            true => Ok(Unoffered {
                bytes: queue.unoffered_bytes,
                shared: queue.unoffered_shared as usize,
                is_crowded: queue.is_crowded(pool.crowded_bytes),
            }),
            false => Err("an outbox holds another number of bytes than it says".to_owned()),
        }
    }

    fn queue_mut(&mut self, pool: &mut Pool, now: Instant) -> &mut Queue {
        self.queue.get_or_insert_with(|| {
            let spare = pool.spare.pop();
            pool.spare_bytes -= spare.as_ref().map_or(0, |queue| queue.held_bytes());
            let mut queue = spare.unwrap_or_default();
            queue.progress_at = now;
            queue
        })
    }

    /// Nothing waits any longer: the queue goes to the pool, or is freed.
    fn rest(&mut self, pool: &mut Pool) {
        let Some(mut queue) = self.queue.take() else {
            return;
        };
        pool.forget_unoffered(&mut queue);
        let small = queue.own.capacity() <= SPARE_BYTES_MAX
            && queue.segments.capacity() * size_of::<Segment>() <= SPARE_BYTES_MAX;
        let spare_bytes = pool.spare_bytes + queue.held_bytes();
        if small && pool.spare.len() < SPARE_MAX && spare_bytes <= pool.spare_bytes_max {
            pool.spare_bytes = spare_bytes;
            queue.own.clear();
            queue.own_taken = 0;
            queue.front_taken = 0;
            queue.bytes = 0;
            pool.spare.push(queue);
        }
    }
}

impl Queue {
    /// True when the next byte to write is the first of an HTTP answer: no frame begins with a
    /// letter (RFC 6455 §5.2).
    fn begins_with_answer(&self) -> bool {
        let is_own = matches!(self.segments.front(), Some(Segment::Own(_)));
        let first = self.own.get(self.own_taken).filter(|_| is_own);
        first.is_some_and(u8::is_ascii_alphabetic)
    }

    fn held_bytes(&self) -> usize {
        size_of::<Queue>() + self.own.capacity() + self.segments.capacity() * size_of::<Segment>()
    }

    fn is_crowded(&self, crowded_bytes: usize) -> bool {
        self.unoffered_shared > 0 && self.unoffered_bytes > crowded_bytes
    }

    /// Room for one more segment. Broadcasts make every recipient's queue grow, so it grows by an eighth,
    /// not to twice its size.
    fn reserve_segment(&mut self) {
        let len = self.segments.len();
        if len == self.segments.capacity() {
            self.segments.reserve_exact(SEGMENTS_MIN.max(len / 8));
        }
    }

    /// Room for one more short frame, in the same way: a revocation gives last words to all who live
    /// by the token, and a tick a Ping to many.
    fn reserve_own(&mut self) {
        let len = self.own.len();
        if len > 0 && self.own.capacity() - len < OWN_ROOM_BYTES_MIN {
            self.own.reserve_exact(OWN_ROOM_BYTES_MIN.max(len / 8));
        }
    }

    /// The peer took `count` bytes. Returns whether more wait.
    fn take_segments(&mut self, mut count: usize) -> bool {
        while let Some(front) = self.segments.front() {
            let left = front.len() - self.front_taken;
            let taken = left.min(count);
            if matches!(front, Segment::Own(_)) {
                self.own_taken += taken;
            }
            count -= taken;
            if taken < left {
                self.front_taken += taken;
                self.compact();
                return true;
            }
            self.front_taken = 0;
            self.segments.pop_front();
        }
        false
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

#[cfg(test)]
mod tests;
