//! The parts of the core: data that keep their own invariants. No part knows the core, a step, or
//! more of another part than it is built of.

pub(crate) mod bans;
pub(crate) mod bounded_map;
pub(crate) mod broadcasts;
pub(crate) mod counters;
pub(crate) mod login_queue;
pub(crate) mod members;
pub(crate) mod quotas;
pub(crate) mod rate_limits;
pub(crate) mod reports;
pub(crate) mod revocations;
pub(crate) mod sessions;
pub(crate) mod shared_frame;
pub(crate) mod store_reporter;
pub(crate) mod timer_wheel;
pub(crate) mod write_queue;
