//! What lies between a socket and the core. A PROXY header is taken off here, before the core hears a
//! byte: the core is told for whom the connection comes, and what is held of a header that is not
//! whole.

use std::mem;

use crate::record::Recorded;
use crate::server::{ConnectionId, Input, Peer, ReadInterest, TransportNews};
use crate::time::Now;
use crate::wire::{Held, ProxyHeader};

/// One connection's transport.
pub(super) enum Transport {
    /// What arrives is the core's.
    Plain,
    /// A PROXY header comes first: so much of it has arrived.
    ProxyHeader(Held),
}

impl Transport {
    /// The transport of a connection that was just accepted.
    pub(super) fn of(core: &Recorded, id: ConnectionId) -> Transport {
        match core.begins_with_proxy_header(id) {
            true => Transport::ProxyHeader(Held::default()),
            false => Transport::Plain,
        }
    }

    /// Hands on what was read: to the core, what is not the transport's own.
    pub(super) fn receive(
        &mut self,
        core: &mut Recorded,
        now: Now,
        id: ConnectionId,
        bytes: &mut [u8],
    ) -> ReadInterest {
        let Transport::ProxyHeader(held) = self else {
            return core.receive(now, id, bytes);
        };
        held.extend_from_slice(bytes);
        match ProxyHeader::parse(held) {
            Ok(Some(header)) => {
                let mut held = mem::take(held);
                *self = Transport::Plain;
                let client = header.source.map(Peer::from);
                core.handle(now, Input::Transport(id, TransportNews::Client(client)));
                core.receive(now, id, &mut held[header.bytes_used..])
            }
            Ok(None) => {
                core.handle(
                    now,
                    Input::Transport(id, TransportNews::Holds(held.capacity())),
                );
                ReadInterest::More
            }
            Err(error) => {
                core.handle(now, Input::Transport(id, TransportNews::Failed(error)));
                ReadInterest::Done
            }
        }
    }
}
