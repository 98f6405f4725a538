//! framegate: a WebSocket server in which every data frame carries a token.

#![forbid(unsafe_code)]

pub mod app;
pub mod cli;
pub mod config;
pub mod driver;
pub mod gate;
pub mod limits;
pub mod network;
pub mod server;
pub mod time;
pub mod wire;
