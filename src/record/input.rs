//! An input of the core, read from the words of the line that shows it: its `Debug`, without the
//! punctuation.

use std::fmt;

use crate::app::password::HashOutcome;
use crate::app::password::Verdict::{self, Failed, NoMemory, Right, Wrong};
use crate::server::{Input, StoreOutcome, TransportNews};
use crate::wire::ProxyError;

const VERDICTS: [Verdict; 4] = [Right, Wrong, NoMemory, Failed];

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
            Input::Transport(id.parse().ok()?, read_transport_news(news)?)
        }
        ["Finished", id] => Input::Finished(id.parse().ok()?),
        ["Failed", id] => Input::Failed(id.parse().ok()?),
        ["Writable", id] => Input::Writable(id.parse().ok()?),
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
        ["Client", "Some", peer] => TransportNews::Client(Some(peer.parse().ok()?)),
        ["Failed", error] => TransportNews::Failed(named(ProxyError::ALL, error)?),
        _ => return None,
    })
}

fn named<T: fmt::Debug>(all: impl IntoIterator<Item = T>, name: &str) -> Option<T> {
    all.into_iter().find(|one| format!("{one:?}") == name)
}
