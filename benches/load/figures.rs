//! Every figure there is, and how it is measured.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::Plan;
use crate::contender::{Contender, Kind};
use crate::crowd::{Crowd, Speech, each_micros};
use crate::paced;
use crate::probe::Cpu;
use crate::report::{Measured, Row};
use crate::visits::{Aim, Visits};

/// Before anything counts.
const WARM_UP: Duration = Duration::from_millis(300);
/// Those who are asked for a round trip, unless the figure says otherwise.
const CALLERS: usize = 64;
/// Broadcasts under way at once, flat out.
const BROADCASTS_IN_FLIGHT: usize = 16;
/// Deliveries a second, at a rate.
const DELIVERIES_RATE: u32 = 50_000;
/// How often the rounds of refusals are gone through: a sixth of them is user space, which the
/// kernel samples, so that it takes more of them to see it as well as with others.
const REFUSALS_TIMES: usize = 3;
/// Strangers at a time.
const STRANGERS: usize = 8;

pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) measure: fn(&Figure, &Plan) -> Measured,
}

const ALL_KINDS: &[Kind] = &[
    Kind::Framegate,
    Kind::TokioTungstenite,
    Kind::Fastwebsockets,
    Kind::Ws,
    Kind::SocketIo,
];
/// As many as have 5,000 connections each within the descriptors of this program.
const FEW_KINDS: &[Kind] = &[Kind::Framegate, Kind::TokioTungstenite, Kind::Ws];
const ALL_KINDS_AND_ECHO: &[Kind] = &[
    Kind::Framegate,
    Kind::TokioTungstenite,
    Kind::Fastwebsockets,
    Kind::Echo,
    Kind::Ws,
    Kind::SocketIo,
];

pub(crate) const ALL: &[Figure] = &[
    Figure {
        name: "round-trip-1",
        title: "Round trip, 64 connections, one in flight each",
        unit: "µs of CPU a round trip",
        measure: |figure, plan| round_trips(figure, plan, Speech::Call, 1),
    },
    Figure {
        name: "round-trip-16",
        title: "Round trip, 64 connections, 16 in flight each",
        unit: "µs of CPU a round trip",
        measure: |figure, plan| round_trips(figure, plan, Speech::Call, 16),
    },
    Figure {
        name: "round-trip-16-tokens",
        title: "Round trip, 64 connections, 16 in flight each, each with another token",
        unit: "µs of CPU a round trip",
        measure: |figure, plan| round_trips(figure, plan, Speech::CallManyTokens, 16),
    },
    Figure {
        name: "broadcast-10",
        title: "Broadcast to 10, 128 bytes, flat out",
        unit: "µs of CPU a delivery",
        measure: |figure, plan| broadcasts(figure, plan, ALL_KINDS, 10),
    },
    Figure {
        name: "broadcast-500",
        title: "Broadcast to 500, 128 bytes, flat out",
        unit: "µs of CPU a delivery",
        measure: |figure, plan| broadcasts(figure, plan, ALL_KINDS, 500),
    },
    Figure {
        name: "broadcast-5000",
        title: "Broadcast to 5,000, 128 bytes, flat out",
        unit: "µs of CPU a delivery",
        measure: |figure, plan| broadcasts(figure, plan, FEW_KINDS, 5_000),
    },
    Figure {
        name: "broadcast-rate",
        title: "Broadcast to 500, 128 bytes, 50,000 deliveries a second",
        unit: "µs of CPU a delivery",
        measure: paced_broadcasts,
    },
    Figure {
        name: "refusal",
        title: "A refusal: connect, upgrade, forged frame, close",
        unit: "µs of CPU a refusal",
        measure: refusals,
    },
    Figure {
        name: "siege",
        title: "Honest calls: 50 connections, 1,000 a second; alone, and while 64 forge and 16 drip",
        unit: "µs until the answer, p99",
        measure: siege,
    },
    Figure {
        name: "idle",
        title: "A logged-in connection at rest, 5,000 of them",
        unit: "bytes of resident memory",
        measure: idle,
    },
    Figure {
        name: "start",
        title: "From exec to the first WebSocket",
        unit: "ms",
        measure: start,
    },
    Figure {
        name: "scale-round-trip",
        title: "Round trip by connections, one in flight each",
        unit: "µs of CPU a round trip",
        measure: |figure, plan| scale(figure, plan, Kind::Framegate, Speech::Call),
    },
    Figure {
        name: "scale-echo",
        title: "Round trip of the unauthenticated echo by connections, one in flight each",
        unit: "µs of CPU a round trip",
        measure: |figure, plan| scale(figure, plan, Kind::Echo, Speech::Call),
    },
    Figure {
        name: "scale-broadcast",
        title: "Delivery by connections, flat out",
        unit: "µs of CPU a delivery",
        measure: |figure, plan| scale(figure, plan, Kind::Framegate, Speech::Broadcast),
    },
];

/// A contender, what is done with it, and what that came to so far.
struct Stand<T> {
    row: Row,
    at: Contender,
    with: T,
}

fn stands<T>(kinds: &[Kind], plan: &Plan, with: impl Fn(&Contender) -> T) -> Vec<Stand<T>> {
    let stand = |at: Contender| Stand {
        row: Row::new(at.kind.name()),
        with: with(&at),
        at,
    };
    Contender::all(kinds, plan).into_iter().map(stand).collect()
}

/// Measures all of them in turns, round after round: `act` goes on for so long, and says how many
/// operations it did.
fn alternate<T>(
    plan: &Plan,
    stands: &mut [Stand<T>],
    mut act: impl FnMut(&mut T, &Contender, Duration) -> u64,
) {
    for stand in &mut *stands {
        act(&mut stand.with, &stand.at, WARM_UP);
    }
    for _ in 0..plan.rounds {
        for Stand { row, at, with } in &mut *stands {
            let began = std::time::Instant::now();
            let before = at.probe.cpu();
            let count = act(with, at, plan.window);
            let spent = at.probe.cpu().since(before);
            row.add_cpu(each_micros(spent, count), share(spent, began.elapsed()));
        }
    }
}

/// What of a core was used, in percent: near 100 when the server was what limited.
fn share(spent: Cpu, elapsed: Duration) -> f64 {
    100.0 * spent.total().as_secs_f64() / elapsed.as_secs_f64()
}

fn rows<T>(stands: Vec<Stand<T>>) -> Vec<Row> {
    stands.into_iter().map(|stand| stand.row).collect()
}

fn round_trips(figure: &Figure, plan: &Plan, speech: Speech, in_flight: usize) -> Measured {
    let gather = |at: &Contender| Crowd::gather(at, CALLERS, speech);
    let mut stands = stands(ALL_KINDS_AND_ECHO, plan, gather);
    alternate(plan, &mut stands, |crowd, _, duration| {
        let before = crowd.answers;
        crowd.call(in_flight, duration);
        crowd.answers - before
    });
    for stand in &mut stands {
        stand.row.latencies(&stand.with.latencies);
    }
    Measured::new(figure, rows(stands))
}

fn broadcasts(figure: &Figure, plan: &Plan, kinds: &[Kind], members: usize) -> Measured {
    let gather = |at: &Contender| Crowd::gather(at, members, Speech::Broadcast);
    let mut stands = stands(kinds, plan, gather);
    alternate(plan, &mut stands, |crowd, _, duration| {
        crowd.broadcast(BROADCASTS_IN_FLIGHT, duration) * members as u64
    });
    Measured::new(figure, rows(stands))
}

fn paced_broadcasts(figure: &Figure, plan: &Plan) -> Measured {
    let members = 500;
    let gather = |at: &Contender| Crowd::gather(at, members, Speech::Broadcast);
    let mut stands = stands(ALL_KINDS, plan, gather);
    alternate(plan, &mut stands, |crowd, _, duration| {
        let rate = DELIVERIES_RATE / members as u32;
        paced::broadcast(crowd, rate, duration) * members as u64
    });
    Measured::new(figure, rows(stands))
}

/// Also of an address that framegate has banned.
fn refusals(figure: &Figure, plan: &Plan) -> Measured {
    let visits = |at: &Contender| Visits::new(at, Aim::Forge, STRANGERS);
    let mut stands = stands(ALL_KINDS, plan, visits);
    stands.push(banned(plan));
    for _ in 0..REFUSALS_TIMES {
        alternate(plan, &mut stands, |visits, _, duration| {
            let before = visits.done;
            visits.run(duration);
            visits.done - before
        });
    }
    for stand in &mut stands {
        stand.row.note = format!("{} of {} ended oddly", stand.with.odd, stand.with.done);
    }
    Measured::new(figure, rows(stands))
}

fn banned(plan: &Plan) -> Stand<Visits> {
    let bans = ["--ban-after", "20", "--ban-for", "1h"];
    let at = Contender::start_with(Kind::Framegate, plan, &bans);
    let at = at.expect("framegate is always here");
    Visits::new(&at, Aim::Forge, STRANGERS).run(WARM_UP);
    Stand {
        row: Row::new("framegate, a banned address"),
        with: Visits::new(&at, Aim::BeReset, STRANGERS),
        at,
    }
}

fn siege(figure: &Figure, plan: &Plan) -> Measured {
    let honest = |at: &Contender| {
        let mut besieged = Row::new(at.kind.name());
        besieged.kind = Some("under siege".to_owned());
        (Crowd::gather(at, 50, Speech::Call), besieged)
    };
    let mut stands = stands(ALL_KINDS, plan, honest);
    for stand in &mut stands {
        stand.row.kind = Some("alone".to_owned());
        paced::call(&mut stand.with.0, 1_000, WARM_UP, None);
    }
    for _ in 0..plan.rounds {
        for stand in &mut stands {
            let (crowd, besieged) = &mut stand.with;
            let late = paced::call(crowd, 1_000, plan.window, None);
            stand.row.add(p99_micros(&late));
            let mut forgers = Visits::new(&stand.at, Aim::Forge, 64);
            forgers.take_few_steps();
            forgers.visit_with(Visits::new(&stand.at, Aim::Drip, 16));
            let late = paced::call(crowd, 1_000, plan.window, Some(&mut forgers));
            besieged.add(p99_micros(&late));
            let rate = forgers.done as f64 / plan.window.as_secs_f64();
            besieged.note = format!("{rate:.0} forgeries a second in the last round");
        }
    }
    let pairs = stands.into_iter().map(|stand| [stand.row, stand.with.1]);
    Measured::new(figure, pairs.flatten().collect())
}

fn p99_micros(latencies: &Histogram<u64>) -> f64 {
    latencies.value_at_quantile(0.99) as f64 / 1_000.0
}

fn idle(figure: &Figure, plan: &Plan) -> Measured {
    let members = 5_000;
    let mut rows = Vec::new();
    for at in Contender::all(ALL_KINDS, plan) {
        let before = at.probe.resident_bytes();
        let crowd = Crowd::gather(&at, members, Speech::Call);
        std::thread::sleep(Duration::from_secs(2));
        let held = at.probe.resident_bytes().saturating_sub(before);
        drop(crowd);
        let mut row = Row::new(at.kind.name());
        row.add(held as f64 / members as f64);
        row.note = format!(
            "{:.1} MiB without any; program {:.1} MiB",
            before as f64 / f64::from(1 << 20),
            at.program_bytes() as f64 / f64::from(1 << 20),
        );
        rows.push(row);
    }
    Measured::new(figure, rows)
}

fn start(figure: &Figure, plan: &Plan) -> Measured {
    let mut rows: Vec<Row> = ALL_KINDS.iter().map(|kind| Row::new(kind.name())).collect();
    for _ in 0..plan.rounds {
        for (row, kind) in rows.iter_mut().zip(ALL_KINDS) {
            if let Some(took) = Contender::start_up(*kind, plan) {
                row.add(took.as_secs_f64() * 1_000.0);
            }
        }
    }
    rows.retain(|row| !row.all.is_empty());
    Measured::new(figure, rows)
}

/// One contender alone. As many as the descriptors of this program allow stand at once; the most
/// stand beside the few that they are compared with.
fn scale(figure: &Figure, plan: &Plan, kind: Kind, speech: Speech) -> Measured {
    let mut rows = Vec::new();
    for counts in [&[64, 10, 500, 2_000, 5_000, 10_000][..], &[64, 15_000]] {
        let start = |count: &usize| {
            let at = Contender::start(kind, plan)?;
            let mut row = Row::new(at.kind.name());
            row.connections = Some(*count);
            Some(Stand {
                row,
                with: Crowd::gather(&at, *count, speech),
                at,
            })
        };
        let mut stands: Vec<Stand<Crowd>> = counts.iter().filter_map(start).collect();
        alternate(plan, &mut stands, |crowd, _, duration| match speech {
            Speech::Broadcast => {
                crowd.broadcast(BROADCASTS_IN_FLIGHT, duration) * crowd.len() as u64
            }
            _ => {
                let before = crowd.answers;
                crowd.call(1, duration);
                crowd.answers - before
            }
        });
        rows.extend(self::rows(stands));
    }
    Measured::new(figure, rows)
}
