//! What stands before the first frame: a PROXY header, a request's head, the handshake.

use super::{body, ends, head, request, shown, split_line};
use crate::told::assert_told;
use framegate::internals::limits::PROXY_HEADER_BYTES_MAX;
use framegate::internals::wire::ProxyHeader;

/// A PROXY header, where there is one, and the head after it are found however they are cut,
/// or refused at the same byte; and of a head that is found, every verdict about it and every
/// answer to it is what a model finds, line by line; and what stands after it is a chunked body
/// or none, whatever the cutting.
pub fn http_head(input: &[u8]) {
    let (lengths, stream) = split_line(input);
    let stream = &stream[proxy_header_bytes(stream, lengths)..];
    shown::assert_blank(stream);
    if let Some(head) = head::head(stream, lengths) {
        request::request(head);
        body::body(&stream[head.bytes_used()..], lengths);
    }
}

/// How long the header is that `stream` begins with.
fn proxy_header_bytes(stream: &[u8], lengths: &[u8]) -> usize {
    let whole = ProxyHeader::parse(stream);
    let verdicts = ends(stream.len(), lengths).map(|end| (end, ProxyHeader::parse(&stream[..end])));
    // The first verdict is the last, whatever comes after.
    for (end, verdict) in verdicts {
        match verdict {
            Ok(None) => assert!(end < PROXY_HEADER_BYTES_MAX),
            verdict => assert_eq!(verdict, whole, "at {end}"),
        }
    }
    match whole {
        Err(error) => {
            assert_told(error.word(), &error);
            0
        }
        Ok(None) => 0,
        Ok(Some(header)) => {
            assert!(header.bytes_used <= PROXY_HEADER_BYTES_MAX);
            // No byte less would have done.
            let all_but_one = &stream[..header.bytes_used - 1];
            assert_eq!(ProxyHeader::parse(all_but_one), Ok(None));
            let mapped = header
                .source
                .filter(|source| source.ip() != source.ip().to_canonical());
            assert_eq!(mapped, None);
            header.bytes_used
        }
    }
}
