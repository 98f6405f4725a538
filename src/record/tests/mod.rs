//! Recordings that are made, replayed and spoiled in memory.

mod chance;
mod files;
mod lines;
mod mask;
mod redaction;
mod rig;
mod sessions;
