//! The core by scripts: peers that speak and hear, and a clock that is driven.

mod budgets;
mod crowds;
mod ends;
mod frames;
mod http;
mod log;
mod logins;
mod memory;
mod people;
mod proxies;
mod quotas;
mod revocations;
mod turns;
mod world;
