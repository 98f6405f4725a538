//! What a peer can say, as bytes, and what each part of them means.

use super::choice::Choice;
use super::people::{VerifiedToken, id_of};
use super::secrets::password_of;

/// Bytes, and where in them something has been said.
#[derive(Default)]
pub(super) struct Script {
    pub(super) bytes: Vec<u8>,
    pub(super) marks: Vec<Mark>,
}

/// Something that has been said once its last byte has come.
pub(super) struct Mark {
    /// Where it begins and ends, in bytes from the connection's first.
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) said: Said,
}

pub(super) enum Said {
    /// A PROXY protocol header, or a head, that names a client.
    Client,
    /// What should be one and is not.
    NoClient,
    /// A whole HTTP request.
    Request(Request),
    /// A data frame that ends no message.
    Fragment,
    /// A Text message.
    Text(ClientFrame),
    Ping(Vec<u8>),
    Pong,
    /// A Close, with the code that is to be echoed.
    Close(Option<u16>),
    /// Something for which the connection is closed, with one of these codes.
    Broken(&'static [u16]),
}

impl Said {
    /// Whether it is a Close, with which a peer leaves.
    pub(super) fn is_close(&self) -> bool {
        matches!(self, Said::Close(_))
    }
}

pub(super) enum Request {
    Upgrade {
        pass: Option<VerifiedToken>,
        is_in_subprotocol: bool,
    },
    Login,
    /// Answered with one of these.
    Plain(&'static [u16]),
}

/// A frame of the contract's §1.
pub(super) struct ClientFrame {
    pub(super) id: Option<u32>,
    pub(super) pass: Option<VerifiedToken>,
    pub(super) event: Event,
    /// Bytes that a message has for nothing.
    pub(super) pad: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    GetUser(usize),
    Message {
        nonce: u32,
        to: Option<usize>,
    },
    Login {
        user: usize,
        is_right: bool,
    },
    Refresh,
    Logout,
    /// There is no such event.
    Unknown,
    /// A message without data.
    BadData,
    /// Not a frame of ours at all.
    BadFrame,
}

impl Script {
    /// `first` is the frame's first byte: FIN, reserved bits and opcode.
    fn frame(&mut self, first: u8, payload: &[u8], said: Said, choice: &mut Choice<'_>) {
        let begin = self.bytes.len();
        let mask = [choice.below(256), 1, 2, 3].map(|byte| byte as u8);
        self.bytes.push(first);
        match payload.len() {
            0..=125 => self.bytes.push(0x80 | payload.len() as u8),
            _ => {
                self.bytes.push(0x80 | 126);
                self.bytes.extend((payload.len() as u16).to_be_bytes());
            }
        }
        self.bytes.extend(mask);
        let masked = payload.iter().zip(mask.iter().cycle());
        self.bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
        self.mark(begin, said);
    }

    fn ping(&mut self, byte: u8, length: usize, choice: &mut Choice<'_>) {
        let payload = vec![byte; length];
        self.frame(0x89, &payload, Said::Ping(payload.clone()), choice);
    }

    /// The same, in a request that a proxy passes on for somebody.
    pub(super) fn with_field(mut self, field: &str) -> Script {
        const HOST: &[u8] = b"Host: gate\r\n";
        let host = self.bytes.windows(HOST.len()).position(|at| at == HOST);
        let Some(at) = host.map(|at| at + HOST.len()) else {
            return self;
        };
        self.bytes.splice(at..at, field.bytes());
        for mark in &mut self.marks {
            mark.end += field.len();
        }
        let is_end = |four: &[u8]| four == b"\r\n\r\n";
        let end = self.bytes.windows(4).position(is_end);
        let client = Mark {
            begin: 0,
            end: end.map_or(self.bytes.len(), |end| end + 4),
            said: Said::Client,
        };
        self.marks.insert(0, client);
        self
    }

    /// The same, after something else.
    pub(super) fn behind(self, bytes: &[u8], said: Said) -> Script {
        let mut both = Script::default();
        both.raw(bytes, said);
        let begin = both.bytes.len();
        both.bytes.extend(self.bytes);
        both.marks.extend(self.marks.into_iter().map(|mark| Mark {
            begin: mark.begin + begin,
            end: mark.end + begin,
            said: mark.said,
        }));
        both
    }

    fn raw(&mut self, bytes: &[u8], said: Said) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.mark(begin, said);
    }

    fn mark(&mut self, begin: usize, said: Said) {
        let end = self.bytes.len();
        self.marks.push(Mark { begin, end, said });
    }
}

/// A Text message, in one frame or in some, with a Ping between them now and then.
pub(super) fn text(frame: ClientFrame, choice: &mut Choice<'_>) -> Script {
    let json = json(&frame);
    let mut script = Script::default();
    let mut rest = json.as_bytes();
    let mut opcode = 0x01;
    let fragments = if choice.chance(20) {
        choice.below(4)
    } else {
        0
    };
    for _ in 0..fragments {
        let (piece, behind) = rest.split_at(choice.below(rest.len() as u32 + 1) as usize);
        script.frame(opcode, piece, Said::Fragment, choice);
        (rest, opcode) = (behind, 0x00);
        if choice.chance(20) {
            script.frame(0x89, b"between", Said::Ping(b"between".to_vec()), choice);
        }
    }
    script.frame(0x80 | opcode, rest, Said::Text(frame), choice);
    script
}

/// The data of a message.
pub(super) fn data(nonce: u32, pad: usize) -> String {
    format!(r#"{{"n":{nonce},"pad":"{:pad$}"}}"#, "")
}

fn json(frame: &ClientFrame) -> String {
    let event = match frame.event {
        Event::GetUser(user) => format!(r#""event":"getUser","data":{{"id":"{}"}}"#, id_of(user)),
        Event::Message { nonce, to } => {
            let to = to.map_or(String::new(), |to| format!(r#","to":"{}""#, id_of(to)));
            let data = data(nonce, frame.pad);
            format!(r#""event":"message"{to},"data":{data}"#)
        }
        Event::Login { user, is_right } => format!(
            r#""event":"login","data":{{"id":"{}","password":"{}{}"}}"#,
            id_of(user),
            password_of(user),
            if is_right { "" } else { " not" }
        ),
        Event::Refresh => r#""event":"refresh""#.to_owned(),
        Event::Logout => r#""event":"logout""#.to_owned(),
        Event::Unknown => r#""event":"dance""#.to_owned(),
        Event::BadData => r#""event":"message""#.to_owned(),
        Event::BadFrame => return r#"{"event":"getUser","event":"getUser"}"#.to_owned(),
    };
    let token = match &frame.pass {
        Some(pass) => format!(r#""token":"{}","#, pass.text),
        None => String::new(),
    };
    let id = frame
        .id
        .map_or(String::new(), |id| format!(r#""id":{id},"#));
    format!("{{{token}{id}{event}}}")
}

pub(super) fn control(choice: &mut Choice<'_>) -> Script {
    let mut script = Script::default();
    match choice.below(8) {
        0 => script.frame(
            0x88,
            &1_000_u16.to_be_bytes(),
            Said::Close(Some(1_000)),
            choice,
        ),
        1 => script.frame(0x88, b"", Said::Close(None), choice),
        2..=4 => script.frame(0x8A, b"late", Said::Pong, choice),
        number => {
            let length = choice.below(126) as usize;
            script.ping(b'0' + number as u8, length, choice);
        }
    }
    script
}

/// A Ping that says as much as it may (RFC 6455 §5.5).
pub(super) fn longest_ping(choice: &mut Choice<'_>) -> Script {
    let mut script = Script::default();
    script.ping(b'9', 125, choice);
    script
}

/// Something RFC 6455 or our bounds do not allow.
pub(super) fn broken(choice: &mut Choice<'_>) -> Script {
    const PROTOCOL: &[u16] = &[1_002];
    let mut script = Script::default();
    match choice.below(12) {
        0 => script.raw(b"\x81\x02hi", Said::Broken(PROTOCOL)),
        1 => script.raw(b"\xC1\x80", Said::Broken(PROTOCOL)),
        2 => script.raw(b"\x83\x80", Said::Broken(PROTOCOL)),
        3 => script.raw(b"\x09\x80", Said::Broken(PROTOCOL)),
        4 => script.raw(b"\x89\xFE", Said::Broken(PROTOCOL)),
        5 => script.raw(b"\x81\xFE\x00\x05", Said::Broken(PROTOCOL)),
        6 => script.raw(b"\x80\x80", Said::Broken(PROTOCOL)),
        7 => script.raw(
            b"\x81\xFF\x00\x00\x00\x00\x40\x00\x00\x00",
            Said::Broken(&[1_009]),
        ),
        8 => script.raw(b"\x82\x80", Said::Broken(&[1_003])),
        9 => {
            script.frame(0x01, b"", Said::Fragment, choice);
            script.raw(b"\x81\x80", Said::Broken(PROTOCOL));
        }
        10 => script.frame(0x81, b"\xC3\x28", Said::Broken(&[1_007]), choice),
        _ => {
            script.frame(0x01, b"", Said::Fragment, choice);
            for _ in 1..64 {
                script.frame(0x00, b"", Said::Fragment, choice);
            }
            script.raw(b"\x00\x80", Said::Broken(&[1_008]));
        }
    }
    script
}

pub(super) fn upgrade(pass: Option<VerifiedToken>, is_in_subprotocol: bool) -> Script {
    let field = match &pass {
        None => String::new(),
        Some(pass) if is_in_subprotocol => {
            format!(
                "Sec-WebSocket-Protocol: framegate.v1, framegate.bearer.{}\r\n",
                pass.text
            )
        }
        Some(pass) => format!("Authorization: Bearer {}\r\n", pass.text),
    };
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: gate\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{field}\r\n"
    );
    let mut script = Script::default();
    let request = Request::Upgrade {
        pass,
        is_in_subprotocol,
    };
    script.raw(head.as_bytes(), Said::Request(request));
    script
}

pub(super) fn http_login(user: usize, is_right: bool) -> Script {
    let wrong = if is_right { "" } else { " not" };
    let body = format!(
        r#"{{"id":"{}","password":"{}{wrong}"}}"#,
        id_of(user),
        password_of(user)
    );
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: gate\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut script = Script::default();
    script.raw(request.as_bytes(), Said::Request(Request::Login));
    script
}

/// A request that is answered and leads nowhere.
pub(super) fn plain_request(choice: &mut Choice<'_>) -> Script {
    const REQUESTS: [(&str, &[u16]); 22] = [
        ("GET /health HTTP/1.1\r\nHost: gate\r\n\r\n", &[200, 503]),
        ("GET /nowhere HTTP/1.1\r\nHost: gate\r\n\r\n", &[404]),
        ("GET /login HTTP/1.1\r\nHost: gate\r\n\r\n", &[405]),
        ("POST /health HTTP/1.1\r\nHost: gate\r\n\r\n", &[405]),
        ("GET /ws HTTP/1.1\r\nHost: gate\r\n\r\n", &[426]),
        ("GET /health HTTP/1.0\r\n\r\n", &[200, 503]),
        ("GET /health HTTP/2.0\r\n", &[505]),
        ("\n", &[400]),
        (
            "\r\nGET http://gate/health?x HTTP/1.1\r\nHost: else\r\n\r\n",
            &[200, 503],
        ),
        ("OPTIONS /login HTTP/1.1\r\nHost: gate\r\n\r\n", &[200]),
        ("POST /login HTTP/1.1\r\nHost: gate\r\n\r\n", &[411]),
        (
            "POST /login HTTP/1.1\r\nHost: gate\r\nContent-Length: 99999\r\n\r\n",
            &[413],
        ),
        (
            "POST /login HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: gzip\r\n\r\n",
            &[400],
        ),
        (
            "POST /login HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\r\n\
             2;a=b\r\n{}\r\n0\r\nA: b\r\n\r\n",
            &[400, 429],
        ),
        (
            "POST /login HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\r\nx",
            &[400],
        ),
        (
            "POST /login HTTP/1.1\r\nHost: gate\r\nExpect: 200-ok\r\nContent-Length: 2\r\n\r\n",
            &[417],
        ),
        (
            "POST /login HTTP/1.1\r\nHost: gate\r\nOrigin: http://other\r\nContent-Length: 2\r\n\r\n",
            &[403],
        ),
        (
            "POST /login HTTP/1.1\r\nHost: gate\r\nContent-Length: 2\r\n\r\n{}",
            &[400, 429],
        ),
        (
            "POST /login HTTP/1.1\r\nHost: gate\r\nContent-Length: 4\r\n\r\n\"\u{FFFD}",
            &[400, 429],
        ),
        (
            "GET /ws HTTP/1.1\r\nHost: gate\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
             Origin: http://other\r\n\r\n",
            &[403],
        ),
        (
            "GET /health HTTP/1.1\r\nHost: gate\r\nHost: gate\r\n\r\n",
            &[400],
        ),
        ("GET /health HTTP/1.1\r\n\r\n", &[400]),
    ];
    let (request, statuses) = choice.pick(&REQUESTS);
    let mut script = Script::default();
    let said = Said::Request(Request::Plain(statuses));
    script.raw(request.as_bytes(), said);
    script
}

/// A request that somebody may take otherwise than the next one.
pub(super) fn odd_request(choice: &mut Choice<'_>) -> Script {
    const REQUESTS: [(&str, &[u16]); 6] = [
        (
            "POST /login HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\
             Content-Length: 2\r\n\r\n",
            &[400],
        ),
        (
            "POST /login HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\
             Content-Length: 0\r\n\r\n",
            &[400],
        ),
        (
            "POST /login HTTP/1.1\r\nHost: gate\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n",
            &[400],
        ),
        (
            "GET /health HTTP/1.1\r\nHost: gate\r\nForwarded: for=unknown\r\n\r\n",
            &[200, 503],
        ),
        (
            "GET /nowhere HTTP/1.1\r\nHost: gate\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n",
            &[404],
        ),
        ("GET ftp://gate/ HTTP/1.1\r\nHost: gate\r\n\r\n", &[400]),
    ];
    let (request, statuses) = choice.pick(&REQUESTS);
    let mut script = Script::default();
    script.raw(request.as_bytes(), Said::Request(Request::Plain(statuses)));
    script
}

/// A request of a proxy's whose client cannot be told.
pub(super) fn of_bad_client() -> Script {
    let request = b"GET /health HTTP/1.1\r\nHost: gate\r\nForwarded: for=\"10.0.0.1\r\n\r\n";
    let mut script = Script::default();
    script.raw(request, Said::Request(Request::Plain(&[400])));
    script
}

/// The answer to a Ping of the server's.
pub(super) fn pong() -> Script {
    let mut script = Script::default();
    script.frame(0x8A, b"", Said::Pong, &mut Choice::Bytes(&[]));
    script
}
