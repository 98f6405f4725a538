//! A recording as other programs read it: what each client sent, or a capture of packets. Is told what
//! happens in a replay; refuses to know how that is run, and files and folders.

mod pcap;
mod raw;

use crate::server::{ConnectionId, Ending, Input, Peer};
use crate::time::Now;

pub use pcap::Capture;
pub use raw::RawExchanges;

/// What happens on a connection in a replay.
#[derive(Debug)]
pub enum Seen<'s> {
    /// It was accepted.
    Accepted(Peer),
    /// Its peer sent this.
    Received(&'s [u8]),
    /// Its peer sends no more.
    Finished,
    /// Its peer has reset it, or it failed otherwise.
    Failed,
    /// This was written to its peer.
    Written(&'s [u8]),
    /// Its descriptor ends.
    Ended(Ending),
}

impl Seen<'_> {
    /// What an input says of a connection's peer.
    pub fn of(input: &Input) -> Option<(ConnectionId, Seen<'static>)> {
        match input {
            Input::Finished(id) => Some((*id, Seen::Finished)),
            Input::Failed(id) => Some((*id, Seen::Failed)),
            _ => None,
        }
    }
}

/// One who is told of what happens on connections, and when.
pub type Watcher<'w> = dyn FnMut(Now, ConnectionId, Seen<'_>) + 'w;
