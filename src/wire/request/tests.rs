use super::super::head::HeadScanner;
use super::*;

fn parse(text: &str) -> Result<Request<'_>, HeadError> {
    Request::parse(
        HeadScanner::default()
            .scan(text.as_bytes())
            .unwrap()
            .unwrap(),
    )
}

/// The error of a request with these fields beside a sound `Host`.
fn error_of(fields: &str) -> Option<HeadError> {
    parse(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")).err()
}

#[test]
fn a_request_is_read_without_its_query() {
    let request = parse(
        "POST /login?token=x HTTP/1.1\r\nhOST: [::1]:7420\r\nOrigin: null\r\n\
         Content-Length:  12 \r\nEXPECT: 100-continue\r\n\r\n{\"id\"",
    )
    .unwrap();
    assert_eq!((request.method, request.path), ("POST", "/login"));
    assert_eq!(
        (request.host, request.origin),
        ("[::1]:7420", Some(&b"null"[..]))
    );
    assert_eq!(
        (request.content_length, request.expectation),
        (Some(12), Expectation::Continue)
    );
    assert_eq!(request.transfer_encoding, TransferEncoding::Absent);
    assert!(!request.is_http_1_0);
    assert_eq!(
        request.fields().nth(2),
        Some((&b"Content-Length"[..], &b"12"[..]))
    );
}

#[test]
fn a_host_is_one_name_or_address() {
    for host in [
        "a",
        "a.example:80",
        "a:",
        "a:99999",
        "127.0.0.1",
        "[::1]:1",
        "[::1]:",
        "[::ffff:192.0.2.1]",
        "[v1f.a:b]",
        "x_y-z~%41",
        "!$&'()*+,;=",
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(parse(&text).map(|request| request.host), Ok(host));
    }
    for host in [
        "",
        ":80",
        "a b",
        "a/b",
        "u@a",
        "\u{e9}",
        "a?",
        "a#",
        "a\\b",
        "%",
        "%4",
        "%4g",
        "a%zz",
        "a:b",
        "a:1:2",
        "a:-1",
        "[::1",
        "[::1]a",
        "[::1]:x",
        "[]",
        "[a]",
        "[1.2.3.4]",
        "[fe80::1%25lo]",
        "[v.a]",
        "[vx.a]",
        "[v1.]",
        "::1",
        "a]",
        "[[::1]]",
        "a\"",
        "<a>",
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(parse(&text).err(), Some(HeadError::Host), "{host}");
    }
    assert_eq!(
        parse("GET / HTTP/1.1\r\nX: a\r\n\r\n").err(),
        Some(HeadError::Host)
    );
}

#[test]
fn http_1_0_needs_no_host_and_knows_neither_coding_nor_expectation() {
    let request = parse("POST /login HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert!(request.is_http_1_0);
    assert_eq!((request.host, request.path), ("", "/login"));
    assert_eq!(request.expectation, Expectation::None);
    let request = parse("GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    assert_eq!(request.host, "a");
    assert_eq!(request.transfer_encoding, TransferEncoding::Other);
    let broken = "GET / HTTP/1.0\r\nHost: a b\r\n\r\n";
    assert_eq!(parse(broken).err(), Some(HeadError::Host));
}

#[test]
fn a_target_is_a_path_or_the_url_of_one() {
    let read = |method: &str, target: &str| {
        let text = format!("{method} {target} HTTP/1.1\r\nHost: b\r\n\r\n");
        parse(&text).map(|request| (request.host.to_owned(), request.path.to_owned()))
    };
    for (target, host, path) in [
        ("/ws?a=http://x", "b", "/ws"),
        ("//a/b", "b", "//a/b"),
        ("http://a/ws?b", "a", "/ws"),
        ("HTTPS://A.example:80/", "A.example:80", "/"),
        ("http://[::1]:7420", "[::1]:7420", "/"),
        ("http://a?b", "a", "/"),
    ] {
        let expected = Ok((host.to_owned(), path.to_owned()));
        assert_eq!(read("GET", target), expected, "{target}");
    }
    assert_eq!(read("OPTIONS", "*"), Ok(("b".to_owned(), "*".to_owned())));
    for target in [
        "*", "ws", "a:443", "ftp://a/", "http:/a", "http:a", "?", "a?/b",
    ] {
        assert_eq!(read("GET", target), Err(HeadError::Target), "{target}");
    }
    for target in [
        "http://",
        "http:///ws",
        "http://:80/",
        "http://u:p@a/",
        "http://a b",
    ] {
        if !target.contains(' ') {
            assert_eq!(read("GET", target), Err(HeadError::Host), "{target}");
        }
    }
    // RFC 9112 §3.2: Host stands beside it all the same.
    let text = "GET http://a/ HTTP/1.1\r\nX: b\r\n\r\n";
    assert_eq!(parse(text).err(), Some(HeadError::Host));
}

#[test]
fn a_coding_is_chunked_or_another() {
    let read = |fields: &str| {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        parse(&text).unwrap().transfer_encoding
    };
    assert_eq!(read(""), TransferEncoding::Absent);
    assert_eq!(
        read("Transfer-Encoding: chunked\r\n"),
        TransferEncoding::Chunked
    );
    assert_eq!(
        read("transfer-encoding:\tCHUNKED \r\n"),
        TransferEncoding::Chunked
    );
    for value in [
        "",
        "identity",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "chunked;a",
    ] {
        let field = format!("Transfer-Encoding: {value}\r\n");
        assert_eq!(read(&field), TransferEncoding::Other, "{value}");
    }
    let twice = "Transfer-Encoding: chunked\r\n".repeat(2);
    assert_eq!(read(&twice), TransferEncoding::Other);
}

#[test]
fn an_expectation_is_a_continue_or_unknown() {
    let read = |fields: &str| {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        parse(&text).unwrap().expectation
    };
    assert_eq!(read(""), Expectation::None);
    assert_eq!(read("Expect: 100-Continue\r\n"), Expectation::Continue);
    for value in [
        "200-ok",
        "100-continue, x",
        "x, 100-continue",
        "100-continue;a=b",
    ] {
        assert_eq!(
            read(&format!("Expect: {value}\r\n")),
            Expectation::Unknown,
            "{value}"
        );
    }
}

#[test]
fn a_field_that_may_stand_once_is_refused_the_second_time() {
    for (field, value) in [
        (Field::Host, "a"),
        (Field::Origin, "http://a"),
        (Field::Authorization, "Bearer a"),
        (Field::Authorization, "Basic a"),
        (Field::ContentLength, "0"),
        (Field::WebSocketKey, "a"),
    ] {
        let line = format!("{}: {value}", field.name());
        let doubled = format!("{line}\r\nx: y\r\n{}", line.to_uppercase());
        assert_eq!(
            error_of(&doubled),
            Some(HeadError::Repeated(field)),
            "{doubled}"
        );
    }
}

#[test]
fn a_length_is_digits_and_nothing_else() {
    for length in [
        "", "+1", "-1", "1.0", "0x1", "1 2", "1,", ",1", "1,x", "\u{661}",
    ] {
        assert_eq!(
            error_of(&format!("Content-Length: {length}")),
            Some(HeadError::ContentLength),
            "{length}"
        );
    }
    for length in ["1,1", "1, 2", "1 , 1,1"] {
        assert_eq!(
            error_of(&format!("Content-Length: {length}")),
            Some(HeadError::Repeated(Field::ContentLength)),
            "{length}"
        );
    }
    // However long it is, it is a number.
    for length in ["18446744073709551615", "18446744073709551616"] {
        assert_eq!(error_of(&format!("Content-Length: {length}")), None);
    }
}

#[test]
fn lists_are_read_over_all_their_lines() {
    let upgrades = |fields: &str| {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        let request = parse(&text).unwrap();
        (
            request.upgrade_names_websocket,
            request.connection_names_upgrade,
        )
    };
    assert_eq!(
        upgrades("Upgrade: WebSocket\r\nConnection: UPGRADE"),
        (true, true)
    );
    assert_eq!(
        upgrades("Upgrade: h2c,\twebsocket\r\nConnection: keep-alive, Upgrade"),
        (true, true)
    );
    assert_eq!(
        upgrades(
            "Upgrade: h2c\r\nUpgrade: ,websocket,\r\nConnection: keep-alive\r\nConnection: upgrade"
        ),
        (true, true)
    );
    assert_eq!(
        upgrades("Upgrade: websocket/13\r\nConnection: upgrades, up grade"),
        (false, false)
    );
    assert_eq!(upgrades("Upgrade:\r\nConnection: ,"), (false, false));
}

#[test]
fn credentials_are_a_bearer_token_or_of_another_scheme() {
    let read = |value: &'static str| authorization(value.as_bytes());
    assert_eq!(read("Bearer a.b.c"), Authorization::Bearer("a.b.c"));
    assert_eq!(read("bEARER   a.b.c"), Authorization::Bearer("a.b.c"));
    assert_eq!(read("Bearer a b"), Authorization::Bearer("a b"));
    for value in ["Bearer", "Bearer\ta", "Bearer:a", "bearer,"] {
        assert_eq!(read(value), Authorization::Unusable, "{value}");
    }
    assert_eq!(authorization(b"Bearer \xff"), Authorization::Unusable);
    for value in [
        "",
        "Bearera",
        "Basic YTpi",
        "Digest a=\"b\"",
        "Negotiate",
        "a.b.c",
    ] {
        assert_eq!(read(value), Authorization::OtherScheme, "{value}");
    }
    assert_eq!(authorization(b"Basic \xff"), Authorization::OtherScheme);
}

#[test]
fn debug_shows_no_token() {
    let text = "GET /ws?secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\n\
                Sec-WebSocket-Protocol: framegate.bearer.secret\r\n\r\n";
    let request = parse(text).unwrap();
    let shown = format!("{request:?} {:?} {:?}", request.authorization, request.head);
    assert_eq!(shown, "Request(GET /ws) Bearer(…) Head(115 bytes)");
}
