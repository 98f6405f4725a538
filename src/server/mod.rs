//! server
mod deadlines;
mod outbox;
