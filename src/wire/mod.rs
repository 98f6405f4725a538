//! Bytes ↔ values: the HTTP head and body, the upgrade, and one RFC 6455 receiver made of frames,
//! messages and close codes. Everything works on slices the caller owns.
//!
//! ```text
//! bytes ─ HeadScanner ─ Head ─ Request ─┬─ BodyDecoder ─ Response        (plain HTTP)
//!                                       └─ Upgrade ─ 101 ─ Endpoint ─ Event
//! ```
//!
//! What each refuses: [`head`] what is not an HTTP head, [`request`] fields that could be
//! read in two ways, [`body`] what is neither so long as was said nor chunks, [`upgrade`] a handshake that is not one, [`endpoint`] frames that break
//! RFC 6455 and messages beyond their bounds.
//!
//! This room knows no clock, key, user, socket or connection id. It alone names tungstenite,
//! and only its pure functions.

pub mod body;
pub mod close;
pub mod endpoint;
pub mod event;
pub mod forwarded;
pub mod frame;
pub mod head;
pub mod held;
mod message;
pub mod origin;
pub mod part;
pub mod proxy;
pub mod request;
pub mod response;
mod sensitive;
pub mod upgrade;
mod utf8;
pub mod violation;

pub use body::{BodyDecoder, BodyError};
pub use close::CloseCode;
pub use endpoint::{Endpoint, MessageRules};
pub use event::Event;
pub use forwarded::ForwardedError;
pub use head::{Head, HeadError, HeadScanner, blanked};
pub use held::Held;
pub use origin::Origins;
pub use part::Part;
pub use proxy::{ProxyError, ProxyHeader};
pub use request::{Authorization, Expectation, Request, TransferEncoding};
pub use response::{Reply, Response, Status};
pub use sensitive::{Sensitive, blank_text, fill_sensitive, sensitive};
pub use upgrade::{HandshakeToken, Rejection, Subprotocol, TokenSource, Upgrade};
pub use violation::Violation;
