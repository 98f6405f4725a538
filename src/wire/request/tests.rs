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
        (request.content_length, request.has_expectation),
        (Some(12), true)
    );
    assert!(!request.has_transfer_encoding);
    assert_eq!(request.behind_head, b"{\"id\"");
    assert_eq!(
        request.fields().nth(2),
        Some((&b"Content-Length"[..], &b"12"[..]))
    );
}

#[test]
fn a_host_is_one_name_or_address() {
    for host in ["a", "a.example:80", "127.0.0.1", "[::1]:1", "x_y-z~%41"] {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(parse(&text).map(|request| request.host), Ok(host));
    }
    for host in [
        "", ":80", "a b", "a,b", "a/b", "u@a", "\u{e9}", "a?", "a#", "a\\b",
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
fn a_field_that_may_stand_once_is_refused_the_second_time() {
    for (field, value) in [
        (Field::Host, "a"),
        (Field::Origin, "http://a"),
        (Field::Authorization, "Bearer a"),
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
        "",
        "+1",
        "-1",
        "1.0",
        "0x1",
        "1 2",
        "1,1",
        "\u{661}",
        "99999999999999999999",
    ] {
        assert_eq!(
            error_of(&format!("Content-Length: {length}")),
            Some(HeadError::ContentLength),
            "{length}"
        );
    }
    assert_eq!(error_of("Content-Length: 18446744073709551615"), None);
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
fn credentials_are_a_bearer_token_or_unusable() {
    let read = |value: &'static str| authorization(value.as_bytes());
    assert_eq!(read("Bearer a.b.c"), Authorization::Bearer("a.b.c"));
    assert_eq!(read("bEARER   a.b.c"), Authorization::Bearer("a.b.c"));
    assert_eq!(read("Bearer a b"), Authorization::Bearer("a b"));
    for value in [
        "",
        "Bearer",
        "Bearer\ta",
        "Bearera",
        "Basic YTpi",
        "a.b.c",
        "Bearer:a",
    ] {
        assert_eq!(read(value), Authorization::Unusable, "{value}");
    }
    assert_eq!(authorization(b"Bearer \xff"), Authorization::Unusable);
}

#[test]
fn debug_shows_no_token() {
    let text = "GET /ws?secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\n\
                Sec-WebSocket-Protocol: framegate.bearer.secret\r\n\r\n";
    let request = parse(text).unwrap();
    let shown = format!("{request:?} {:?} {:?}", request.authorization, request.head);
    assert_eq!(shown, "Request(GET /ws) Bearer(…) Head(115 bytes)");
}
