use super::*;

type Verdict = Result<Option<Vec<u8>>, BodyError>;

fn decode<'a>(mut decoder: BodyDecoder, pieces: impl IntoIterator<Item = &'a [u8]>) -> Verdict {
    let mut content = Vec::new();
    let mut verdict = Ok(false);
    for mut piece in pieces {
        let (came, mut parts) = (piece, Vec::new());
        let next = decoder.decode(&mut piece, |part| {
            content.extend_from_slice(part.content());
            match part {
                Part::Framing(bytes) | Part::Unread(bytes) | Part::Content(bytes) => {
                    parts.extend_from_slice(bytes);
                }
                Part::Header(..) | Part::Control(_) => unreachable!("a body has no frames"),
            }
        });
        assert_eq!(parts, came[..came.len() - piece.len()], "all in its order");
        // What it has said it says from then on.
        assert!(verdict == Ok(false) || verdict == next);
        verdict = next;
    }
    verdict.map(|is_whole| is_whole.then_some(content))
}

/// The verdict on a body, which no cutting may change.
#[track_caller]
fn verdict(decoder: BodyDecoder, bytes: &[u8]) -> Verdict {
    let whole = decode(decoder, [bytes]);
    assert_eq!(decode(decoder, bytes.chunks(1)), whole, "byte by byte");
    for cut in 0..=bytes.len() {
        let (first, second) = bytes.split_at(cut);
        assert_eq!(decode(decoder, [first, second]), whole, "cut at {cut}");
    }
    whole
}

fn chunked(body: impl AsRef<[u8]>) -> Verdict {
    verdict(BodyDecoder::chunked(100), body.as_ref())
}

#[test]
fn an_announced_body_is_that_many_bytes_however_cut() {
    let announced = |bytes| verdict(BodyDecoder::announced(bytes), b"abcdef");
    assert_eq!(announced(0), Ok(Some(b"".to_vec())));
    assert_eq!(announced(5), Ok(Some(b"abcde".to_vec())));
    assert_eq!(announced(6), Ok(Some(b"abcdef".to_vec())));
    assert_eq!(announced(7), Ok(None));
}

#[test]
fn what_nobody_reads_is_told_apart() {
    let body = b"3 ;ext=\"v;w\"\r\nabc\r\n0;e\r\nName: value\r\n\r\n";
    let mut unread = Vec::new();
    let whole = BodyDecoder::chunked(3).decode(&mut &body[..], |part| {
        if let Part::Unread(bytes) = part {
            unread.push(str::from_utf8(bytes).unwrap().to_owned());
        }
    });
    assert_eq!(whole, Ok(true));
    assert_eq!(unread, ["ext=\"v;w\"", "e", "Name", " value"]);
}

#[test]
fn chunks_are_put_together_however_cut() {
    for (body, content) in [
        ("0\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("1\r\na\r\n2\r\nbc\r\n00\r\n\r\n", "abc"),
        ("00A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("0a\r\n0123\r\n6789\r\n0\r\n\r\n", "0123\r\n6789"),
        ("3;a=\"b\\\"c\"\r\nabc\r\n0;last\r\n\r\n", "abc"),
        ("3 \t;\tx = y\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3\r\nabc\r\n0\r\nA: b\r\nExpires:\r\n\r\n", "abc"),
        ("3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "abc"),
    ] {
        assert_eq!(chunked(body), Ok(Some(content.into())), "{body:?}");
    }
    let whole = "3\r\nabc\r\n0\r\nA: b\r\n\r\n";
    for end in 0..whole.len() {
        assert_eq!(chunked(&whole[..end]), Ok(None), "{end}");
    }
}

#[test]
fn what_stands_behind_a_body_is_left() {
    for (mut decoder, body) in [
        (BodyDecoder::announced(3), "abc"),
        (BodyDecoder::announced(0), ""),
        (BodyDecoder::chunked(3), "3\r\nabc\r\n0\r\n\r\n"),
    ] {
        let bytes = format!("{body}GET /");
        let mut rest = bytes.as_bytes();
        assert_eq!(decoder.decode(&mut rest, |_| {}), Ok(true));
        assert_eq!(rest, b"GET /");
    }
}

#[test]
fn what_is_no_chunk_is_refused() {
    for body in [
        "\r\n",
        "x",
        "-1\r\n",
        "+1\r\n",
        " 1\r\n",
        "0x1\r\n",
        "1\n",
        "1\rX",
        "1 \r\n",
        "1 2\r\n",
        ";a\r\n",
        "1;\0\r\n",
        "1;a\nb",
        "1\r\nab",
        "1\r\na\n",
        "1\r\na\rX",
        "1\r\na\r\n\r\n",
        "0\r\n\n",
        "0\r\n\rX",
        "0\r\n:\r\n",
        "0\r\nA b\r\n",
        "0\r\nA: \0",
        "0\r\nA: b\n",
        "0\r\n A: b\r\n",
    ] {
        assert_eq!(chunked(body), Err(BodyError::Chunk), "{body:?}");
    }
}

#[test]
fn content_at_the_bound_passes_and_a_byte_more_is_refused_on_its_size() {
    let body = |bytes: usize| format!("{bytes:x}\r\n{:a<bytes$}\r\n0\r\n\r\n", "");
    assert_eq!(chunked(body(100)), Ok(Some(vec![b'a'; 100])));
    assert_eq!(chunked("65"), Err(BodyError::TooLong));
    assert_eq!(
        chunked(format!(
            "{}1\r\n",
            body(100).split("0\r\n\r\n").next().unwrap()
        )),
        Err(BodyError::TooLong)
    );
    assert_eq!(chunked("f".repeat(40)), Err(BodyError::TooLong));
    assert_eq!(
        chunked(format!("{}1\r\na\r\n0\r\n\r\n", "0".repeat(40))),
        Ok(Some(b"a".to_vec()))
    );
}

#[test]
fn framing_at_the_bound_passes_and_a_byte_more_is_refused() {
    let body = |bytes: usize| format!("1\r\na\r\n0\r\nA:{:b<1$}\r\n\r\n", "", bytes - 14);
    let decode = |body: String| decode(BodyDecoder::chunked(100), [body.as_bytes()]);
    assert_eq!(
        decode(body(CHUNK_FRAMING_BYTES_MAX)),
        Ok(Some(b"a".to_vec()))
    );
    let beyond = body(CHUNK_FRAMING_BYTES_MAX + 1);
    assert_eq!(decode(beyond), Err(BodyError::Framing));
    for endless in ["0".repeat(100_000), format!("1;{}", "a".repeat(100_000))] {
        assert_eq!(decode(endless), Err(BodyError::Framing));
    }
}

#[test]
fn each_error_has_a_status_a_word_and_a_line() {
    for (error, status, word) in [
        (BodyError::Chunk, 400, "chunk"),
        (BodyError::TooLong, 413, "content_too_large"),
        (BodyError::Framing, 413, "chunk_framing"),
    ] {
        assert_eq!((error.status().code(), error.word()), (status, word));
        assert!(!error.to_string().is_empty());
    }
}
