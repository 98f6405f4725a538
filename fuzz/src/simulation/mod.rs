//! The simulator: the whole core in one thread, with a clock that is driven, peers of many
//! characters, and whatever can go wrong with sockets, clocks, users and their store. After every
//! step all that the contract promises is looked at. One seed is one run, byte for byte.
//!
//! ```text
//! choice ─► world ─► server ─► world ─► link, expectations (what a peer hears, and is owed)
//!             │                  │
//!             └─► people         └─► model_connections, model_messages, model_requests (what
//!                                     must be), model_deadlines (by when)
//! ```

mod actions;
mod arrival;
mod budgets;
mod choice;
mod client_bytes;
mod expectations;
mod helpers;
mod link;
mod logouts;
mod meanwhile;
mod model_connections;
mod model_deadlines;
mod model_messages;
mod model_requests;
mod newcomers;
mod outcomes;
mod outputs;
mod people;
mod recovery;
mod secrets;
mod settings;
mod sockets;
mod tapped;
mod world;

use crate::one_of_eight;

use choice::Choice;
use recovery::Parting;
use world::World;

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Steps taken, those of the last phase not counted.
    pub steps: u64,
    /// All that came out, in one number.
    pub digest: u64,
}

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub struct Broken {
    /// In which step, counted from zero.
    pub step: u64,
    /// Which.
    pub what: String,
}

/// How a server reads what arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// As it arrives.
    Whole,
    /// As it arrives, in a world with room enough; to be compared with `Cut`.
    Roomy,
    /// Cut further, at places that this number chooses.
    Cut(u64),
}

/// Runs `steps` steps by the choices of `seed`: a phase in which anything may go wrong, and then
/// one in which nothing does and everything must come right.
///
/// # Errors
/// The first promise that was not kept.
pub fn run(seed: u64, steps: u64) -> Result<Run, Broken> {
    drive(Choice::Seed(seed), steps, Parting::Silence)
}

/// Runs two worlds side by side that differ in one thing: in the second, what arrives is read in
/// pieces. Nothing else may come out of it.
///
/// # Errors
/// The first step after which something else has come out, or the first promise that was not
/// kept.
pub fn run_cut(seed: u64, steps: u64) -> Result<(), Broken> {
    let broken = |step| move |what| Broken { step, what };
    let world = |reads| World::new(Choice::Seed(seed), reads).map_err(broken(0));
    let (mut whole, mut cut) = (world(Reads::Roomy)?, world(Reads::Cut(seed))?);
    let swarm = actions::Swarm::new(&mut whole.choice);
    actions::Swarm::new(&mut cut.choice);
    for step in 0..steps {
        whole.live(&swarm).map_err(broken(step))?;
        cut.live(&swarm).map_err(broken(step))?;
        if whole.digest != cut.digest {
            let difference = whole.difference(&cut).unwrap_or_default();
            let what = format!("{difference} when the same bytes are read in pieces");
            return Err(Broken { step, what });
        }
    }
    Ok(())
}

/// The body of the fuzz target `server_ops`: every byte is a choice.
pub fn server_ops(input: &[u8]) {
    if let Err(broken) = run_bytes(input) {
        assert!(
            broken.what.is_empty(),
            "step {}: {}",
            broken.step,
            broken.what
        );
    }
}

/// Runs the steps that the bytes of `input` choose. In the end most peers hang up: that those who
/// are silent are ended takes many turns, and is seen to after one input in eight.
///
/// # Errors
/// The first promise that was not kept.
pub fn run_bytes(input: &[u8]) -> Result<Run, Broken> {
    const STEPS_MAX: u64 = 400;
    let parting = match one_of_eight(input) {
        0 => Parting::Silence,
        _ => Parting::Fin,
    };
    drive(Choice::Bytes(input), STEPS_MAX, parting)
}

/// The first steps of a run, as an input of `server_ops` that takes the same ones: what a seed has
/// found can be made small by a fuzzer, and is a seed of its corpus.
pub fn transcript(seed: u64, steps: u64) -> Vec<u8> {
    let bytes = Vec::new();
    let Ok(mut world) = World::new(Choice::Noted { seed, bytes }, Reads::Whole) else {
        return Vec::new();
    };
    let swarm = actions::Swarm::new(&mut world.choice);
    for _ in 0..steps {
        if world.live(&swarm).is_err() {
            break;
        }
    }
    match world.choice {
        Choice::Noted { bytes, .. } => bytes,
        Choice::Seed(_) | Choice::Bytes(_) => Vec::new(),
    }
}

fn drive(choice: Choice<'_>, steps: u64, parting: Parting) -> Result<Run, Broken> {
    let broken = |step| move |what| Broken { step, what };
    let mut world = World::new(choice, Reads::Whole).map_err(broken(0))?;
    let swarm = actions::Swarm::new(&mut world.choice);
    let mut step = 0;
    while step < steps && !world.choice.is_spent() {
        world.live(&swarm).map_err(broken(step))?;
        step += 1;
    }
    world.count_again().map_err(broken(step))?;
    world.come_right(parting).map_err(broken(step))?;
    let digest = world.digest;
    world.leave();
    Ok(Run {
        steps: step,
        digest,
    })
}
