//! What lies between a socket and the core. A PROXY header is taken off here, before the core hears
//! a byte, since it comes ahead of all else.
//!
//! Promises that the core is told for which client the connection comes, and how many bytes of an
//! unfinished header are held. Refuses to know what the bytes after the header mean.

use std::mem;

use crate::record::Recorded;
use crate::server::{ConnectionId, Input, Peer, ReadInterest, TransportNews};
use crate::time::Now;
use crate::wire::{Held, ProxyHeader};

/// One connection's transport.
pub(super) enum Transport {
    /// All that arrives is for the core.
    Plain,
    /// A PROXY header comes first. This much of it has arrived.
    ProxyHeader(Held),
}

impl Transport {
    /// Returns the transport of a connection that was just accepted.
    pub(super) fn of(core: &Recorded, id: ConnectionId) -> Transport {
        match core.begins_with_proxy_header(id) {
            true => Transport::ProxyHeader(Held::default()),
            false => Transport::Plain,
        }
    }

    /// Takes what was read off the socket, and hands the core what is not the transport's own.
    /// Returns whether more of the connection is wanted.
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
                // What came after the header in the same read is the client's.
                core.receive(now, id, &mut held[header.bytes_used..])
            }
            Ok(None) => {
                core.handle(
                    now,
                    // The ledger counts what is held here (contract §5.4).
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
