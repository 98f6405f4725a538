//! The core by scripts: peers that speak and hear, and a clock that is driven.

mod crowds;
mod ends;
mod frames;
mod http;
mod log;
mod logins;
mod people;
mod proxies;
mod turns;
mod world;
