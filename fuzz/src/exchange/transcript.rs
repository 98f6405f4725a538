//! What comes out: everything that the peers heard, a line each.

use std::fmt::Write as _;

use serde_json::value::RawValue;

use crate::client_parser::{ClientParser, Received};

use super::PEERS;
use super::sockets::End;

/// What the peers heard.
#[derive(Default)]
pub(super) struct Transcript {
    pub(super) text: String,
    peers: [Heard; PEERS as usize],
}

/// What one peer heard of its connection.
#[derive(Default)]
struct Heard {
    parser: ClientParser,
    /// What was last told of the connection's end.
    end: Option<&'static str>,
}

impl Transcript {
    /// The peer has a new connection.
    pub(super) fn begin(&mut self, peer: usize) {
        self.peers[peer] = Heard::default();
    }

    /// Takes what the peer heard since, and what became of the connection.
    ///
    /// # Panics
    /// When it is nothing that a server may say there.
    pub(super) fn hear(&mut self, peer: usize, end: &mut End) {
        let heard = &mut self.peers[peer];
        heard.parser.hear(&end.heard);
        end.heard.clear();
        loop {
            let next = heard.parser.next();
            match next.unwrap_or_else(|why| unreachable!("peer {peer} heard {why}")) {
                Some(received) => line(&mut self.text, peer, &received),
                None => break,
            }
        }
        if heard.end != end.end {
            heard.end = end.end;
            let end = end.end.unwrap_or_default();
            // To write to a string cannot fail.
            _ = writeln!(self.text, "{peer} {end}");
        }
    }
}

fn line(out: &mut String, peer: usize, received: &Received) {
    _ = match received {
        Received::Answer { status, body } => {
            let line = format!("{peer} < HTTP {status} {}", body.escape_debug());
            writeln!(out, "{}", line.trim_end())
        }
        Received::Text(json) => {
            assert!(
                serde_json::from_str::<&RawValue>(json).is_ok(),
                "peer {peer} heard a Text message that is no JSON"
            );
            writeln!(out, "{peer} < {json}")
        }
        Received::Ping => writeln!(out, "{peer} < Ping"),
        Received::Pong(payload) => writeln!(out, "{peer} < Pong {}", payload.escape_ascii()),
        Received::Close(None) => writeln!(out, "{peer} < Close"),
        Received::Close(Some((code, reason))) => writeln!(out, "{peer} < Close {code} {reason}"),
    };
}
