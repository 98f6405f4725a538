use super::super::close::CloseCode;
use super::*;
use crate::limits::FRAGMENTS_MAX;

const RULES: MessageRules = MessageRules {
    bytes_max: 1_000,
    fragments_max: FRAGMENTS_MAX,
    binary: true,
};
const TEXT_ONLY: MessageRules = MessageRules {
    binary: false,
    ..RULES
};

/// What a client says, frame by frame.
#[derive(Clone, Default)]
struct Script(Vec<u8>);

impl Script {
    fn frame(self, is_final: bool, opcode: Opcode, payload: &[u8]) -> Script {
        self.header(is_final, opcode, payload.len())
            .payload(payload)
    }

    fn text(self, payload: &str) -> Script {
        self.frame(true, Opcode::Text, payload.as_bytes())
    }

    fn close(self, payload: &[u8]) -> Script {
        self.frame(true, Opcode::Close, payload)
    }

    /// A header whose mask depends on where it stands.
    fn header(mut self, is_final: bool, opcode: Opcode, payload_bytes: usize) -> Script {
        let start = self.0.len();
        frame::write(&mut self.0, opcode, &vec![0; payload_bytes]);
        self.0.truncate(self.0.len() - payload_bytes);
        self.0[start] ^= if is_final { 0 } else { 0x80 };
        self.0[start + 1] |= 0x80;
        self.0.extend([0x11, 0x82, 0xf3, start as u8]);
        self
    }

    /// The payload of the header that stands last.
    fn payload(mut self, payload: &[u8]) -> Script {
        let mask: [u8; 4] = *self.0.last_chunk().unwrap();
        let start = self.0.len();
        self.0.extend_from_slice(payload);
        frame::unmask(&mut self.0[start..], mask, 0);
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Script {
        self.0.extend_from_slice(bytes);
        self
    }
}

type Outcome = (Vec<Event<'static>>, Result<(), Violation>);

/// What an endpoint makes of input that comes in these pieces.
fn run<'p>(rules: MessageRules, pieces: impl IntoIterator<Item = &'p [u8]>) -> (Outcome, Endpoint) {
    let (mut endpoint, mut events) = (Endpoint::default(), Vec::new());
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        loop {
            match endpoint.next(&mut input, rules) {
                Ok(Some(event)) => events.push(event.into_owned()),
                Ok(None) => break,
                Err(violation) => return ((events, Err(violation)), endpoint),
            }
        }
        assert!(input.is_empty());
    }
    ((events, Ok(())), endpoint)
}

/// The outcome, which no cutting may change.
#[track_caller]
fn outcome(rules: MessageRules, script: &Script) -> Outcome {
    let bytes = &script.0[..];
    let (whole, _) = run(rules, [bytes]);
    for size in [1, 2, 3, 7, 64] {
        assert_eq!(
            run(rules, bytes.chunks(size)).0,
            whole,
            "in pieces of {size}"
        );
    }
    for cut in (0..bytes.len()).take(400) {
        let (first, second) = bytes.split_at(cut);
        assert_eq!(run(rules, [first, second]).0, whole, "cut at {cut}");
    }
    whole
}

#[track_caller]
fn assert_events(rules: MessageRules, script: &Script, events: &[Event<'static>]) {
    assert_eq!(outcome(rules, script), (events.to_vec(), Ok(())));
}

/// The script is refused, after so many events and with its last byte: not one byte earlier.
#[track_caller]
fn assert_refused(rules: MessageRules, script: &Script, events: usize, violation: Violation) {
    let (seen, verdict) = outcome(rules, script);
    assert_eq!((seen.len(), verdict), (events, Err(violation)));
    let (_, all_but_last) = script.0.split_last().unwrap();
    assert_eq!(
        run(rules, [all_but_last]).0.1,
        Ok(()),
        "{violation:?} comes early"
    );
}

fn text(text: &str) -> Event<'static> {
    Event::Text(text.to_owned().into())
}

fn script() -> Script {
    Script::default()
}

/// What is lent of a stream that comes in pieces of that size: headers, their masks, content, and
/// control frames' payloads, each put together.
fn parts(script: &Script, size: usize) -> [Vec<u8>; 4] {
    let (mut endpoint, mut lent) = (Endpoint::default(), [const { Vec::new() }; 4]);
    for piece in script.0.chunks(size) {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        let mut more = true;
        while more {
            let event = endpoint.next_in_parts(&mut input, TEXT_ONLY, |part| match part {
                Part::Header(bytes, mask_bytes) => {
                    let (fields, mask) = bytes.split_at(bytes.len() - mask_bytes);
                    lent[0].extend_from_slice(fields);
                    lent[1].extend_from_slice(mask);
                }
                Part::Content(bytes) => lent[2].extend_from_slice(bytes),
                Part::Control(bytes) => lent[3].extend_from_slice(bytes),
                Part::Framing(_) | Part::Unread(_) => unreachable!("frames are no chunks"),
            });
            more = matches!(event, Ok(Some(_)));
        }
    }
    lent
}

#[test]
fn every_part_of_a_frame_is_lent_once_and_of_a_bad_header_no_more_than_shows_it() {
    let good = || {
        script()
            .frame(false, Opcode::Text, "naïve ".as_bytes())
            .frame(true, Opcode::Ping, b"ping")
            .frame(true, Opcode::Continuation, &[b'x'; 200])
            .frame(true, Opcode::Pong, b"")
    };
    let sent = good().0;
    let fields = [&sent[..2], &sent[13..15], &sent[23..27], &sent[231..233]];
    let masks = [&sent[2..6], &sent[15..19], &sent[27..31], &sent[233..]];
    let content = ["naïve ".as_bytes(), &[b'x'; 200]].concat();
    let bad = |bytes: &'static [u8]| good().raw(bytes).raw(b"not looked at");
    for (script, refused) in [
        (good(), &b""[..]),
        (bad(b"\xC1"), b"\xC1"),
        (bad(b"\x81\x05"), b"\x81\x05"),
        (bad(b"\x81\xFE\x00\x01"), b"\x81\xFE\x00\x01"),
        (bad(b"\x82"), b"\x82"),
    ] {
        let wanted = [
            [&fields.concat()[..], refused].concat(),
            masks.concat(),
            content.clone(),
            b"ping".to_vec(),
        ];
        for size in [1, 2, 7, 1_000] {
            assert_eq!(
                parts(&script, size),
                wanted,
                "{refused:?} in pieces of {size}"
            );
        }
    }
}

#[test]
fn an_idle_endpoint_is_small_and_holds_nothing() {
    assert!(size_of::<Endpoint>() <= 16, "{}", size_of::<Endpoint>());
    let endpoint = Endpoint::default();
    assert_eq!(
        (
            endpoint.held_bytes(),
            endpoint.is_unfinished(),
            endpoint.is_over()
        ),
        (0, false, false)
    );
}

#[test]
fn whole_frames_are_lent_from_the_input() {
    let mut bytes = script().text("Hello").frame(true, Opcode::Ping, b"?").0;
    let mut input = &mut bytes[..];
    let mut endpoint = Endpoint::default();
    let event = endpoint.next(&mut input, RULES).unwrap().unwrap();
    assert!(matches!(
        event,
        Event::Text(std::borrow::Cow::Borrowed("Hello"))
    ));
    let event = endpoint.next(&mut input, RULES).unwrap().unwrap();
    assert!(matches!(
        event,
        Event::Ping(std::borrow::Cow::Borrowed(b"?"))
    ));
    assert_eq!(endpoint.next(&mut input, RULES), Ok(None));
    assert_eq!(endpoint.held_bytes(), 0);
}

#[test]
fn messages_of_every_form_are_read_however_they_are_cut() {
    let long = "é".repeat(500);
    let script = script()
        .text("")
        .text("Hello")
        .frame(true, Opcode::Binary, b"\xff\0")
        .text(&long)
        .frame(true, Opcode::Pong, b"")
        // RFC 6455 §5.7: a fragmented message, with a control frame in its midst.
        .frame(false, Opcode::Text, b"Hel")
        .frame(true, Opcode::Ping, &[b'p'; 125])
        .frame(false, Opcode::Continuation, b"")
        .frame(true, Opcode::Continuation, b"lo")
        .frame(false, Opcode::Binary, b"")
        .frame(true, Opcode::Continuation, b"")
        // A character that two fragments share.
        .frame(false, Opcode::Text, b"\xe2\x82")
        .frame(true, Opcode::Continuation, b"\xac")
        .close(b"\x03\xe8bye");
    let events = [
        text(""),
        text("Hello"),
        Event::Binary(vec![0xff, 0].into()),
        text(&long),
        Event::Pong(vec![].into()),
        Event::Fragment,
        Event::Ping(vec![b'p'; 125].into()),
        Event::Fragment,
        text("Hello"),
        Event::Fragment,
        Event::Binary(vec![].into()),
        Event::Fragment,
        text("€"),
        Event::Close(Some((CloseCode::NORMAL, "bye".into()))),
    ];
    assert_events(RULES, &script, &events);
    let mut whole = script.0.clone();
    let (_, endpoint) = run(RULES, [&whole[..]]);
    assert_eq!((endpoint.held_bytes(), endpoint.is_over()), (0, true));
    whole.pop();
    assert!(run(RULES, [&whole[..]]).1.is_unfinished());
}

#[test]
fn frames_with_any_byte_changed_are_judged_alike_however_they_are_cut() {
    let sound = script()
        .text("Hello")
        .frame(false, Opcode::Text, "é".as_bytes())
        .frame(true, Opcode::Ping, b"?")
        .frame(true, Opcode::Continuation, b"")
        .frame(true, Opcode::Binary, &[0; 200])
        .close(b"\x03\xe8bye");
    for position in 0..sound.0.len() {
        for change in [0x01, 0x02, 0x08, 0x10, 0x7e, 0x80] {
            let mut changed = sound.0.clone();
            changed[position] ^= change;
            let (whole, endpoint) = run(RULES, [&changed[..]]);
            assert_eq!(
                run(RULES, changed.chunks(1)).0,
                whole,
                "{position} {change:x}"
            );
            assert_eq!(
                run(RULES, changed.chunks(5)).0,
                whole,
                "{position} {change:x}"
            );
            assert!(whole.1.is_ok() || endpoint.is_over());
        }
    }
}

#[test]
fn a_frame_out_of_order_is_refused_at_its_first_byte() {
    let open = script().frame(false, Opcode::Text, b"a");
    assert_refused(
        RULES,
        &script().raw(b"\x80"),
        0,
        Violation::NothingToContinue,
    );
    assert_refused(
        RULES,
        &script().text("a").raw(b"\x00"),
        1,
        Violation::NothingToContinue,
    );
    assert_refused(
        RULES,
        &open.clone().raw(b"\x81"),
        1,
        Violation::InsideMessage,
    );
    assert_refused(
        RULES,
        &open.clone().raw(b"\x02"),
        1,
        Violation::InsideMessage,
    );
    let finished = open.frame(true, Opcode::Continuation, b"b");
    assert_refused(
        RULES,
        &finished.raw(b"\x80"),
        2,
        Violation::NothingToContinue,
    );
}

#[test]
fn a_bad_header_is_refused_at_the_byte_that_shows_it() {
    let behind_text = |bytes: &[u8]| script().text("a").raw(bytes);
    for (bytes, violation) in [
        (&b"\xc1"[..], Violation::ReservedBit),
        (b"\x83", Violation::ReservedOpcode),
        (b"\x8f", Violation::ReservedOpcode),
        (b"\x09", Violation::ControlFragmented),
        (b"\x81\x05", Violation::Unmasked),
        (b"\x89\xfe", Violation::ControlTooLong),
        (b"\x81\xfe\0\x01", Violation::Length),
        (b"\x81\xff\x80\0\0\0\0\0\0\0", Violation::Length),
        (
            b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
            Violation::TooBig,
        ),
    ] {
        assert_refused(RULES, &behind_text(bytes), 1, violation);
    }
}

#[test]
fn binary_is_refused_at_its_first_byte_where_only_text_is_taken() {
    assert_refused(TEXT_ONLY, &script().raw(b"\x82"), 0, Violation::Binary);
    assert_refused(TEXT_ONLY, &script().raw(b"\x02"), 0, Violation::Binary);
    assert_eq!(Violation::Binary.close_code(), CloseCode::UNSUPPORTED_DATA);
}

#[test]
fn a_message_at_the_bound_passes_and_a_byte_more_is_refused_on_its_header() {
    let longest = "a".repeat(1_000);
    assert_events(RULES, &script().text(&longest), &[text(&longest)]);
    let over = script().raw(b"\x81\xfe\x03\xe9");
    assert_refused(RULES, &over, 0, Violation::TooBig);

    let most = script().frame(false, Opcode::Text, &[b'a'; 990]);
    let rest = most.clone().frame(true, Opcode::Continuation, &[b'a'; 10]);
    assert_events(RULES, &rest, &[Event::Fragment, text(&longest)]);
    assert_refused(RULES, &most.clone().raw(b"\x80\x8b"), 1, Violation::TooBig);
    // What stands between the fragments is none of the message.
    let ping = most.frame(true, Opcode::Ping, &[b'p'; 125]);
    assert_events(
        RULES,
        &ping,
        &[Event::Fragment, Event::Ping(vec![b'p'; 125].into())],
    );
}

#[test]
fn as_many_fragments_as_the_bound_pass_and_one_more_is_refused_at_its_first_byte() {
    let fragments = |count: u32| {
        let first = script().frame(false, Opcode::Text, b"");
        (1..count).fold(first, |script, _| {
            script.frame(false, Opcode::Continuation, b"")
        })
    };
    let (events, verdict) = outcome(
        RULES,
        &fragments(63).frame(true, Opcode::Continuation, b"a"),
    );
    assert_eq!(
        (events.len(), events.last(), verdict),
        (64, Some(&text("a")), Ok(()))
    );
    for first in [b"\x00", b"\x80"] {
        assert_refused(
            RULES,
            &fragments(64).raw(first),
            64,
            Violation::TooManyFragments,
        );
    }
    let ping = fragments(64).frame(true, Opcode::Ping, b"");
    assert_eq!(outcome(RULES, &ping).1, Ok(()));
}

#[test]
fn text_that_is_not_utf8_is_refused_inside_the_frame() {
    for bytes in [
        &b"\xff"[..],
        b"ab\xc0",
        b"\xed\xa0",
        b"\xf4\x90",
        b"a\xe2\x82a",
    ] {
        let unfinished = script().header(true, Opcode::Text, 20).payload(bytes);
        assert_refused(RULES, &unfinished, 0, Violation::Text);
        let continued =
            script()
                .frame(false, Opcode::Text, b"a")
                .header(false, Opcode::Continuation, 20);
        assert_refused(RULES, &continued.payload(bytes), 1, Violation::Text);
    }
    assert_refused(
        RULES,
        &script().text("a").frame(true, Opcode::Text, b"\xe2\x82"),
        1,
        Violation::Text,
    );
    let shared =
        script()
            .frame(false, Opcode::Text, b"\xe2")
            .frame(true, Opcode::Continuation, b"\x82");
    assert_refused(RULES, &shared, 1, Violation::Text);
    // An empty last frame does not mend what the one before it left open.
    let (events, verdict) = outcome(
        RULES,
        &script()
            .frame(false, Opcode::Text, b"\xe2")
            .frame(true, Opcode::Continuation, b""),
    );
    assert_eq!((events.len(), verdict), (1, Err(Violation::Text)));
}

#[test]
fn a_close_ends_the_events_whatever_follows() {
    let close = script().close(b"\x0f\xa0");
    let events = [Event::Close(Some((
        CloseCode::received(4000).unwrap(),
        "".into(),
    )))];
    assert_events(RULES, &close, &events);
    assert_events(RULES, &close.clone().text("late").raw(b"\xff\xff"), &events);
    assert_events(RULES, &script().close(b""), &[Event::Close(None)]);
    let inside = script().frame(false, Opcode::Text, b"a").close(b"");
    assert_events(RULES, &inside, &[Event::Fragment, Event::Close(None)]);
    let (_, endpoint) = run(RULES, [&inside.0[..]]);
    assert_eq!(
        (
            endpoint.held_bytes(),
            endpoint.is_over(),
            endpoint.is_unfinished()
        ),
        (0, true, false)
    );
}

#[test]
fn a_bad_close_is_refused() {
    for (payload, violation) in [
        (&b"\x03"[..], Violation::CloseCode),
        (b"\x03\xe7", Violation::CloseCode),
        (b"\x03\xed", Violation::CloseCode),
        (b"\x03\xee", Violation::CloseCode),
        (b"\x0b\xb7", Violation::CloseCode),
        (b"\x13\x88", Violation::CloseCode),
        (b"\x03\xe8\xff", Violation::CloseReason),
    ] {
        assert_refused(RULES, &script().close(payload), 0, violation);
    }
}

#[test]
fn a_failure_sticks_and_drops_the_input_unread() {
    let mut endpoint = Endpoint::default();
    for bytes in [
        script().raw(b"\xff").text("a").0,
        script().text("b").0,
        vec![],
    ] {
        let mut bytes = bytes;
        let mut input = &mut bytes[..];
        assert_eq!(
            endpoint.next(&mut input, RULES),
            Err(Violation::ReservedBit)
        );
        assert!(input.is_empty() && endpoint.is_over());
        assert_eq!(endpoint.held_bytes(), 0);
    }
}

#[test]
fn a_claimed_length_allocates_nothing_but_what_is_received() {
    let rules = MessageRules {
        bytes_max: 1 << 24,
        ..RULES
    };
    for opcode in [Opcode::Text, Opcode::Binary] {
        let claim = script().header(true, opcode, 1 << 24);
        let (_, endpoint) = run(rules, [&claim.0[..]]);
        assert_eq!(endpoint.held_bytes(), size_of::<Unfinished>());
        for received in [1, 100, 5_000] {
            let script = claim.clone().payload(&vec![b'a'; received]);
            let (_, endpoint) = run(rules, script.0.chunks(33));
            let held = endpoint.held_bytes() - size_of::<Unfinished>();
            assert!(
                (received..=2 * received).contains(&held),
                "{held} for {received}"
            );
        }
    }
    let control = script().header(true, Opcode::Ping, 125).payload(b"a");
    let (_, endpoint) = run(RULES, [&control.0[..]]);
    let held = endpoint.held_bytes() - size_of::<Unfinished>();
    assert!((1..=8).contains(&held), "{held} for one");
}

#[test]
fn a_message_in_pieces_takes_no_more_than_its_length() {
    let script = script().text(&"a".repeat(1_000));
    let mut endpoint = Endpoint::default();
    for piece in script.0.chunks(100) {
        assert_eq!(
            endpoint.is_unfinished(),
            !std::ptr::eq(piece.as_ptr(), script.0.as_ptr())
        );
        let mut piece = piece.to_vec();
        match endpoint.next(&mut &mut piece[..], RULES).unwrap() {
            Some(Event::Text(text)) => assert_eq!(text.into_owned().capacity(), 1_000),
            other => assert_eq!(other, None),
        }
        assert!(endpoint.held_bytes() <= 1_000 + size_of::<Unfinished>());
    }
    assert_eq!(
        (endpoint.held_bytes(), endpoint.is_unfinished()),
        (0, false)
    );
}

#[test]
fn the_rules_in_force_are_those_of_the_call() {
    let mut endpoint = Endpoint::default();
    let mut first = script().text(&"a".repeat(1_000)).0;
    assert!(endpoint.next(&mut &mut first[..], RULES).is_ok());
    let mut second = script().text("aa").0;
    let tight = MessageRules {
        bytes_max: 1,
        ..RULES
    };
    assert_eq!(
        endpoint.next(&mut &mut second[..], tight),
        Err(Violation::TooBig)
    );
}

#[test]
fn debug_shows_no_payload() {
    let unfinished = script()
        .text("secret")
        .header(true, Opcode::Text, 9)
        .payload(b"secret");
    let ((events, _), endpoint) = run(RULES, [&unfinished.0[..]]);
    let shown = format!("{events:?} {endpoint:?}");
    assert!(
        !shown.contains("secret") && shown.contains("Text(6 bytes)"),
        "{shown}"
    );
    assert!(shown.contains("Unfinished("), "{shown}");
    assert_eq!(format!("{:?}", Endpoint::default()), "Idle");
}
