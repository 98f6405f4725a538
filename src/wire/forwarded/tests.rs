use super::super::head::HeadScanner;
use super::*;

const PEER: &str = "10.0.0.9";

/// Trusted are exactly the addresses that begin with `10.`, and `fd00::/8`.
fn is_trusted(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    }
}

fn with_request<T>(fields: &[String], look: impl Fn(&Request<'_>) -> T) -> T {
    let lines: String = fields.iter().map(|line| format!("{line}\r\n")).collect();
    let text = format!("GET /ws HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let head = HeadScanner::default().scan(text.as_bytes());
    look(&Request::parse(head.unwrap().unwrap()).unwrap())
}

fn client_from(peer: &str, fields: &[String]) -> Result<String, ForwardedError> {
    with_request(fields, |request| {
        let peer: IpAddr = peer.parse().unwrap();
        let client = client(request, peer, is_trusted)?;
        Ok(client
            .map_or(peer.to_canonical(), |client| client.ip())
            .to_string())
    })
}

#[track_caller]
fn assert_client(fields: &[&str], expected: &str) {
    let fields: Vec<String> = fields.iter().map(|line| (*line).to_owned()).collect();
    let found = client_from(PEER, &fields);
    assert_eq!(found.as_deref(), Ok(expected), "{fields:?}");
}

#[track_caller]
fn assert_refused(fields: &[&str], error: ForwardedError) {
    let fields: Vec<String> = fields.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(client_from(PEER, &fields), Err(error), "{fields:?}");
}

/// The same entries in either field lead to the same client.
#[track_caller]
fn assert_walk(entries: &[&str], expected: &str) {
    let forwarded: Vec<_> = entries
        .iter()
        .map(|entry| format!("for=\"{entry}\""))
        .collect();
    assert_client(
        &[&format!("X-Forwarded-For: {}", entries.join(", "))],
        expected,
    );
    assert_client(&[&format!("Forwarded: {}", forwarded.join(", "))], expected);
    // RFC 9110 §5.3: one list over several lines.
    let lines: Vec<_> = entries
        .iter()
        .map(|entry| format!("x-forwarded-FOR:{entry}"))
        .collect();
    assert_eq!(client_from(PEER, &lines).as_deref(), Ok(expected));
    let lines: Vec<_> = forwarded
        .iter()
        .map(|element| format!("fORWARDED: {element}"))
        .collect();
    assert_eq!(client_from(PEER, &lines).as_deref(), Ok(expected));
}

#[test]
fn without_a_field_the_peer_is_the_client() {
    assert_client(&[], PEER);
    assert_client(
        &["X-Real-IP: 192.0.2.1", "X_Forwarded_For: 192.0.2.1"],
        PEER,
    );
    assert_eq!(
        client_from("::ffff:192.0.2.1", &[]).as_deref(),
        Ok("192.0.2.1")
    );
}

#[test]
fn from_a_peer_that_is_not_trusted_nothing_is_believed() {
    for fields in [
        vec!["X-Forwarded-For: 198.51.100.1"],
        vec!["Forwarded: for=198.51.100.1"],
        vec!["Forwarded: for=\"", "X-Forwarded-For: 198.51.100.1"],
    ] {
        let fields: Vec<String> = fields.into_iter().map(str::to_owned).collect();
        let found = client_from("192.0.2.1", &fields);
        assert_eq!(found.as_deref(), Ok("192.0.2.1"));
    }
}

#[test]
fn a_peer_is_trusted_by_its_canonical_address() {
    let fields = ["X-Forwarded-For: 192.0.2.1".to_owned()];
    let found = client_from("::ffff:10.0.0.9", &fields);
    assert_eq!(found.as_deref(), Ok("192.0.2.1"));
}

#[test]
fn the_rightmost_entry_that_is_not_trusted_is_the_client() {
    assert_walk(&["192.0.2.1"], "192.0.2.1");
    assert_walk(&["192.0.2.1", "10.0.0.1"], "192.0.2.1");
    assert_walk(&["192.0.2.1", "10.0.0.2", "10.0.0.1"], "192.0.2.1");
    assert_walk(&["198.51.100.7", "192.0.2.1"], "192.0.2.1");
    assert_walk(&["10.0.0.3", "192.0.2.1", "10.0.0.1"], "192.0.2.1");
    assert_walk(&["198.51.100.7", "192.0.2.1", "10.0.0.1"], "192.0.2.1");
}

#[test]
fn when_every_entry_is_trusted_the_leftmost_is_the_client() {
    assert_walk(&["10.0.0.1"], "10.0.0.1");
    assert_walk(&["10.0.0.3", "10.0.0.2", "10.0.0.1"], "10.0.0.3");
}

#[test]
fn an_entry_without_an_address_ends_the_walk_at_the_last_trusted_hop() {
    for nobody in [
        "unknown",
        "UNKNOWN",
        "_hidden",
        "junk",
        "",
        "256.1.1.1",
        "192.0.2.1:",
    ] {
        assert_walk(&[nobody], PEER);
        assert_walk(&["192.0.2.1", nobody], PEER);
        assert_walk(&["192.0.2.1", nobody, "10.0.0.1"], "10.0.0.1");
        assert_walk(&["192.0.2.1", nobody, "10.0.0.2", "10.0.0.1"], "10.0.0.2");
        assert_walk(&[nobody, "192.0.2.1", "10.0.0.1"], "192.0.2.1");
    }
}

#[test]
fn an_address_may_have_brackets_and_a_port() {
    for (entry, address) in [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:0", "192.0.2.1"),
        ("192.0.2.1:47011", "192.0.2.1"),
        ("192.0.2.1:_port.1-x_", "192.0.2.1"),
        ("[2001:db8::17]", "2001:db8::17"),
        ("[2001:DB8:0::17]:4711", "2001:db8::17"),
        ("[2001:db8::17]:_x", "2001:db8::17"),
        ("[::ffff:192.0.2.1]", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
    ] {
        assert_walk(&[entry], address);
    }
}

#[test]
fn what_only_resembles_an_address_names_nobody() {
    for entry in [
        "192.0.2",
        "192.0.2.01",
        "0xc0.0.2.1",
        "192.0.2.1:123456",
        "192.0.2.1:-1",
        "192.0.2.1:_",
        "192.0.2.1:_a b",
        "192.0.2.1:80:80",
        "192.0.2.1/32",
        "[192.0.2.1]",
        "[2001:db8::17",
        "2001:db8::17]",
        "[2001:db8::17]80",
        "[[2001:db8::17]]",
        "[fe80::1%eth0]",
        "[]",
        ":80",
        "localhost",
        "\u{661}92.0.2.1",
    ] {
        assert_walk(&[entry], PEER);
    }
}

#[test]
fn ipv6_without_brackets_is_read_where_nobody_forbids_it() {
    assert_client(&["X-Forwarded-For: 2001:db8::17"], "2001:db8::17");
    assert_client(&["X-Forwarded-For: ::ffff:192.0.2.1"], "192.0.2.1");
    assert_client(&["X-Forwarded-For: 192.0.2.1, fd00::1"], "192.0.2.1");
    // RFC 7239 §6: nodename = "[" IPv6address "]".
    assert_client(&["Forwarded: for=\"2001:db8::17\""], PEER);
}

#[test]
fn a_list_has_white_space_where_lists_have_it() {
    assert_client(&["X-Forwarded-For:\t192.0.2.1 ,\t10.0.0.1\t"], "192.0.2.1");
    assert_client(&["Forwarded: for=192.0.2.1\t,  for=10.0.0.1 "], "192.0.2.1");
    assert_client(&["X-Forwarded-For: 192.0. 2.1"], PEER);
    assert_client(&["X-Forwarded-For: \"192.0.2.1\""], PEER);
}

#[test]
fn an_empty_entry_is_a_hop_that_names_nobody() {
    assert_client(&["X-Forwarded-For:"], PEER);
    assert_client(&["Forwarded:"], PEER);
    assert_client(&["X-Forwarded-For: 192.0.2.1,"], PEER);
    assert_client(&["Forwarded: for=192.0.2.1,"], PEER);
    assert_client(&["X-Forwarded-For: 192.0.2.1,,10.0.0.1"], "10.0.0.1");
    assert_client(&["X-Forwarded-For: ,192.0.2.1"], "192.0.2.1");
}

#[test]
fn of_an_element_only_its_for_is_read() {
    assert_client(
        &["Forwarded: for=192.0.2.60;proto=http;by=203.0.113.43"],
        "192.0.2.60",
    );
    assert_client(
        &["Forwarded: By=203.0.113.43; FOR=192.0.2.60 ;; host=\"a,for=1.1.1.1;b\""],
        "192.0.2.60",
    );
    assert_client(
        &["Forwarded: for=192.0.2.60;x=\"\\\"for=1.1.1.1,\\\\\""],
        "192.0.2.60",
    );
    assert_client(&["Forwarded: for=192.0.2.60, by=10.0.0.1"], PEER);
    assert_client(&["Forwarded: forx=192.0.2.60;xfor=192.0.2.61"], PEER);
}

#[test]
fn the_examples_of_rfc_7239_are_read() {
    assert_client(&["Forwarded: for=\"_gazonk\""], PEER);
    assert_client(
        &["Forwarded: For=\"[2001:db8:cafe::17]:4711\""],
        "2001:db8:cafe::17",
    );
    assert_client(
        &["Forwarded: for=192.0.2.43, for=198.51.100.17"],
        "198.51.100.17",
    );
    assert_client(
        &[
            "Forwarded: for=192.0.2.43",
            "Forwarded: for=\"[fd00::17]\", for=unknown",
        ],
        PEER,
    );
}

#[test]
fn quotation_marks_may_be_missing_and_escapes_name_nobody() {
    assert_client(&["Forwarded: for=[2001:db8::17]:80;by=_x"], "2001:db8::17");
    assert_client(&["Forwarded: for=192.0.2.1:80"], "192.0.2.1");
    assert_client(&["Forwarded: for=\"\\192.0.2.1\""], PEER);
    assert_client(&["Forwarded: for=;proto=http"], PEER);
}

#[test]
fn a_forwarded_that_is_not_one_is_refused() {
    for value in [
        "192.0.2.1",
        "for",
        "for 192.0.2.1",
        "for =192.0.2.1",
        "for= 192.0.2.1",
        "=192.0.2.1",
        "for=192.0.2.1 for=192.0.2.2",
        "for=192.0.2.1;for=192.0.2.2",
        "for=192.0.2.1;FOR=192.0.2.1",
        "for==192.0.2.1",
        "for=\"192.0.2.1",
        "for=\"192.0.2.1\\\"",
        "for=\"192.0.2.1\"x",
        "for=\"192.0.2.1\"\"\"",
        "for=192.0.2.1\"\"",
        "for=(192.0.2.1)",
        "for=192.0.2.1/32",
        "for=192.0.2.1, \"",
        "\u{e9}=1",
    ] {
        let line = format!("Forwarded: {value}");
        assert_refused(&[&line], ForwardedError::Syntax);
        // Whatever a sound proxy appends.
        let line = format!("Forwarded: {value}, for=192.0.2.1");
        assert_refused(&[&line], ForwardedError::Syntax);
        assert_refused(&[&line, "Forwarded: for=192.0.2.1"], ForwardedError::Syntax);
    }
}

#[test]
fn whatever_a_client_writes_before_it_the_proxys_element_is_read_or_the_request_refused() {
    let pieces = [
        "for=", "6.6.6.6", "\"", "\\", ",", ";", "=", " ", "[", "]", "x", "by=\"", "unknown",
    ];
    let appended = [
        ", for=192.0.2.1",
        ", for=\"192.0.2.1:80\"",
        ", for=192.0.2.1;host=\"a.example\";proto=https",
        ", for=\"192.0.2.1\";by=\"[fd00::1]:443\"",
    ];
    let mut refused = 0;
    for (first, second) in pieces
        .iter()
        .flat_map(|one| pieces.map(|other| (one, other)))
    {
        for (third, own) in pieces.iter().flat_map(|one| appended.map(|own| (one, own))) {
            let fields = [format!("Forwarded: {first}{second}{third}{own}")];
            match client_from(PEER, &fields) {
                Ok(client) => assert_eq!(client, "192.0.2.1", "{fields:?}"),
                Err(error) => refused += usize::from(error == ForwardedError::Syntax),
            }
        }
    }
    assert!(refused > 1_000, "{refused}");
}

#[test]
fn both_fields_with_one_client_pass() {
    assert_client(
        &["Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.1"],
        "192.0.2.1",
    );
    assert_client(
        &[
            "X-Forwarded-For: 198.51.100.7, 192.0.2.1, 10.0.0.1",
            "Forwarded: for=\"[::ffff:192.0.2.1]:80\"",
        ],
        "192.0.2.1",
    );
}

#[test]
fn both_fields_with_two_clients_are_refused() {
    for (forwarded, x_forwarded_for) in [
        ("for=192.0.2.1", "192.0.2.2"),
        ("for=192.0.2.1", "unknown"),
        ("for=192.0.2.1", ""),
        ("for=_hidden", "192.0.2.1"),
        ("for=10.0.0.1", "192.0.2.1"),
        ("", "192.0.2.1"),
    ] {
        let forwarded = format!("Forwarded: {forwarded}");
        let x_forwarded_for = format!("X-Forwarded-For: {x_forwarded_for}");
        let error = ForwardedError::Disagreement;
        assert_refused(&[&forwarded, &x_forwarded_for], error);
        assert_refused(&[&x_forwarded_for, &forwarded], error);
    }
}

#[test]
fn as_many_hops_as_the_bound_pass_and_one_more_is_refused() {
    for (field, hop) in [
        ("X-Forwarded-For", "10.0.0.1"),
        ("Forwarded", "for=10.0.0.1"),
    ] {
        let line = |hops| format!("{field}: {}", vec![hop; hops].join(","));
        assert_client(&[&line(FORWARDED_HOPS_MAX)], "10.0.0.1");
        let error = ForwardedError::TooManyHops;
        assert_refused(&[&line(FORWARDED_HOPS_MAX + 1)], error);
        let last = format!("{field}: {hop}");
        assert_refused(&[&line(FORWARDED_HOPS_MAX), &last], error);
    }
    let commas = format!("Forwarded: {}", ",".repeat(FORWARDED_HOPS_MAX));
    assert_refused(&[&commas], ForwardedError::TooManyHops);
}

#[test]
fn a_trusted_peer_without_an_address_is_the_client_of_nobody() {
    let told = |line: &str| {
        with_request(&[line.to_owned()], |request| {
            client_of_trusted_peer(request, is_trusted)
        })
    };
    let address = Some(SocketAddr::from(([192, 0, 2, 1], 0)));
    assert_eq!(told("X-Forwarded-For: 192.0.2.1, 10.0.0.1"), Ok(address));
    assert_eq!(told("X-Forwarded-For: unknown"), Ok(None));
    assert_eq!(told("X: y"), Ok(None));
}

/// The walk as the module's first lines tell it, from the right.
fn walked(entries: &[&str]) -> String {
    let mut last = PEER;
    for entry in entries.iter().rev() {
        match entry.parse() {
            Ok(address) if is_trusted(address) => last = entry,
            Ok(_) => return (*entry).to_owned(),
            Err(_) => break,
        }
    }
    last.to_owned()
}

#[test]
fn every_short_list_is_walked_as_from_the_right() {
    let choices = [
        "192.0.2.1",
        "198.51.100.7",
        "10.0.0.1",
        "10.0.0.2",
        "unknown",
    ];
    for length in 1..=4 {
        for number in 0..choices.len().pow(length) {
            let digit = |at| number / choices.len().pow(at) % choices.len();
            let entries: Vec<_> = (0..length).map(|at| choices[digit(at)]).collect();
            assert_client(
                &[&format!("X-Forwarded-For: {}", entries.join(","))],
                &walked(&entries),
            );
        }
    }
}

#[test]
fn every_error_is_a_bad_request_told_in_one_line() {
    for error in [
        ForwardedError::Syntax,
        ForwardedError::TooManyHops,
        ForwardedError::Disagreement,
    ] {
        let mut out = Vec::new();
        error.write(&mut out, Reply::default());
        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{out}");
        assert!(out.ends_with(&format!("\r\n\r\n{error}\n")), "{out}");
        assert!(error.word().starts_with("forwarded_") && !error.to_string().is_empty());
    }
}

#[test]
fn a_port_is_told_where_a_field_tells_it() {
    for (fields, client) in [
        (&["X-Forwarded-For: 192.0.2.1:4711"][..], "192.0.2.1:4711"),
        (&["X-Forwarded-For: 192.0.2.1"], "192.0.2.1:0"),
        (&["X-Forwarded-For: 2001:db8::1"], "[2001:db8::1]:0"),
        (
            &["X-Forwarded-For: [2001:db8::1]:4711"],
            "[2001:db8::1]:4711",
        ),
        (&["X-Forwarded-For: 192.0.2.1:99999"], "192.0.2.1:0"),
        (&["Forwarded: for=\"192.0.2.1:4711\""], "192.0.2.1:4711"),
        (&["Forwarded: for=\"192.0.2.1:_hidden\""], "192.0.2.1:0"),
        (
            &["X-Forwarded-For: 192.0.2.9:1, 192.0.2.1:4711, 10.1.1.1:2"],
            "192.0.2.1:4711",
        ),
        // Either may tell it.
        (
            &[
                "Forwarded: for=192.0.2.1",
                "X-Forwarded-For: 192.0.2.1:4711",
            ],
            "192.0.2.1:4711",
        ),
        (
            &[
                "Forwarded: for=\"192.0.2.1:4711\"",
                "X-Forwarded-For: 192.0.2.1",
            ],
            "192.0.2.1:4711",
        ),
    ] {
        let fields: Vec<String> = fields.iter().map(|line| (*line).to_owned()).collect();
        let found = with_request(&fields, |request| {
            client_of_trusted_peer(request, is_trusted)
        });
        assert_eq!(found.unwrap().unwrap().to_string(), client, "{fields:?}");
    }
}
