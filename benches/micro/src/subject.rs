//! What the operations work on: a token, and the frames that carry it.

use framegate::internals::gate::{ClaimRules, Gate, Keys, Secret, Signer};
use framegate::internals::time::UnixSeconds;

pub const SECRET: &str = "Zk0c1nE3vJ9mQw7xTtUoYb5LrS2dGhAe8fPiK4XyNC6";

/// When it is. The `jsonwebtoken` crate reads a clock of its own, and a token that lives an hour
/// from here on is not void before the year 2096.
pub const NOW: UnixSeconds = UnixSeconds(4_000_000_000);
const TTL_SECONDS: u64 = 3_600;

/// Who speaks. Two characters, or else his token had not [`TOKEN_BYTES`].
pub const SPEAKER: &str = "u1";
/// Who is asked about. One character, or else the frame had not [`FRAME_BYTES`].
pub const ASKED: &str = "a";
pub const NAME: &str = "A User";
pub const CREATED_AT: UnixSeconds = UnixSeconds(1_700_000_000);

const TOKEN_BYTES: usize = 143;
/// A `getUser` on the wire: a header of 8 bytes, the mask being four of them, and 191 of text.
pub const FRAME_BYTES: usize = 199;
/// The text that a listener gets of a `message`.
pub const MESSAGE_BYTES: usize = 128;

pub fn keys() -> Keys {
    Keys::new(&Secret::parse(SECRET).expect("the secret is fit"), None)
}

pub fn gate() -> Gate {
    Gate::new(keys(), ClaimRules::default())
}

pub fn signer() -> Signer {
    Signer::new(&keys(), &ClaimRules::default(), TTL_SECONDS)
}

pub fn token_of(user: &str) -> String {
    let minted = signer().mint(user, NOW).expect("the users are subjects");
    minted.token
}

/// The speaker's: `{"alg":"HS256","typ":"JWT"}`, `sub`, `iat`, `exp`, a signature.
pub fn token() -> String {
    let token = token_of(SPEAKER);
    assert_eq!(token.len(), TOKEN_BYTES);
    token
}

/// The token with another first byte of its signature.
pub fn forged_token() -> String {
    let token = token();
    let (signed, signature) = token.rsplit_once('.').expect("a token has dots");
    let (first, rest) = signature.split_at(1);
    let other = if first == "A" { "B" } else { "A" };
    format!("{signed}.{other}{rest}")
}

/// The head of an upgrade without a token (RFC 6455 §4.1).
pub const HEAD: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The text of a `getUser`.
pub fn text() -> String {
    text_with(&token())
}

fn text_with(token: &str) -> String {
    format!(r#"{{"token":"{token}","event":"getUser","data":{{"id":"{ASKED}"}}}}"#)
}

/// The `getUser` on the wire.
pub fn frame() -> Vec<u8> {
    let frame = masked(&text());
    assert_eq!(frame.len(), FRAME_BYTES);
    frame
}

/// The same with a forged token.
pub fn forged_frame() -> Vec<u8> {
    masked(&text_with(&forged_token()))
}

/// The text that answers it.
pub fn answer() -> String {
    let created_at = CREATED_AT.0;
    format!(
        r#"{{"event":"getUser","data":{{"id":"{ASKED}","name":"{NAME}","createdAt":{created_at},"online":false}}}}"#
    )
}

/// A `message` on the wire, to everybody.
pub fn message_frame() -> Vec<u8> {
    let around = format!(r#"{{"event":"message","from":"{SPEAKER}","data":""}}"#);
    let data = "x".repeat(MESSAGE_BYTES - around.len());
    let token = token();
    masked(&format!(
        r#"{{"token":"{token}","event":"message","data":"{data}"}}"#
    ))
}

/// A client's frame of 126 to 65,535 bytes of text (RFC 6455 §5.2, §5.3).
fn masked(text: &str) -> Vec<u8> {
    let mask = [0x37, 0xFA, 0x21, 0x3D];
    let bytes = u16::try_from(text.len()).expect("the texts are short");
    assert!(bytes > 125);
    let mut frame = vec![0x81, 0x80 | 126];
    frame.extend(bytes.to_be_bytes());
    frame.extend(mask);
    let masks = mask.iter().cycle();
    frame.extend(text.bytes().zip(masks).map(|(byte, mask)| byte ^ mask));
    frame
}
