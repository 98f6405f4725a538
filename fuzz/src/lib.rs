//! What the program claims, as functions that try to prove it wrong: the bodies of the fuzz
//! targets, a slow reference to compare the gate with, and a simulator of the whole core.
//!
//! A library, so that a fuzz target is one line and every seed is replayed by a test on stable. What is
//! proved is the code that is shipped. No check is weaker here than elsewhere: where a token must pass, these
//! functions hold a key and sign.
//!
//! A body takes bytes and panics, by an `assert`, when a claim does not hold.

#![forbid(unsafe_code)]

mod client_parser;
pub mod exchange;
pub mod mutator;
pub mod peer;
pub mod reference;
pub mod simulation;
pub mod text;
pub mod token;
mod told;
pub mod wire;

/// A fuzz target's body.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of the target, of its corpus, and of its seeds.
    pub name: &'static str,
    /// Tries one input.
    pub run: fn(&[u8]),
}

/// Every target: a body, and in `fuzz` a binary, seeds, and perhaps a dictionary of its name.
pub const TARGETS: &[Target] = &[
    target("token_bytes", token::token_bytes),
    target("token_signed", token::token_signed),
    target("token_mutate", token::token_mutate),
    target("claims_time", token::claims_time),
    target("http_head", wire::http_head),
    target("frames", wire::frames),
    target("endpoint", wire::endpoint),
    target("envelope", text::envelope),
    target("config", text::config),
    target("user_import", text::user_import),
    target("server_ops", simulation::server_ops),
    target("exchange", exchange::exchange),
    target("token_differential", peer::token_differential),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// Which of eight an input is, by the sum of its bytes: what costs much is tried on some inputs
/// only, on the same ones each time, and any change of one moves it to another.
fn one_of_eight(input: &[u8]) -> u8 {
    input
        .iter()
        .fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
        % 8
}
