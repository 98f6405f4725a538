//! At a rate, whatever the server does: each act has its moment, and its answer is late from then
//! on, not from when it could be sent.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::crowd::{Crowd, histogram};
use crate::visits::Visits;

/// Broadcasts so many times a second, for so long, from one member after the other. Returns how
/// many.
pub(crate) fn broadcast(crowd: &mut Crowd, rate: u32, duration: Duration) -> u64 {
    let interval = Duration::from_secs(1) / rate;
    let began = Instant::now();
    let before = crowd.answers;
    let mut sent = 0;
    while began.elapsed() < duration {
        if began.elapsed() >= interval * sent {
            crowd.broadcast_once(sent as usize % crowd.len());
            sent += 1;
        }
        crowd.take(|_, _| {});
    }
    crowd.wait_for(before + u64::from(sent) * crowd.len() as u64);
    u64::from(sent)
}

/// Every member calls by turns, so many calls a second in all, while `others` go on. Returns how
/// late the answers were, in nanoseconds.
pub(crate) fn call(
    crowd: &mut Crowd,
    rate: u32,
    duration: Duration,
    mut others: Option<&mut Visits>,
) -> Histogram<u64> {
    let interval = Duration::from_secs(1) / rate;
    let mut late = histogram();
    let began = Instant::now();
    let mut due: Vec<Option<Instant>> = vec![None; crowd.len()];
    let mut sent = 0;
    while began.elapsed() < duration {
        // All that is due, so that what this thread does besides puts off nothing for longer than it
        // takes.
        let now = Instant::now();
        while began + interval * sent <= now {
            let caller = sent as usize % crowd.len();
            // Who still waits is not asked again: his answer is late enough to be seen.
            if due[caller].is_none() {
                due[caller] = Some(began + interval * sent);
                crowd.call_once(caller);
            }
            sent += 1;
        }
        crowd.take(|member, answers| {
            if answers > 0
                && let Some(at) = due[member].take()
            {
                late.saturating_record(at.elapsed().as_nanos() as u64);
            }
        });
        if let Some(others) = &mut others {
            others.turn(Duration::ZERO);
        }
    }
    let missing = due.iter().flatten().count() as u64;
    crowd.wait_for(crowd.answers + missing);
    late
}
