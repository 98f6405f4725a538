//! What the program claims, as functions that try to prove it wrong: the bodies of the fuzz
//! targets, a slow reference to compare the gate with, and a simulator of the whole core.
//!
//! Hidden, since it is no part of the library's interface; and in the library, so that a fuzz
//! target is one line, every seed is replayed by a test on stable, and what is proved is the code
//! that is shipped. No check is weaker here than elsewhere: where a token must pass, these
//! functions hold a key and sign.
//!
//! A body takes bytes and panics, by an `assert`, when a claim does not hold.

pub mod reference;
pub mod simulation;
pub mod token;

/// A fuzz target's body.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of the target, of its corpus, and of its seeds.
    pub name: &'static str,
    /// Tries one input.
    pub run: fn(&[u8]),
}

/// Every target that needs nothing but bytes.
pub const TARGETS: &[Target] = &[
    Target {
        name: "claims_time",
        run: token::claims_time,
    },
    Target {
        name: "server_ops",
        run: simulation::server_ops,
    },
    Target {
        name: "token_bytes",
        run: token::token_bytes,
    },
    Target {
        name: "token_mutate",
        run: token::token_mutate,
    },
    Target {
        name: "token_signed",
        run: token::token_signed,
    },
];
