//! What the process is allowed: descriptors, and address space.

use std::os::fd::OwnedFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::app::password::AddressSpace;

/// Descriptors kept for all but connections: listeners, the user store and its journal, the
/// event queue, pipes, the log, and one to spare.
const RESERVE: u64 = 24;

/// How many connections the descriptor limit has room for, once it was raised as far as it goes.
pub fn connections_possible() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current.map_or(usize::MAX, |descriptors| {
        descriptors.saturating_sub(RESERVE) as usize
    })
}

/// The limit of the address space, in bytes, where it has one.
pub fn address_space_limit() -> Option<u64> {
    getrlimit(Resource::As).current
}

/// Whether the address space has a limit.
pub(super) fn address_space() -> AddressSpace {
    match address_space_limit() {
        Some(_) => AddressSpace::Limited,
        None => AddressSpace::Unlimited,
    }
}

/// A descriptor of no use but to be given up.
pub(super) fn spare() -> Option<OwnedFd> {
    std::fs::File::open("/dev/null").ok().map(OwnedFd::from)
}
