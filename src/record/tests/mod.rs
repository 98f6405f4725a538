//! Recordings that are made, replayed and spoiled in memory.

mod chance;
mod files;
mod input;
mod lines;
mod mask;
mod redaction;
mod rig;
mod sessions;
