//! Chunked bodies, found byte by byte and chunk by chunk.

use super::ends;
use crate::told::assert_told;
use framegate::internals::limits::CHUNK_FRAMING_BYTES_MAX;
use framegate::internals::wire::{BodyDecoder, BodyError, Part};

/// The harness's bound on content.
const CONTENT_BYTES_MAX: usize = 512;

/// What `stream` is as a chunked body is the same however it is cut, and what a model finds that
/// looks at it whole.
pub(super) fn body(stream: &[u8], lengths: &[u8]) {
    let bytewise = decode(stream, 1..=stream.len());
    let whole = decode(stream, ends(stream.len(), &[]));
    assert_eq!(whole, bytewise);
    assert_eq!(decode(stream, ends(stream.len(), lengths)), bytewise);
    match &whole {
        Ok(content) => {
            let size = content.as_ref().map_or(0, Vec::len);
            assert!(size <= CONTENT_BYTES_MAX);
            assert_eq!(content.is_some(), model(stream).is_some());
            assert!(content.is_none() || *content == model(stream));
        }
        Err(error) => {
            assert_eq!(model(stream), None);
            assert_told(error.word(), error);
            assert!((400..=499).contains(&error.status().code()));
        }
    }
}

/// The content, once it is whole, of what comes up to these ends, one after another.
fn decode(stream: &[u8], ends: impl Iterator<Item = usize>) -> Result<Option<Vec<u8>>, BodyError> {
    let mut decoder = BodyDecoder::chunked(CONTENT_BYTES_MAX);
    let (mut content, mut parts, mut start) = (Vec::new(), Vec::new(), 0);
    for end in ends {
        let mut piece = &stream[start..end];
        let is_whole = decoder.decode(&mut piece, |part| {
            content.extend_from_slice(part.content());
            match part {
                Part::Framing(bytes) | Part::Content(bytes) => parts.extend_from_slice(bytes),
                Part::Unread(bytes) => {
                    // Of one line: what ends it is framing.
                    assert!(bytes.iter().all(is_text));
                    parts.extend_from_slice(bytes);
                }
                Part::Header(..) | Part::Control(_) => unreachable!("a body has no frames"),
            }
        })?;
        assert_eq!(parts, stream[..end - piece.len()], "all in its order");
        if is_whole {
            // What stands after it is nobody's.
            let is_whole = decoder.decode(&mut piece, |_| content.clear());
            assert_eq!(is_whole, Ok(true));
            return Ok(Some(content));
        }
        assert!(piece.is_empty());
        start = end;
    }
    Ok(None)
}

/// RFC 9112 §7.1, over whole lines.
fn model(stream: &[u8]) -> Option<Vec<u8>> {
    let (mut rest, mut content) = (stream, Vec::new());
    loop {
        let line = line(&mut rest)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let (size, extension) = line.split_at(digits.count());
        let blanks = extension.trim_ascii_start();
        if !extension.is_empty() && !blanks.starts_with(b";") || !extension.iter().all(is_text) {
            return None;
        }
        let size = str::from_utf8(size).ok()?.trim_start_matches('0');
        let size = match (line.first()?.is_ascii_hexdigit(), size) {
            (false, _) => return None,
            (true, "") => break,
            (true, size) => usize::from_str_radix(size, 16).ok()?,
        };
        let (chunk, behind) = rest.split_at_checked(size)?;
        content.extend_from_slice(chunk);
        rest = behind.strip_prefix(b"\r\n")?;
    }
    loop {
        let line = line(&mut rest)?;
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        if !super::head::is_token(&line[..colon]) || !line[colon..].iter().all(is_text) {
            return None;
        }
    }
    let framing_bytes = stream.len() - rest.len() - content.len();
    let is_bounded = content.len() <= CONTENT_BYTES_MAX && framing_bytes <= CHUNK_FRAMING_BYTES_MAX;
    is_bounded.then_some(content)
}

/// The line at the front, without its end.
fn line<'s>(rest: &mut &'s [u8]) -> Option<&'s [u8]> {
    let end = rest.windows(2).position(|window| window == b"\r\n")?;
    let (line, behind) = rest.split_at(end);
    *rest = &behind[2..];
    Some(line)
}

fn is_text(byte: &u8) -> bool {
    *byte == b'\t' || !byte.is_ascii_control()
}
