//! An HTTP/1.1 response, written once and followed by the connection's end.

use std::fmt::{self, Display};
use std::io::Write;

use crate::time::{HttpDate, UnixSeconds};

/// The statuses we answer with, but for an upgrade's 101.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 200
    Ok,
    /// 400
    BadRequest,
    /// 401
    Unauthorized,
    /// 403
    Forbidden,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 411
    LengthRequired,
    /// 413
    ContentTooLarge,
    /// 417
    ExpectationFailed,
    /// 426
    UpgradeRequired,
    /// 429
    TooManyRequests,
    /// 431
    RequestHeaderFieldsTooLarge,
    /// 503
    ServiceUnavailable,
    /// 505
    HttpVersionNotSupported,
}

impl Status {
    /// The status code (RFC 9110 §15, RFC 6585).
    pub const fn code(self) -> u16 {
        self.code_and_reason().0
    }

    /// The reason phrase.
    pub const fn reason(self) -> &'static str {
        self.code_and_reason().1
    }

    const fn code_and_reason(self) -> (u16, &'static str) {
        match self {
            Status::Ok => (200, "OK"),
            Status::BadRequest => (400, "Bad Request"),
            Status::Unauthorized => (401, "Unauthorized"),
            Status::Forbidden => (403, "Forbidden"),
            Status::NotFound => (404, "Not Found"),
            Status::MethodNotAllowed => (405, "Method Not Allowed"),
            Status::LengthRequired => (411, "Length Required"),
            Status::ContentTooLarge => (413, "Content Too Large"),
            Status::ExpectationFailed => (417, "Expectation Failed"),
            Status::UpgradeRequired => (426, "Upgrade Required"),
            Status::TooManyRequests => (429, "Too Many Requests"),
            Status::RequestHeaderFieldsTooLarge => (431, "Request Header Fields Too Large"),
            Status::ServiceUnavailable => (503, "Service Unavailable"),
            Status::HttpVersionNotSupported => (505, "HTTP Version Not Supported"),
        }
    }

    /// RFC 9112 §4: status-line.
    pub(super) fn write_status_line(self, out: &mut Vec<u8>) {
        let (code, reason) = self.code_and_reason();
        push(out, format_args!("HTTP/1.1 {code} {reason}\r\n"));
    }
}

/// A field of a response: its name and its value, neither with a line break in it.
pub type ResponseField<'a> = (&'a str, &'a dyn Display);

/// What every answer to one request has in common, whatever it says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reply<'a> {
    /// When it is given.
    pub date: UnixSeconds,
    /// True exactly when the request's method is HEAD.
    pub is_to_head: bool,
    /// The origin of the page that asked, where that is another's and may read the answer.
    pub reader: Option<&'a str>,
}

/// Asks for a body whose sender waits to be asked (RFC 9110 §15.2.1).
pub fn write_continue(out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
}

/// A response, the last thing its connection carries.
pub struct Response<'a> {
    /// The status.
    pub status: Status,
    /// Fields beside those every response has: `Retry-After`, `Allow` and their like.
    pub fields: &'a [ResponseField<'a>],
    /// The body's media type.
    pub content_type: &'a str,
    /// The body.
    pub body: &'a [u8],
}

impl Response<'_> {
    /// Writes the response after what `out` holds.
    pub fn write(&self, out: &mut Vec<u8>, reply: Reply<'_>) {
        self.status.write_status_line(out);
        // RFC 9110 §6.6.1: an origin server with a clock sends Date.
        push(out, format_args!("Date: {}\r\n", HttpDate(reply.date)));
        push(out, format_args!("Content-Length: {}\r\n", self.body.len()));
        push(out, format_args!("Content-Type: {}\r\n", self.content_type));
        // Tokens and verdicts about them are nothing for a cache (RFC 9111 §5.2.2.5).
        push(
            out,
            format_args!("Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"),
        );
        push(out, format_args!("Connection: {}\r\n", self.connection()));
        for (name, value) in self.fields {
            push(out, format_args!("{name}: {value}\r\n"));
        }
        if let Some(origin) = reply.reader {
            // Fetch §3.3.3. Never `*`, nor with credentials: a token is sent by a script's own hand.
            push(
                out,
                format_args!("Access-Control-Allow-Origin: {origin}\r\nVary: Origin\r\n"),
            );
        }
        out.extend_from_slice(b"\r\n");
        // RFC 9110 §9.3.2: the fields are those of GET's answer, and there is no content.
        if !reply.is_to_head {
            out.extend_from_slice(self.body);
        }
    }

    /// RFC 9110 §7.8: who sends `Upgrade` names it in `Connection`.
    const fn connection(&self) -> &'static str {
        match self.status {
            Status::UpgradeRequired => "close, Upgrade",
            _ => "close",
        }
    }
}

/// Writes a response whose body is one line of text.
pub fn write_line(
    out: &mut Vec<u8>,
    reply: Reply<'_>,
    status: Status,
    fields: &[ResponseField<'_>],
    line: &dyn Display,
) {
    let body = format!("{line}\n");
    let content_type = "text/plain; charset=utf-8";
    Response {
        status,
        fields,
        content_type,
        body: body.as_bytes(),
    }
    .write(out, reply);
}

fn push(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_the_code_and_the_phrase_of_its_line() {
        let mut line = Vec::new();
        Status::NotFound.write_status_line(&mut line);
        assert_eq!(line, b"HTTP/1.1 404 Not Found\r\n");
        let status = Status::NotFound;
        assert_eq!((status.code(), status.reason()), (404, "Not Found"));
    }

    #[test]
    fn a_response_carries_its_length_and_ends_the_connection() {
        let mut out = b"before".to_vec();
        let fields: &[ResponseField<'_>] = &[("Retry-After", &5)];
        let status = Status::ServiceUnavailable;
        let response = Response {
            status,
            fields,
            content_type: "application/json",
            body: b"{}",
        };
        let mut reply = Reply::default();
        response.write(&mut out, reply);
        let expected = "beforeHTTP/1.1 503 Service Unavailable\r\n\
            Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 2\r\n\
            Content-Type: application/json\r\nCache-Control: no-store\r\n\
            X-Content-Type-Options: nosniff\r\nConnection: close\r\nRetry-After: 5\r\n\r\n{}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);

        // RFC 9110 §9.3.2: an answer to HEAD differs in its content alone.
        reply.is_to_head = true;
        let mut out = b"before".to_vec();
        response.write(&mut out, reply);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            expected.strip_suffix("{}").unwrap()
        );
    }

    #[test]
    fn a_page_of_another_origin_may_read_what_is_told_it_alone() {
        let mut out = Vec::new();
        let reply = Reply {
            reader: Some("https://chat.example"),
            ..Reply::default()
        };
        write_line(&mut out, reply, Status::Ok, &[], &"ok");
        let out = String::from_utf8(out).unwrap();
        let fields =
            "\r\nAccess-Control-Allow-Origin: https://chat.example\r\nVary: Origin\r\n\r\n";
        assert!(out.contains(fields), "{out}");
        assert!(!out.contains("Credentials"), "{out}");
    }

    #[test]
    fn a_line_is_the_body_of_a_plain_response() {
        let mut out = Vec::new();
        write_line(&mut out, Reply::default(), Status::Ok, &[], &"ok");
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.contains("\r\nContent-Length: 3\r\n") && out.ends_with("\r\n\r\nok\n"),
            "{out}"
        );
    }
}
