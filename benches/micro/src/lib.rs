//! What the parts of a round trip cost, one by one. `micro` takes their time and runs them for
//! valgrind, `allocations` counts what each takes from the heap; `run` puts it together.

pub mod operations;
pub mod time;

mod peer;
mod subject;
mod turns;
