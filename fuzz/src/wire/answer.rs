//! Answers, read as a client reads them.

use framegate::internals::time::UnixSeconds;
use framegate::internals::wire::{Reply, Response, Status};

/// All that can be answered with a body (RFC 9110 §15, RFC 6585).
const STATUSES: [(Status, u16); 14] = [
    (Status::Ok, 200),
    (Status::BadRequest, 400),
    (Status::Unauthorized, 401),
    (Status::Forbidden, 403),
    (Status::NotFound, 404),
    (Status::MethodNotAllowed, 405),
    (Status::LengthRequired, 411),
    (Status::ContentTooLarge, 413),
    (Status::ExpectationFailed, 417),
    (Status::UpgradeRequired, 426),
    (Status::TooManyRequests, 429),
    (Status::RequestHeaderFieldsTooLarge, 431),
    (Status::ServiceUnavailable, 503),
    (Status::HttpVersionNotSupported, 505),
];

/// An answer that refuses is one whole response of a line of text, and the last. Gives its head.
pub(super) fn assert_answer(write: impl Fn(&mut Vec<u8>, Reply<'_>), code: u16) -> String {
    let (head, body) = read(write, code);
    assert_eq!(
        body.iter().position(|byte| *byte == b'\n'),
        Some(body.len() - 1)
    );
    head
}

/// Whatever the body is, it is what a client takes for the body, under any status.
pub(super) fn assert_framed(body: &[u8]) {
    for (status, code) in STATUSES {
        let response = Response {
            status,
            fields: &[("Retry-After", &1)],
            content_type: "text/plain",
            body,
        };
        let (head, sent) = read(|out, reply| response.write(out, reply), code);
        let status_line = format!("HTTP/1.1 {code} {}\r\n", status.reason());
        assert!(head.starts_with(&status_line), "{head}");
        assert!(head.ends_with("\r\nRetry-After: 1"), "{head}");
        assert_eq!(sent, body);
    }
}

/// The head and the body of a response, which is whole, and its connection's last; and the answer
/// to HEAD is the same without its body.
fn read(write: impl Fn(&mut Vec<u8>, Reply<'_>), code: u16) -> (String, Vec<u8>) {
    let reply = Reply {
        date: UnixSeconds(784_111_777),
        ..Reply::default()
    };
    let (mut out, mut to_head) = (Vec::new(), Vec::new());
    write(&mut out, reply);
    write(
        &mut to_head,
        Reply {
            is_to_head: true,
            ..reply
        },
    );
    let blank_line = out.windows(4).position(|window| window == b"\r\n\r\n");
    let body = out.split_off(blank_line.unwrap_or_default() + 4);
    assert_eq!(to_head, out);
    out.truncate(out.len() - 4);
    let head = String::from_utf8(out).unwrap_or_default();
    assert!(head.starts_with(&format!("HTTP/1.1 {code} ")), "{head}");
    let length = format!("Content-Length: {}", body.len());
    let lengths = head
        .split("\r\n")
        .filter(|line| line.starts_with("Content-Length"));
    assert_eq!(lengths.collect::<Vec<_>>(), [length]);
    assert!(head.contains("\r\nConnection: close"), "{head}");
    assert!(
        head.contains("\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
        "{head}"
    );
    (head, body)
}
