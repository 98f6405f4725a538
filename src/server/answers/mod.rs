//! What is told of a connection: to its peer, and to the log.

pub(crate) mod answer;
pub(crate) mod cause;
pub(crate) mod report;
pub(crate) mod unserved;
