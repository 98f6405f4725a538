use std::net::SocketAddr;

use super::super::input::{read_input, words};
use crate::app::password::{HashOutcome, Verdict};
use crate::server::{ConnectionId, Input, Peer, StoreOutcome, TransportNews};
use crate::wire::ProxyError;

#[test]
fn every_input_is_read_as_it_was_written() {
    let id = ConnectionId {
        slot: 3,
        serial: 17,
    };
    let client = Peer::from(SocketAddr::from(([192, 0, 2, 1], 5_000)));
    let mut inputs = vec![
        Input::Shed,
        Input::Transport(id, TransportNews::Holds(52)),
        Input::Transport(id, TransportNews::Client(Some(client))),
        Input::Transport(id, TransportNews::Client(None)),
        Input::Finished(id),
        Input::Failed(id),
        Input::Writable(id),
        Input::Kept(StoreOutcome {
            ticket: 9,
            is_kept: true,
        }),
        Input::Tick,
        Input::LookAhead,
        Input::Stop,
    ];
    let failed = |error| Input::Transport(id, TransportNews::Failed(error));
    inputs.extend(ProxyError::ALL.map(failed));
    let verdicts = [
        Verdict::Right,
        Verdict::Wrong,
        Verdict::NoMemory,
        Verdict::Failed,
    ];
    inputs.extend(verdicts.map(|verdict| Input::Hashed(HashOutcome { ticket: 7, verdict })));
    for input in inputs {
        let line = format!("{input:?}");
        assert_eq!(read_input(&words(&line)), Some(input), "{line}");
    }
}
