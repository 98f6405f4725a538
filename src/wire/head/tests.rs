use std::collections::BTreeSet;

use super::*;

/// The verdict on `bytes` and how many of them it took, which no cutting may change.
#[track_caller]
fn verdict(bytes: &[u8]) -> (Result<Option<usize>, HeadError>, usize) {
    let scan = |scanner: &mut HeadScanner, bytes| {
        scanner
            .scan(bytes)
            .map(|head| head.map(|head| Head::bytes(head).len()))
    };
    let mut at_once = HeadScanner::default();
    let whole = scan(&mut at_once, bytes);
    let mut drip = HeadScanner::default();
    let decided = (0..=bytes.len()).find(|cut| scan(&mut drip, &bytes[..*cut]) != Ok(None));
    assert_eq!(scan(&mut drip, bytes), whole, "a byte at a time");
    for cut in (0..bytes.len()).take(300) {
        let mut scanner = HeadScanner::default();
        let first = scan(&mut scanner, &bytes[..cut]);
        assert!(first == Ok(None) || first == whole, "cut at {cut}");
        assert_eq!(scan(&mut scanner, bytes), whole, "cut at {cut}");
    }
    let judged_bytes = decided.unwrap_or(bytes.len());
    assert_eq!(at_once.judged_bytes(), judged_bytes);
    (whole, judged_bytes)
}

#[track_caller]
fn assert_refused(bytes: impl AsRef<[u8]>, error: HeadError, at: usize) {
    assert_eq!(verdict(bytes.as_ref()), (Err(error), at));
}

#[test]
fn a_head_in_any_two_pieces_ends_at_its_blank_line() {
    let head = b"GET /ws?a=b HTTP/1.1\r\nHost: a\r\nX-Text:\tcaf\xc3\xa9 \t\r\nEmpty:\r\n\r\n";
    assert_eq!(verdict(head), (Ok(Some(head.len())), head.len()));
    assert_eq!(verdict(&head[..head.len() - 1]), (Ok(None), head.len() - 1));
    let behind = [&head[..], b"\x00\r\n\r\n"].concat();
    assert_eq!(verdict(&behind), (Ok(Some(head.len())), head.len()));
    let found = HeadScanner::default().scan(&behind).unwrap().unwrap();
    assert_eq!((found.bytes(), found.bytes_used()), (&head[..], head.len()));
}

#[test]
fn one_empty_line_ahead_of_the_request_line_is_skipped_and_no_second() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let with_line = [b"\r\n", &head[..]].concat();
    assert_eq!(verdict(&with_line).0, Ok(Some(head.len())));
    let found = HeadScanner::default().scan(&with_line).unwrap().unwrap();
    assert_eq!(
        (found.bytes(), found.bytes_used()),
        (&head[..], head.len() + 2)
    );
    assert_refused(
        [b"\r\n", &with_line[..]].concat(),
        HeadError::RequestLine,
        3,
    );
    assert_refused("\rGET / HTTP/1.1", HeadError::RequestLine, 2);
    assert_refused("\nGET / HTTP/1.1", HeadError::RequestLine, 1);
}

#[test]
fn a_head_of_http_1_0_is_one_too() {
    let head = b"GET /health HTTP/1.0\r\n\r\n";
    assert_eq!(verdict(head), (Ok(Some(head.len())), head.len()));
}

#[test]
fn a_request_by_head_is_known_by_its_first_word() {
    for (bytes, is_head) in [
        ("HEAD / HTTP/1.1\r\n", true),
        ("\r\nHEAD /", true),
        ("\r\n\r\nHEAD /", false),
        ("HEADER /", false),
        ("head /", false),
        ("HEAD", false),
    ] {
        assert_eq!(asks_head(bytes.as_bytes()), is_head, "{bytes:?}");
    }
}

#[test]
fn another_protocol_is_refused_at_the_first_byte_that_shows_it() {
    assert_refused(b"\x16\x03\x01\x02\x00", HeadError::RequestLine, 1);
    assert_refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HeadError::Version, 12);
    assert_refused("SSH-2.0-OpenSSH_9.6\r\n", HeadError::RequestLine, 20);
    assert_refused("GET / HTTP/2.0\r\n", HeadError::Version, 12);
    assert_refused("GET / HTTP/0.9\r\n", HeadError::Version, 12);
    assert_refused("GET / HTTP/1.2\r\n", HeadError::Version, 14);
}

#[test]
fn a_bad_request_line_is_refused_at_its_first_bad_byte() {
    for (line, at) in [
        (" GET / HTTP/1.1", 1),
        ("GET  / HTTP/1.1", 5),
        ("GET\t/ HTTP/1.1", 4),
        ("GET \u{e9} HTTP/1.1", 5),
        ("GET /\u{e9} HTTP/1.1", 6),
        ("GET /\u{7f} HTTP/1.1", 6),
        ("GET /a b HTTP/1.1", 8),
        ("GET /  HTTP/1.1", 7),
        ("GET /\r\n", 6),
        ("GET / http/1.1", 7),
        ("GET / HTTP/1.x", 14),
        ("GET / HTTP/1.1 \r\n", 15),
        ("GET / HTTP/1.1\n", 15),
        ("GET / HTTP/1.11\r\n", 15),
    ] {
        assert_refused(line, HeadError::RequestLine, at);
    }
}

#[test]
fn a_bad_field_line_is_refused_at_its_first_bad_byte() {
    const LINE: &str = "GET / HTTP/1.1\r\n";
    for (field, error, at) in [
        ("\nHost: a", HeadError::LineEnd, 1),
        ("\rHost: a", HeadError::LineEnd, 2),
        ("Host: a\nX: b", HeadError::LineEnd, 8),
        ("Host: a\rX: b", HeadError::LineEnd, 9),
        ("Host: a\r\n\rX", HeadError::LineEnd, 11),
        (" Host: a", HeadError::Folded, 1),
        ("Host: a\r\n\tb", HeadError::Folded, 10),
        (": a", HeadError::FieldName, 1),
        ("Host : a", HeadError::FieldName, 5),
        ("Host\r\n", HeadError::FieldName, 5),
        ("H(st: a", HeadError::FieldName, 2),
        ("H\u{f6}st: a", HeadError::FieldName, 2),
        ("Host: a\0", HeadError::FieldValue, 8),
        ("Host: a\u{1b}[2J", HeadError::FieldValue, 8),
        ("Host: a\u{7f}", HeadError::FieldValue, 8),
    ] {
        assert_refused(format!("{LINE}{field}"), error, LINE.len() + at);
    }
}

#[test]
fn a_head_at_the_bound_passes_and_a_byte_more_is_refused() {
    let head = |bytes: usize| format!("GET / HTTP/1.1\r\nA: {:a<1$}\r\n\r\n", "", bytes - 23);
    assert_eq!(verdict(head(8192).as_bytes()), (Ok(Some(8192)), 8192));
    assert_refused(head(8193), HeadError::TooLong, 8192);
    assert_refused(head(9023), HeadError::TooLong, 8192);
    assert_refused("G".repeat(10_000), HeadError::TooLong, 8192);
}

#[test]
fn as_many_fields_as_the_bound_pass_and_one_more_is_refused_at_its_first_byte() {
    let head = |fields| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(fields));
    assert_eq!(verdict(head(64).as_bytes()).0, Ok(Some(head(64).len())));
    assert_refused(head(65), HeadError::TooManyFields, head(64).len() - 1);
}

#[test]
fn a_scanner_that_refused_refuses_whatever_comes() {
    let mut scanner = HeadScanner::default();
    assert_eq!(scanner.scan(b"\n").err(), Some(HeadError::RequestLine));
    assert_eq!(
        scanner.scan(b"GET / HTTP/1.1\r\n\r\n").err(),
        Some(HeadError::RequestLine)
    );
}

#[test]
fn a_scanner_is_a_few_bytes() {
    assert!(
        size_of::<HeadScanner>() <= 8,
        "{}",
        size_of::<HeadScanner>()
    );
}

#[test]
fn every_error_is_told_in_one_line_of_its_status() {
    for (error, status) in [
        (HeadError::RequestLine, "HTTP/1.1 400 Bad Request\r\n"),
        (
            HeadError::TooLong,
            "HTTP/1.1 431 Request Header Fields Too Large\r\n",
        ),
        (
            HeadError::Version,
            "HTTP/1.1 505 HTTP Version Not Supported\r\n",
        ),
    ] {
        let mut out = Vec::new();
        error.write(&mut out, Reply::default());
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.starts_with(status) && out.ends_with(&format!("\r\n\r\n{error}\n")),
            "{out}"
        );
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn every_error_has_a_word_of_its_own_for_the_log() {
    let words: BTreeSet<_> = [
        HeadError::RequestLine,
        HeadError::Target,
        HeadError::Version,
        HeadError::LineEnd,
        HeadError::Folded,
        HeadError::FieldName,
        HeadError::FieldValue,
        HeadError::TooLong,
        HeadError::TooManyFields,
        HeadError::Host,
        HeadError::ContentLength,
        HeadError::Repeated(Field::Host),
    ]
    .map(HeadError::word)
    .into();
    assert_eq!(words.len(), 12);
    assert!(words.contains("line_end") && !words.contains(""));
}

#[test]
fn debug_shows_no_more_than_a_size() {
    let bytes = b"GET / HTTP/1.1\r\nHost: secret\r\n\r\n";
    let mut scanner = HeadScanner::default();
    let head = scanner.scan(bytes).expect("a head").expect("a whole one");
    assert_eq!(format!("{head:?}"), "Head(32 bytes)");
}

#[test]
fn what_is_no_head_is_blanked_of_its_words() {
    for (bytes, wanted) in [
        (&b"hunter2\n"[..], &b"xxxxxxx\n"[..]),
        (b"HEAD /hunter2 HTTP/1.1 ", b"HEAD /xxxxxxx HTTP/1.1 "),
        (
            b"\r\nGET /?hunter2 HTTP/1.1\r\nhunter2: \xE9hunter2\r\nhunter2 ",
            b"\r\nxxx /?xxxxxxx HTTP/1.1\r\nxxxxxxx: \x80xxxxxxx\r\nxxxxxxx ",
        ),
    ] {
        assert_eq!(
            blanked(bytes).escape_ascii().to_string(),
            wanted.escape_ascii().to_string()
        );
    }
}
