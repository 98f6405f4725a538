//! framegate: a WebSocket server in which every data frame carries a token, every token is
//! verified, and a connection that fails is told why in one frame and shut.
//!
//! Data flows one way, through rooms that each refuse to know something:
//!
//! ```text
//! socket ─► driver ─► turn ─► server ─► wire ─► gate ─► server ─► app ─► outbox ─► turn ─► driver ─► socket
//! ```
//!
//! * `driver` does all the I/O: one mio loop, one thread. It refuses to know what bytes mean.
//! * `turn` says who is read, accepted, written and closed, how much of each, and in which order.
//!   It refuses to know what a socket, a clock and a signal is.
//! * `server` is the core: sessions, who is logged in, fan-out, deadlines, caps, bans. It is
//!   driven by calls that carry the time, and refuses to know sockets, clocks and SQL.
//! * `wire` turns bytes into values and back: HTTP heads, RFC 6455 frames and messages. It
//!   refuses to know keys, users and connections.
//! * `gate` turns text into trust: what comes out of `gate::Gate::admit` is a value that only
//!   a verified token can make, and that every handler asks for. It refuses to know frames.
//! * `app` is what events mean, the users, and their passwords. It refuses to know frames,
//!   tokens' insides and sockets.
//!
//! Between turn and server stands `record`, through which a core can be watched and its every
//! input run again; `export` makes of that what other programs read. Beside them lie `config` (what a person may set), `limits` (what nobody may), `network`
//! (addresses), `time` (two clocks, as values) and `cli` (the commands).
//! What tries to prove all of this wrong is a library of its own, `fuzz`.
//!
//! Some things are nowhere, and a test holds them so: a clock, randomness or I/O inside the core
//! and below it; unsafe code; a JSON parser on a token whose MAC has not been checked.

#![forbid(unsafe_code)]

mod app;
mod cli;
mod config;
mod driver;
mod export;
mod gate;
mod ids;
mod json;
mod limits;
mod network;
mod record;
mod server;
mod time;
mod turn;
mod wire;

pub use cli::main;

/// The rooms, for the proofs and benchmarks of this repository. No promise is kept here from one version
/// to the next.
#[doc(hidden)]
pub mod internals {
    /// Lends a room's public items.
    macro_rules! lend {
        ($($room:ident)*) => {$(
            pub mod $room {
                pub use crate::$room::*;
            }
        )*};
    }

    lend!(app cli config driver export gate json limits network record server time turn wire);
}
