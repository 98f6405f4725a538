use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;

use super::*;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn decode(bytes: &[u8]) -> Result<Option<Header>, Violation> {
    Header::decode(bytes, |_| Ok(1 << 20))
}

/// A masked frame's header of final text, with these length bytes.
fn sized(length: &[u8]) -> Vec<u8> {
    [&[0x81], length, &MASK].concat()
}

#[test]
fn the_rfcs_examples_are_read_and_written() {
    // RFC 6455 §5.7: a single-frame masked text message, and a masked Pong.
    for (frame, opcode) in [
        (
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
            Opcode::Text,
        ),
        (
            b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
            Opcode::Pong,
        ),
    ] {
        let header = Header {
            opcode,
            is_final: true,
            mask: MASK,
            payload_bytes: 5,
            header_bytes: 6,
        };
        assert_eq!(decode(frame), Ok(Some(header)));
        let mut payload = frame[6..].to_vec();
        unmask(&mut payload, MASK, 0);
        assert_eq!(payload, b"Hello");
    }
    // And the unmasked ones, which a server sends.
    let mut out = Vec::new();
    write(&mut out, Opcode::Text, b"Hello");
    write_ping(&mut out, b"Hello");
    assert_eq!(out, b"\x81\x05Hello\x89\x05Hello");
    for (bytes, header) in [
        (256, &b"\x82\x7e\x01\x00"[..]),
        (65_536, b"\x82\x7f\0\0\0\0\0\x01\0\0"),
    ] {
        let mut out = Vec::new();
        write(&mut out, Opcode::Binary, &vec![0; bytes]);
        assert_eq!(
            (out.len(), &out[..header.len()]),
            (header.len() + bytes, header)
        );
    }
}

#[test]
fn every_first_two_bytes_are_judged_as_the_rfc_says() {
    for first in 0..=u8::MAX {
        for second in 0..=u8::MAX {
            let (control, seven_bits) = (first & 0x08 != 0, second & 0x7f);
            let expected = match (first & 0x70, first & 0x0f) {
                (0x10.., _) => Some(Violation::ReservedBit),
                (_, 0x3..=0x7 | 0xb..=0xf) => Some(Violation::ReservedOpcode),
                _ if control && first & 0x80 == 0 => Some(Violation::ControlFragmented),
                _ if second & 0x80 == 0 => Some(Violation::Unmasked),
                _ if control && seven_bits > 125 => Some(Violation::ControlTooLong),
                _ => None,
            };
            let length = match seven_bits {
                126 => &[1, 0][..],
                127 => &[0, 0, 0, 0, 0, 1, 0, 0],
                _ => &[],
            };
            let bytes = [&[first, second], length, &MASK].concat();
            let decoded = decode(&bytes);
            assert_eq!(decoded.err(), expected, "{first:x} {second:x}");
            // What we accept, tungstenite reads alike.
            if let Ok(Some(header)) = decoded {
                let (theirs, payload_bytes) = FrameHeader::parse(&mut Cursor::new(&bytes))
                    .unwrap()
                    .unwrap();
                assert_eq!(
                    (header.opcode as u8, header.is_final),
                    (theirs.opcode.into(), theirs.is_final)
                );
                assert_eq!(
                    (header.payload_bytes as u64, Some(header.mask)),
                    (payload_bytes, theirs.mask)
                );
                assert_eq!(header.header_bytes, bytes.len());
            }
        }
    }
}

#[test]
fn a_header_cut_anywhere_asks_for_more_or_is_refused_as_when_whole() {
    for header in [
        sized(b"\x85"),
        sized(b"\xfe\x01\0"),
        sized(b"\xff\0\0\0\0\0\x01\0\0"),
    ] {
        assert!(matches!(decode(&header), Ok(Some(_))));
        for cut in 0..header.len() {
            assert_eq!(decode(&header[..cut]), Ok(None), "{header:x?} cut at {cut}");
        }
    }
    // A violation needs no byte after the one that shows it.
    assert_eq!(decode(b"\xc1"), Err(Violation::ReservedBit));
    assert_eq!(decode(b"\x83"), Err(Violation::ReservedOpcode));
    assert_eq!(decode(b"\x09"), Err(Violation::ControlFragmented));
    assert_eq!(decode(b"\x81\x05"), Err(Violation::Unmasked));
    assert_eq!(decode(b"\x89\xfe"), Err(Violation::ControlTooLong));
    assert_eq!(
        decode(b"\x81\xff\0\0\0\0\0\x10\0\x01"),
        Err(Violation::TooBig)
    );
}

#[test]
fn a_length_is_taken_in_its_shortest_form_only() {
    let payload_bytes =
        |length: &[u8]| decode(&sized(length)).map(|header| header.unwrap().payload_bytes);
    assert_eq!(payload_bytes(b"\xfd"), Ok(125));
    assert_eq!(payload_bytes(b"\xfe\0\x7d"), Err(Violation::Length));
    assert_eq!(payload_bytes(b"\xfe\0\x7e"), Ok(126));
    assert_eq!(payload_bytes(b"\xfe\xff\xff"), Ok(65_535));
    assert_eq!(
        payload_bytes(b"\xff\0\0\0\0\0\0\xff\xff"),
        Err(Violation::Length)
    );
    assert_eq!(payload_bytes(b"\xff\0\0\0\0\0\x01\0\0"), Ok(65_536));
    assert_eq!(payload_bytes(b"\xff\0\0\0\0\0\x10\0\0"), Ok(1 << 20));
    assert_eq!(
        payload_bytes(b"\xff\0\0\0\0\0\x10\0\x01"),
        Err(Violation::TooBig)
    );
    assert_eq!(
        payload_bytes(b"\xff\x7f\xff\xff\xff\xff\xff\xff\xff"),
        Err(Violation::TooBig)
    );
    assert_eq!(
        payload_bytes(b"\xff\x80\0\0\0\0\0\0\0"),
        Err(Violation::Length)
    );
    assert_eq!(
        payload_bytes(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        Err(Violation::Length)
    );
}

#[test]
fn a_piece_from_any_offset_is_unmasked_as_in_the_whole() {
    let masked: Vec<u8> = (0..40)
        .map(|index| index ^ MASK[usize::from(index) % 4])
        .collect();
    for start in 0..masked.len() {
        for end in start..=masked.len() {
            let mut piece = masked[start..end].to_vec();
            unmask(&mut piece, MASK, start);
            assert!(
                piece
                    .iter()
                    .copied()
                    .eq((start..end).map(|index| index as u8)),
                "{start}..{end}"
            );
        }
    }
}

#[test]
fn a_frame_filled_in_place_is_the_frame_written_whole() {
    for bytes in [0, 1, 124, 125, 126, 127, 65_535, 65_536, 70_000] {
        let payload: Vec<u8> = (0..bytes).map(|index| index as u8).collect();
        let (mut whole, mut filled) = (b"before".to_vec(), b"before".to_vec());
        write(&mut whole, Opcode::Text, &payload);
        let result = write_with(&mut filled, Opcode::Text, |out| {
            out.extend_from_slice(&payload);
            bytes
        });
        assert_eq!(result, bytes);
        assert_eq!(filled, whole, "{bytes}");
        let (theirs, length) = FrameHeader::parse(&mut Cursor::new(&whole[6..]))
            .unwrap()
            .unwrap();
        assert_eq!(
            (theirs.is_final, theirs.mask, length),
            (true, None, bytes as u64)
        );
    }
}

#[test]
fn a_close_carries_its_code_and_as_much_reason_as_fits() {
    let close = |close| {
        let mut out = Vec::new();
        write_close(&mut out, close);
        out
    };
    assert_eq!(close(None), b"\x88\0");
    assert_eq!(close(Some((CloseCode::NORMAL, ""))), b"\x88\x02\x03\xe8");
    let long = "a".repeat(124);
    assert_eq!(close(Some((CloseCode::NORMAL, &long[..123])))[1], 125);
    assert_eq!(
        close(Some((CloseCode::NORMAL, &long)))[4..],
        long.as_bytes()[..123]
    );
    let cut_inside = "a".repeat(122) + "é";
    assert_eq!(
        close(Some((CloseCode::NORMAL, &cut_inside)))[4..],
        long.as_bytes()[..122]
    );
}

#[test]
fn a_control_payload_beyond_its_bound_is_cut() {
    let mut out = Vec::new();
    write_pong(&mut out, &[b'a'; 126]);
    assert_eq!((out.len(), &out[..2]), (127, &b"\x8a\x7d"[..]));
}
