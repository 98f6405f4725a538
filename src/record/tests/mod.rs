//! Recordings that are made, replayed and spoiled in memory.

mod files;
mod rig;
mod sessions;
