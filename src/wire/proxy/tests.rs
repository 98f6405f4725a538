use super::*;

type Verdict = Result<Option<(usize, Option<SocketAddr>)>, ProxyError>;

/// The verdict on `bytes` and how many of them it took, which neither a cutting nor what stands
/// after may change.
#[track_caller]
fn verdict(bytes: &[u8]) -> (Verdict, usize) {
    let parse = |bytes: &[u8]| {
        ProxyHeader::parse(bytes)
            .map(|header| header.map(|header| (header.bytes_used, header.source)))
    };
    let whole = parse(bytes);
    let decided = (0..=bytes.len()).find(|cut| parse(&bytes[..*cut]) != Ok(None));
    for cut in decided.unwrap_or(bytes.len() + 1)..=bytes.len() {
        assert_eq!(parse(&bytes[..cut]), whole, "cut at {cut}");
    }
    if whole != Ok(None) {
        let behind = [bytes, b"\r\nPROXY TCP4 \0"].concat();
        assert_eq!(parse(&behind), whole, "with more behind");
    }
    (whole, decided.unwrap_or(bytes.len()))
}

#[track_caller]
fn assert_header(bytes: impl AsRef<[u8]>, source: Option<&str>) {
    let bytes = bytes.as_ref();
    let source = source.map(|source| source.parse().unwrap());
    let expected = (Ok(Some((bytes.len(), source))), bytes.len());
    assert_eq!(verdict(bytes), expected, "{}", bytes.escape_ascii());
}

#[track_caller]
fn assert_refused(bytes: impl AsRef<[u8]>, error: ProxyError, at: usize) {
    let bytes = bytes.as_ref();
    assert_eq!(verdict(bytes), (Err(error), at), "{}", bytes.escape_ascii());
}

/// A header of version 2 whose length is that of its block.
fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, block].concat()
}

const IPV4_BLOCK: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb];

fn ipv6_block(source: &str) -> Vec<u8> {
    let source: Ipv6Addr = source.parse().unwrap();
    [&source.octets()[..], &[7; 16], &[0xdc, 0x04, 0x01, 0xbb]].concat()
}

#[test]
fn a_line_names_its_source() {
    assert_header(
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
        Some("192.168.0.1:56324"),
    );
    assert_header(
        "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        Some("255.255.255.255:65535"),
    );
    assert_header("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", Some("0.0.0.0:0"));
    assert_header(
        "PROXY TCP6 2001:db8::1 ::1 56324 443\r\n",
        Some("[2001:db8::1]:56324"),
    );
    let long = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:FFFF";
    assert_header(
        format!("PROXY TCP6 {long} {long} 65535 65535\r\n"),
        Some(&format!("[{long}]:65535")),
    );
}

#[test]
fn a_mapped_source_is_an_ipv4_source() {
    assert_header(
        "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n",
        Some("192.0.2.1:1"),
    );
    assert_header(
        binary(0x21, 0x21, &ipv6_block("::ffff:192.0.2.1")),
        Some("192.0.2.1:56324"),
    );
}

#[test]
fn an_unknown_line_names_nobody_whatever_else_it_says() {
    assert_header("PROXY UNKNOWN\r\n", None);
    assert_header("PROXY UNKNOWN \r\n", None);
    assert_header("PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n", None);
    assert_header(b"PROXY UNKNOWN \x00\xff\x1b any  thing\r\n", None);
}

#[test]
fn what_begins_like_neither_version_is_refused_at_the_byte_that_shows_it() {
    use ProxyError::Signature;
    for first in 0..=u8::MAX {
        match first {
            b'P' | b'\r' => assert_eq!(verdict(&[first]), (Ok(None), 1)),
            _ => assert_refused([first, b'R'], Signature, 1),
        }
    }
    assert_refused("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", Signature, 1);
    assert_refused(b"\x16\x03\x01\x02\x00", Signature, 1);
    assert_refused("POST /login HTTP/1.1\r\n", Signature, 2);
    assert_refused("PRI * HTTP/2.0\r\n", Signature, 3);
    assert_refused("proxy TCP4", Signature, 1);
    assert_refused("PROXY\tTCP4", Signature, 6);
    assert_refused("PROXY\r\n", Signature, 6);
    assert_refused(b"\r\n\r\n\0\r\nQUIT\r", Signature, 12);
    for at in 1..SIGNATURE.len() {
        let mut bytes = binary(0x21, 0x11, IPV4_BLOCK);
        bytes[at] ^= 1;
        assert_refused(&bytes, Signature, at + 1);
    }
}

#[test]
fn a_line_of_another_protocol_is_refused_at_the_byte_that_shows_it() {
    for (protocol, at) in [
        ("TCP5 ::1", 4),
        ("TCP ", 4),
        ("tcp4 ", 1),
        ("TCP4\r\n", 5),
        ("TCP44", 5),
        ("UDP4 ", 2),
        (" TCP4", 1),
        ("UNKNOWNX", 8),
        ("UNKNOWN\n", 8),
        ("\r\n", 1),
    ] {
        assert_refused(format!("PROXY {protocol}"), ProxyError::Protocol, 6 + at);
    }
}

#[test]
fn a_line_whose_fields_are_not_in_their_strict_form_is_refused_at_its_end() {
    for fields in [
        "TCP4 ",
        "TCP4 192.0.2.1",
        "TCP4 192.0.2.1 192.0.2.2 1",
        "TCP4 192.0.2.1 192.0.2.2 1 ",
        "TCP4 192.0.2.1 192.0.2.2 1 2 ",
        "TCP4 192.0.2.1 192.0.2.2 1 2 3",
        "TCP4  192.0.2.1 192.0.2.2 1 2",
        "TCP4 192.0.2.1  192.0.2.2 1 2",
        "TCP4 192.0.2.1\t192.0.2.2 1 2",
        "TCP4 192.0.2.01 192.0.2.2 1 2",
        "TCP4 192.0.2.256 192.0.2.2 1 2",
        "TCP4 192.0.2 192.0.2.2 1 2",
        "TCP4 192.0.2.1 example.org 1 2",
        "TCP4 ::1 ::2 1 2",
        "TCP4 192.0.2.1 ::2 1 2",
        "TCP4 0x7f.0.0.1 192.0.2.2 1 2",
        "TCP6 192.0.2.1 192.0.2.2 1 2",
        "TCP6 ::1 192.0.2.2 1 2",
        "TCP6 [::1] [::2] 1 2",
        "TCP6 fe80::1%1 ::2 1 2",
        "TCP6 1::2::3 ::2 1 2",
        "TCP6 12345:: ::2 1 2",
        "TCP4 192.0.2.1 192.0.2.2 65536 2",
        "TCP4 192.0.2.1 192.0.2.2 1 65536",
        "TCP4 192.0.2.1 192.0.2.2 01 2",
        "TCP4 192.0.2.1 192.0.2.2 1 00",
        "TCP4 192.0.2.1 192.0.2.2 +1 2",
        "TCP4 192.0.2.1 192.0.2.2 -1 2",
        "TCP4 192.0.2.1 192.0.2.2 1 0x2",
        "TCP4 192.0.2.1 192.0.2.2 \u{661} 2",
    ] {
        let line = format!("PROXY {fields}\r\n");
        assert_refused(&line, ProxyError::Addresses, line.len());
    }
    assert_refused(b"PROXY TCP4 \xff 1 1 1\r\n", ProxyError::Addresses, 20);
}

#[test]
fn a_lone_cr_or_lf_is_refused_where_it_stands() {
    let start = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2";
    let at = start.len();
    assert_refused(format!("{start}\n"), ProxyError::LineEnd, at + 1);
    assert_refused(format!("{start}\rG"), ProxyError::LineEnd, at + 2);
    assert_refused(format!("{start}\r\r\n"), ProxyError::LineEnd, at + 2);
    assert_refused("PROXY UNKNOWN a\nb\r\n", ProxyError::LineEnd, 16);
    assert_refused("PROXY UNKNOWN\rb\r\n", ProxyError::LineEnd, 15);
    assert_eq!(verdict(format!("{start}\r").as_bytes()), (Ok(None), at + 1));
}

#[test]
fn a_line_at_the_bound_passes_and_a_byte_more_is_refused() {
    let line = |bytes: usize| format!("PROXY UNKNOWN {:a<1$}\r\n", "", bytes - 16);
    assert_eq!(line(107).len(), PROXY_LINE_BYTES_MAX);
    assert_header(line(107), None);
    assert_refused(line(108), ProxyError::TooLong, 106);
    assert_refused(line(9_000), ProxyError::TooLong, 106);
    let spaces = format!("PROXY TCP4 {}", " ".repeat(200));
    assert_refused(spaces, ProxyError::TooLong, 106);
}

#[test]
fn a_binary_header_names_its_source() {
    for family in [0x11, 0x12] {
        let header = binary(0x21, family, IPV4_BLOCK);
        assert_header(header, Some("192.0.2.1:56324"));
    }
    for family in [0x21, 0x22] {
        let header = binary(0x21, family, &ipv6_block("2001:db8::1"));
        assert_header(header, Some("[2001:db8::1]:56324"));
    }
}

#[test]
fn a_proxy_that_speaks_for_itself_names_nobody_whatever_else_it_says() {
    for family in 0..=u8::MAX {
        assert_header(binary(0x20, family, b""), None);
        assert_header(binary(0x20, family, IPV4_BLOCK), None);
    }
}

#[test]
fn a_family_without_an_address_of_ours_names_nobody() {
    for family in [0x00, 0x01, 0x02, 0x10, 0x20, 0x30, 0x31, 0x32] {
        assert_header(binary(0x21, family, b""), None);
        assert_header(binary(0x21, family, &[b'/'; 216]), None);
    }
}

#[test]
fn what_is_not_assigned_is_refused_at_its_byte() {
    for family in 0..=u8::MAX {
        if family >> 4 > 3 || family & 0xf > 2 {
            let header = binary(0x21, family, IPV4_BLOCK);
            assert_refused(header, ProxyError::Protocol, 14);
        }
    }
    for command in 0..=u8::MAX {
        let header = binary(command, 0x11, IPV4_BLOCK);
        match command {
            0x20 | 0x21 => assert_eq!(verdict(&header).1, header.len()),
            0x22..=0x2f => assert_refused(header, ProxyError::Command, 13),
            _ => assert_refused(header, ProxyError::Version, 13),
        }
    }
}

#[test]
fn a_block_too_short_for_its_addresses_is_refused_on_its_length() {
    let long = [0; 64];
    for (family, bytes_min) in [(0x11, 12), (0x12, 12), (0x21, 36), (0x22, 36)] {
        for bytes in 0..bytes_min {
            let header = binary(0x21, family, &long[..bytes]);
            assert_refused(header, ProxyError::Addresses, 16);
        }
        let header = binary(0x21, family, &long[..bytes_min]);
        assert_eq!(verdict(&header).1, header.len());
    }
}

#[test]
fn what_stands_behind_the_addresses_is_skipped_unread() {
    let vectors = [0x04, 0xff, 0xff, 0x00, 0x03, 0x00];
    for bytes in 0..=vectors.len() {
        let block = [IPV4_BLOCK, &vectors[..bytes]].concat();
        assert_header(binary(0x21, 0x11, &block), Some("192.0.2.1:56324"));
    }
}

#[test]
fn a_binary_header_at_the_bound_passes_and_a_claim_of_more_is_refused_on_its_length() {
    let header = |bytes: usize| {
        let mut block = IPV4_BLOCK.to_vec();
        block.resize(bytes - FIXED_BYTES, 0);
        binary(0x21, 0x11, &block)
    };
    assert_header(header(PROXY_HEADER_BYTES_MAX), Some("192.0.2.1:56324"));
    let beyond = header(PROXY_HEADER_BYTES_MAX + 1);
    assert_refused(&beyond[..16], ProxyError::TooLong, 16);
    let largest = [&SIGNATURE[..], &[0x20, 0x00, 0xff, 0xff]].concat();
    assert_refused(largest, ProxyError::TooLong, 16);
}

#[test]
fn a_header_is_no_longer_than_it_says() {
    for header in [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
        binary(0x20, 0x00, b""),
        binary(0x21, 0x11, IPV4_BLOCK),
    ] {
        let bytes = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
        let parsed = ProxyHeader::parse(&bytes).unwrap().unwrap();
        assert_eq!(&bytes[parsed.bytes_used..], b"GET / HTTP/1.1\r\n");
    }
}

#[test]
fn a_header_with_any_byte_changed_has_one_verdict_however_it_is_cut() {
    for header in [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::1 ::2 1 2\r\n".to_vec(),
        b"PROXY UNKNOWN a\r\n".to_vec(),
        binary(0x21, 0x11, IPV4_BLOCK),
        binary(0x21, 0x21, &ipv6_block("2001:db8::1")),
    ] {
        for at in 0..header.len() {
            for value in [
                0, 1, b'\t', b'\n', b'\r', b' ', b'0', b':', b'P', 0x20, 0x80, 0xff,
            ] {
                let mut bytes = header.clone();
                bytes[at] = value;
                if let (Ok(Some((bytes_used, _))), decided) = verdict(&bytes) {
                    assert_eq!(bytes_used, decided);
                }
            }
        }
    }
}

#[test]
fn every_error_is_told_in_one_line_and_one_word() {
    let errors = ProxyError::ALL;
    for (at, error) in errors.iter().enumerate() {
        assert!(error.to_string().contains("PROXY") && !error.to_string().contains('\n'));
        assert!(
            errors[..at]
                .iter()
                .all(|other| other.word() != error.word())
        );
    }
    assert!(ProxyError::TooLong.to_string().contains("107 bytes"));
}
