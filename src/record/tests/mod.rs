//! Recordings that are made, replayed and spoiled in memory.

mod chance;
mod files;
mod rig;
mod sessions;
