//! What the system allows the process: descriptors, and address space.

use std::os::fd::OwnedFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::app::password::AddressSpace;

/// Descriptors kept for all that is no connection: listeners, the user store and its journal, the
/// event queue, pipes, the log, and a spare one.
const RESERVE: u64 = 24;

/// Raises the limit of descriptors as far as it goes, and returns how many connections it has room
/// for.
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

/// Returns the limit of the address space in bytes; `None` where there is none.
pub fn address_space_limit() -> Option<u64> {
    getrlimit(Resource::As).current
}

/// Returns whether the address space is limited: a hash must then find out whether it gets its
/// memory.
pub(super) fn address_space() -> AddressSpace {
    match address_space_limit() {
        Some(_) => AddressSpace::Limited,
        None => AddressSpace::Unlimited,
    }
}

/// Opens a descriptor whose only use is to be given up, so that a newcomer can be accepted and
/// reset when no other is left.
pub(super) fn spare() -> Option<OwnedFd> {
    std::fs::File::open("/dev/null").ok().map(OwnedFd::from)
}
