//! An input of the core as a line: as it is written, and as it is read again.

use std::fmt;
use std::net::SocketAddr;

use crate::app::password::{HashOutcome, Verdict};
use crate::server::{ConnectionId, Input, Peer, StoreOutcome, TransportNews};
use crate::wire::ProxyError;

/// The line of an input.
pub(super) struct InputLine(pub(super) Input);

impl fmt::Display for InputLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Input::Shed => f.write_str("shed"),
            Input::Transport(id, news) => {
                write!(f, "transport {:?} ", id)?;
                match news {
                    TransportNews::Holds(bytes) => write!(f, "holds {bytes}"),
                    TransportNews::Client(Some(peer)) => write!(f, "client {peer}"),
                    TransportNews::Client(None) => f.write_str("client -"),
                    TransportNews::Failed(error) => write!(f, "failed {}", error.word()),
                }
            }
            Input::Finished(id) => write!(f, "finished {id:?}"),
            Input::Failed(id) => write!(f, "failed {id:?}"),
            Input::Writable(id) => write!(f, "writable {id:?}"),
            Input::Hashed(HashOutcome { ticket, verdict }) => {
                write!(f, "hashed {ticket} {verdict:?}")
            }
            Input::Kept(StoreOutcome { ticket, is_kept }) => write!(f, "kept {ticket} {is_kept}"),
            Input::Tick => f.write_str("tick"),
            Input::LookAhead => f.write_str("look"),
            Input::Stop => f.write_str("stop"),
        }
    }
}

/// Reads the input of a line, from its first word and the others.
pub(super) fn read_input<'a>(
    word: &str,
    mut words: impl Iterator<Item = &'a str>,
) -> Option<Input> {
    Some(match word {
        "shed" => Input::Shed,
        "transport" => {
            let id = read_id(words.next()?)?;
            Input::Transport(id, read_transport_news(words.next()?, words.next()?)?)
        }
        "finished" => Input::Finished(read_id(words.next()?)?),
        "failed" => Input::Failed(read_id(words.next()?)?),
        "writable" => Input::Writable(read_id(words.next()?)?),
        "hashed" => Input::Hashed(HashOutcome {
            ticket: words.next()?.parse().ok()?,
            verdict: read_verdict(words.next()?)?,
        }),
        "kept" => Input::Kept(StoreOutcome {
            ticket: words.next()?.parse().ok()?,
            is_kept: words.next()?.parse().ok()?,
        }),
        "tick" => Input::Tick,
        "look" => Input::LookAhead,
        "stop" => Input::Stop,
        _ => return None,
    })
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

fn read_transport_news(word: &str, text: &str) -> Option<TransportNews> {
    match (word, text) {
        ("holds", bytes) => bytes.parse().ok().map(TransportNews::Holds),
        ("client", "-") => Some(TransportNews::Client(None)),
        ("client", peer) => Some(TransportNews::Client(Some(read_peer(peer)?))),
        ("failed", word) => {
            let mut errors = ProxyError::ALL.into_iter();
            let error = errors.find(|error| error.word() == word)?;
            Some(TransportNews::Failed(error))
        }
        _ => None,
    }
}

fn read_verdict(text: &str) -> Option<Verdict> {
    let all = [
        Verdict::Right,
        Verdict::Wrong,
        Verdict::NoMemory,
        Verdict::Failed,
    ];
    let shown = |verdict: &Verdict| format!("{verdict:?}") == text;
    all.into_iter().find(shown)
}
