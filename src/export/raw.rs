//! What each client sent, byte for byte, as fuzzers of network servers take it for a seed.

use std::collections::BTreeMap;

use crate::export::Seen;
use crate::server::ConnectionId;

/// The clients' sides of all connections.
#[derive(Default)]
pub struct RawExchanges {
    /// By serial.
    sent: BTreeMap<u32, Vec<u8>>,
}

impl RawExchanges {
    /// Takes what happened.
    pub fn see(&mut self, id: ConnectionId, seen: &Seen<'_>) {
        if let Seen::Received(bytes) = seen {
            self.sent.entry(id.serial).or_default().extend(*bytes);
        }
    }

    /// What each client sent that sent anything, with its connection's serial, in the order of these.
    pub fn all(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.sent.iter().map(|(serial, bytes)| (*serial, &**bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sent_is_joined_and_what_it_heard_left_out() {
        let mut exchanges = RawExchanges::default();
        let id = |serial| ConnectionId { slot: 0, serial };
        for (serial, seen) in [
            (2, Seen::Received(b"GET ")),
            (1, Seen::Received(b"x")),
            (2, Seen::Written(b"HTTP")),
            (2, Seen::Received(b"/")),
        ] {
            exchanges.see(id(serial), &seen);
        }
        let all: Vec<_> = exchanges.all().collect();
        assert_eq!(all, [(1, &b"x"[..]), (2, b"GET /")]);
    }
}
