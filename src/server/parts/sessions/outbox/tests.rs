use super::*;
use crate::limits::CROWDED_PARTS;

const NOW: Instant = Instant::from_micros(5);
const OUTBOX_BYTES_MAX: usize = 4 * 1_024;

fn text(outbox: &Outbox) -> String {
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let filled = outbox.gather(&mut slices);
    let bytes: Vec<u8> = slices[..filled].iter().flat_map(|s| s.to_vec()).collect();
    String::from_utf8(bytes).expect("the tests write text")
}

fn mixed(pool: &mut Pool) -> Outbox {
    let mut outbox = Outbox::default();
    let shared = pool.shared_frame(&b"<shared>"[..]);
    outbox.push(pool, NOW, |out| out.extend(b"one"));
    outbox.push(pool, NOW, |out| out.extend(b"two"));
    outbox.share(pool, NOW, Rc::clone(&shared));
    outbox.push(pool, NOW, |out| out.extend(b"three"));
    outbox
}

#[test]
fn frames_leave_in_their_order_however_the_peer_takes_them() {
    let whole = "onetwo<shared>three";
    for step in 1..=whole.len() {
        let mut pool = Pool::new(OUTBOX_BYTES_MAX / CROWDED_PARTS, usize::MAX);
        let mut outbox = mixed(&mut pool);
        let mut seen = String::new();
        while !outbox.is_empty() {
            let waiting = text(&outbox);
            assert_eq!(waiting.len(), outbox.bytes());
            let counted = outbox.audit(&pool, &mut SharedFrames::new());
            counted.expect("it counts right");
            let taken = step.min(waiting.len());
            seen.push_str(&waiting[..taken]);
            assert_eq!(pool.shared_bytes() > 0, waiting.contains('>'));
            outbox.take(&mut pool, NOW, taken, false);
        }
        assert_eq!(seen, whole, "in steps of {step}");
        assert_eq!((pool.shared_bytes(), pool.unoffered_shared()), (0, 0));
    }
}

#[test]
fn neighbours_go_in_one_slice() {
    let mut pool = Pool::new(OUTBOX_BYTES_MAX / CROWDED_PARTS, usize::MAX);
    let mut outbox = mixed(&mut pool);
    let shared = pool.shared_frame(&b"<shared>"[..]);
    outbox.share(&mut pool, NOW, Rc::clone(&shared));
    outbox.share(&mut pool, NOW, Rc::clone(&shared));
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let filled = outbox.gather(&mut slices);
    let lens: Vec<usize> = slices[..filled].iter().map(|slice| slice.len()).collect();
    assert_eq!(lens, [6, 8, 5, 8, 8]);
}

#[test]
fn more_segments_than_slices_are_gathered_in_turns() {
    let mut pool = Pool::new(OUTBOX_BYTES_MAX / CROWDED_PARTS, usize::MAX);
    let mut outbox = Outbox::default();
    for number in 0..200_u8 {
        let shared = pool.shared_frame(&[number][..]);
        outbox.share(&mut pool, NOW, Rc::clone(&shared));
        outbox.push(&mut pool, NOW, |out| out.push(number));
    }
    let mut seen = Vec::new();
    while !outbox.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = outbox.gather(&mut slices);
        let bytes: Vec<u8> = slices[..filled].iter().flat_map(|s| s.to_vec()).collect();
        outbox.take(&mut pool, NOW, bytes.len(), false);
        seen.extend(bytes);
    }
    let expected: Vec<u8> = (0..200).flat_map(|number| [number, number]).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_stall_begins_anew_with_each_byte_taken_and_only_then() {
    let at = Instant::from_micros;
    let mut pool = Pool::new(OUTBOX_BYTES_MAX / CROWDED_PARTS, usize::MAX);
    let mut outbox = mixed(&mut pool);
    assert_eq!(outbox.stalled_since(), Some(NOW));
    outbox.take(&mut pool, at(10), 0, true);
    assert_eq!(outbox.stalled_since(), Some(NOW));
    outbox.take(&mut pool, at(20), 1, true);
    assert_eq!(outbox.stalled_since(), Some(at(20)));
}

#[test]
fn a_cut_keeps_only_the_frame_under_way() {
    let mut pool = Pool::new(OUTBOX_BYTES_MAX / CROWDED_PARTS, usize::MAX);
    let mut outbox = mixed(&mut pool);
    outbox.take(&mut pool, NOW, 4, true);
    outbox.cut(&mut pool);
    assert_eq!(pool.shared_bytes(), 0);
    assert_eq!((text(&outbox).as_str(), outbox.bytes()), ("wo", 2));
    outbox.push(&mut pool, NOW, |out| out.extend(b"close"));
    assert_eq!(text(&outbox), "woclose");

    let mut untouched = Outbox::default();
    for _ in 0..2 {
        untouched.push(&mut pool, NOW, |out| out.extend(b"\x81\x01x"));
    }
    untouched.cut(&mut pool);
    assert!(untouched.is_empty());

    let mut answer = Outbox::default();
    answer.push(&mut pool, NOW, |out| out.extend(b"HTTP/1.1 101"));
    answer.push(&mut pool, NOW, |out| out.extend(b"\x81\x01x"));
    answer.cut(&mut pool);
    assert_eq!(text(&answer), "HTTP/1.1 101");
    answer.take(&mut pool, NOW, 12, false);
    assert!(answer.is_empty());
}

#[test]
fn a_slow_but_steady_reader_does_not_make_the_buffer_grow() {
    for bytes in [1_000, 5_000] {
        let mut pool = Pool::new(OUTBOX_BYTES_MAX / CROWDED_PARTS, usize::MAX);
        let mut outbox = Outbox::default();
        outbox.push(&mut pool, NOW, |out| out.resize(bytes, 0));
        for _ in 0..10_000 {
            outbox.push(&mut pool, NOW, |out| out.resize(out.len() + bytes, 0));
            outbox.take(&mut pool, NOW, bytes, false);
        }
        assert!(outbox.held_bytes() < 32 * 1024, "{}", outbox.held_bytes());
    }
}

#[test]
fn what_an_outbox_holds_is_its_bytes_and_a_place_for_each_frame() {
    let mut pool = Pool::new(OUTBOX_BYTES_MAX / CROWDED_PARTS, usize::MAX);
    let mut outbox = Outbox::default();
    for _ in 0..1_000 {
        outbox.push(&mut pool, NOW, |out| out.push(0));
    }
    assert!(outbox.held_bytes() >= 1_000 * (1 + size_of::<Segment>()));
}

#[test]
fn an_outbox_at_rest_holds_nothing_and_the_pool_is_bounded() {
    assert_eq!(size_of::<Outbox>(), 8);
    let mut pool = Pool::new(OUTBOX_BYTES_MAX / CROWDED_PARTS, usize::MAX);
    let mut all: Vec<Outbox> = (0..100).map(|_| mixed(&mut pool)).collect();
    for outbox in &mut all {
        outbox.clear(&mut pool);
        assert_eq!(outbox.held_bytes(), 0);
    }
    assert_eq!(pool.spare.len(), SPARE_MAX);
}

#[test]
fn a_queue_that_has_grown_is_not_handed_on() {
    for (frames, bytes) in [(1, 100_000), (2_000, 1)] {
        let mut pool = Pool::new(OUTBOX_BYTES_MAX / CROWDED_PARTS, usize::MAX);
        let mut outbox = Outbox::default();
        for _ in 0..frames {
            outbox.push(&mut pool, NOW, |out| out.resize(out.len() + bytes, 0));
        }
        outbox.clear(&mut pool);
        let mut next = Outbox::default();
        next.push(&mut pool, NOW, |out| out.push(0));
        assert!(next.held_bytes() < 32 * 1024, "{}", next.held_bytes());
    }
}

#[test]
fn what_was_not_offered_is_known_until_the_socket_was_asked() {
    let mut pool = Pool::new(OUTBOX_BYTES_MAX / CROWDED_PARTS, usize::MAX);
    let mut outbox = Outbox::default();
    let frame = pool.shared_frame(&[b'x'; 300][..]);
    for count in 1..=3 {
        outbox.share(&mut pool, NOW, Rc::clone(&frame));
        assert_eq!(pool.unoffered_shared(), count);
        assert_eq!(
            (outbox.unoffered_bytes(), outbox.offered_bytes()),
            (count * 300, 0)
        );
        // An eighth of the outbox is 512 bytes.
        assert_eq!(pool.has_crowded(), count * 300 > 512);
    }
    outbox.take(&mut pool, NOW, 100, true);
    assert_eq!((pool.unoffered_shared(), pool.has_crowded()), (0, false));
    assert_eq!((outbox.unoffered_bytes(), outbox.offered_bytes()), (0, 800));
    outbox.share(&mut pool, NOW, Rc::clone(&frame));
    assert_eq!(
        (outbox.unoffered_bytes(), outbox.offered_bytes()),
        (300, 800)
    );
    outbox.cut(&mut pool);
    assert_eq!((pool.unoffered_shared(), outbox.unoffered_bytes()), (0, 0));
    outbox.clear(&mut pool);
}

#[test]
fn one_write_offers_as_many_frames_as_it_has_slices() {
    let mut pool = Pool::new(OUTBOX_BYTES_MAX / CROWDED_PARTS, usize::MAX);
    let mut outbox = Outbox::default();
    for number in 0..200_u8 {
        let frame = pool.shared_frame(&[number][..]);
        outbox.share(&mut pool, NOW, Rc::clone(&frame));
    }
    outbox.take(&mut pool, NOW, SLICES_MAX - 1, false);
    assert_eq!(pool.unoffered_shared(), 200 - (SLICES_MAX - 1));
    outbox.take(&mut pool, NOW, 10, true);
    assert_eq!(pool.unoffered_shared(), 0, "a full socket was offered all");
    outbox.clear(&mut pool);
}

#[test]
fn a_queue_grows_by_little_when_a_frame_is_shared() {
    let mut pool = Pool::new(OUTBOX_BYTES_MAX / CROWDED_PARTS, usize::MAX);
    let mut outbox = Outbox::default();
    let frame = pool.shared_frame(&b"x"[..]);
    for _ in 0..5_000 {
        let before = outbox.held_bytes();
        let grown = outbox.share(&mut pool, NOW, Rc::clone(&frame));
        assert_eq!(outbox.held_bytes(), before + grown);
        let first = size_of::<Queue>() + SEGMENTS_MIN * size_of::<Segment>();
        assert!(grown <= first.max(before / 8), "{grown} of {before}");
    }
    outbox.clear(&mut pool);
}

#[test]
fn spare_queues_are_counted_until_they_are_taken_and_few_enough() {
    let full = |pool: &mut Pool| {
        let mut outbox = Outbox::default();
        outbox.push(pool, NOW, |out| out.resize(1_000, 0));
        outbox
    };
    let mut pool = Pool::new(OUTBOX_BYTES_MAX / CROWDED_PARTS, 4_096);
    let outboxes: Vec<Outbox> = (0..8).map(|_| full(&mut pool)).collect();
    let each = outboxes[0].held_bytes();
    for mut outbox in outboxes {
        outbox.clear(&mut pool);
        assert!(pool.spare_bytes() <= 4_096);
    }
    let kept = 4_096 / each;
    assert_eq!(pool.spare_bytes(), kept * each);
    let taken = full(&mut pool);
    assert_eq!(taken.held_bytes(), each);
    assert_eq!(pool.spare_bytes(), (kept - 1) * each);
    pool.free_spare();
    assert_eq!(pool.spare_bytes(), 0);
}

#[test]
fn a_queue_grows_by_an_eighth_and_not_to_twice_its_size() {
    let mut pool = Pool::new(OUTBOX_BYTES_MAX / CROWDED_PARTS, usize::MAX);
    let mut outbox = Outbox::default();
    const FRAME: [u8; 20] = [b'x'; 20];
    for count in 1..2_000 {
        outbox.push(&mut pool, NOW, |out| out.extend(FRAME));
        let queue = outbox.queue.as_ref().expect("something waits");
        let segments = queue.segments.len();
        assert_eq!(segments, count);
        assert!(queue.segments.capacity() <= segments + SEGMENTS_MIN.max(segments / 8));
        let own = queue.own.len();
        let room = queue.own.capacity() - own;
        assert!(room <= OWN_ROOM_BYTES_MIN.max(own / 8), "{own}: {room}");
    }
}

#[test]
fn a_queue_does_not_grow_for_each_frame() {
    let mut pool = Pool::new(OUTBOX_BYTES_MAX / CROWDED_PARTS, usize::MAX);
    let mut outbox = Outbox::default();
    let (mut growths, mut before) = (0, 0);
    for _ in 0..2_000 {
        outbox.push(&mut pool, NOW, |out| out.extend([b'x'; 20]));
        growths += usize::from(outbox.held_bytes() != before);
        before = outbox.held_bytes();
    }
    assert!(growths < 250, "{growths}");
}

#[test]
fn what_an_outbox_holds_for_its_own_peer_is_told_from_what_it_shares() {
    let mut pool = Pool::new(OUTBOX_BYTES_MAX / CROWDED_PARTS, usize::MAX);
    let mut outbox = Outbox::default();
    assert_eq!(outbox.own_bytes(), 0);
    let shared = pool.shared_frame(&[b'x'; 900][..]);
    outbox.share(&mut pool, NOW, shared);
    assert_eq!(outbox.own_bytes(), 0);
    outbox.push(&mut pool, NOW, |out| out.extend([b'x'; 500]));
    assert!((500..=1_000).contains(&outbox.own_bytes()));
}
