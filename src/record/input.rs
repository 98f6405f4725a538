//! An input of the core, read from the words of the line that shows it: its `Debug`, without the
//! punctuation.

use std::fmt;
use std::net::SocketAddr;

use crate::app::password::{HashOutcome, Verdict};
use crate::server::{ConnectionId, Input, Peer, StoreOutcome, TransportNews};
use crate::wire::ProxyError;

const VERDICTS: [Verdict; 4] = [
    Verdict::Right,
    Verdict::Wrong,
    Verdict::NoMemory,
    Verdict::Failed,
];

/// The words of a line.
pub(super) fn words(line: &str) -> Vec<&str> {
    let words = line.split([' ', ',', '(', ')', '{', '}']);
    words.filter(|word| !word.is_empty()).collect()
}

/// The input that the words show.
pub(super) fn read_input(words: &[&str]) -> Option<Input> {
    Some(match *words {
        ["Shed"] => Input::Shed,
        ["Transport", id, ref news @ ..] => {
            Input::Transport(read_id(id)?, read_transport_news(news)?)
        }
        ["Finished", id] => Input::Finished(read_id(id)?),
        ["Failed", id] => Input::Failed(read_id(id)?),
        ["Writable", id] => Input::Writable(read_id(id)?),
        ["Hashed", _, "ticket:", ticket, "verdict:", verdict] => Input::Hashed(HashOutcome {
            ticket: ticket.parse().ok()?,
            verdict: named(VERDICTS, verdict)?,
        }),
        ["Kept", _, "ticket:", ticket, "is_kept:", is_kept] => Input::Kept(StoreOutcome {
            ticket: ticket.parse().ok()?,
            is_kept: is_kept.parse().ok()?,
        }),
        ["Tick"] => Input::Tick,
        ["LookAhead"] => Input::LookAhead,
        ["Stop"] => Input::Stop,
        _ => return None,
    })
}

fn read_transport_news(words: &[&str]) -> Option<TransportNews> {
    Some(match *words {
        ["Holds", bytes] => TransportNews::Holds(bytes.parse().ok()?),
        ["Client", "None"] => TransportNews::Client(None),
        ["Client", "Some", peer] => TransportNews::Client(Some(read_peer(peer)?)),
        ["Failed", error] => TransportNews::Failed(named(ProxyError::ALL, error)?),
        _ => return None,
    })
}

fn named<T: fmt::Debug>(all: impl IntoIterator<Item = T>, name: &str) -> Option<T> {
    all.into_iter().find(|one| format!("{one:?}") == name)
}

/// `3.17`: slot and serial.
pub(super) fn read_id(text: &str) -> Option<ConnectionId> {
    let (slot, serial) = text.split_once('.')?;
    Some(ConnectionId {
        slot: slot.parse().ok()?,
        serial: serial.parse().ok()?,
    })
}

pub(super) fn read_peer(text: &str) -> Option<Peer> {
    match (text, text.strip_prefix("unix:")) {
        ("unix", _) => Some(Peer::on_unix_socket(None)),
        (_, Some(user)) => Some(Peer::on_unix_socket(Some(user.parse().ok()?))),
        _ => text.parse::<SocketAddr>().ok().map(Peer::from),
    }
}
