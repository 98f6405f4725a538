//! Record and replay: a core whose every input is written to a file, so that one who has the file
//! can run it again. Stands between the driver and the server; refuses to know sockets, clocks,
//! and the secrets that pass.
//!
//! ```text
//! driver ─► Recorded ─┬─► Server ─┐              a call, and what it returns
//!                     │           ▼ tap          what peers sent, as the core takes it apart
//!                     └─────► Recorder ─► a file without tokens, passwords, hashes
//!
//! a file ─► replay ─► Recorded ─┬─► Server ─┐    no socket
//!                               └─────► Recorder ─► compared with the file, line by line
//! ```
//!
//! A replay is a recording of its own: where it writes another line than the file has, the
//! server behaves differently. Since what peers send was redacted, what leaves may differ in the
//! signatures of tokens; those are masked on both sides before they are compared.

mod input;
mod lines;
mod mask;
mod recorder;
mod redaction;
mod replay;
mod store;
mod tap;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io::{IoSlice, Write};
use std::ops::Deref;
use std::rc::Rc;

use crate::app::Events;
use crate::app::users::UserStore;
use crate::config::Config;
use crate::gate::{Keys, ReplayTokens};
use crate::limits::RECORDING_BYTES_MAX;
use crate::server::{
    ConnectionId, Ending, FlushesLeft, Input, Output, Peer, ReadInterest, SLICES_MAX, Server,
};
use crate::time::Now;

use lines::FileSink;
use recorder::{ENDED, Recorder};
use store::RecordingStore;
use tap::RecordingTap;

pub use lines::read_lines;
pub use replay::{ReplayError, Replayed, replay};
pub use store::answered_user;

/// A server as [`Server::build`] makes it, with the program's own events, that is recorded to
/// `file`.
pub fn record(
    file: Box<dyn Write>,
    config: Config,
    keys: Keys,
    store: Box<dyn UserStore>,
    seed: u64,
) -> Recorded {
    let file = FileSink::new(file, RECORDING_BYTES_MAX);
    let recorder = Recorder::begin(ReplayTokens::new(keys.clone()), file, &config, seed);
    Recorded::build(Rc::new(RefCell::new(recorder)), config, keys, store, seed)
}

/// A server, and the recorder that writes down every call of it, where there is one. What only
/// looks at the server goes straight to it.
pub struct Recorded {
    server: Server,
    recorder: Option<Rc<RefCell<Recorder>>>,
}

impl From<Server> for Recorded {
    fn from(server: Server) -> Recorded {
        Recorded {
            server,
            recorder: None,
        }
    }
}

impl Deref for Recorded {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Recorded {
    fn build(
        recorder: Rc<RefCell<Recorder>>,
        config: Config,
        keys: Keys,
        store: Box<dyn UserStore>,
        seed: u64,
    ) -> Recorded {
        let tap = RecordingTap::new(Rc::clone(&recorder));
        let store = Box::new(RecordingStore {
            store,
            recorder: Rc::clone(&recorder),
        });
        let mut server = Server::build(config, keys, store, Events::builtin(), seed);
        server.set_tap(Some(Box::new(tap)));
        Recorded {
            server,
            recorder: Some(recorder),
        }
    }

    /// Writes down that the server has come to its end, and was not killed.
    pub fn end(&mut self) {
        self.note(|it| {
            it.line(format_args!("{ENDED}"));
            it.flush();
        });
    }

    /// As [`Server::accept`].
    pub fn accept(&mut self, now: Now, peer: Peer) -> Option<ConnectionId> {
        self.note(|it| it.call(now, format_args!("accept {peer}")));
        let id = self.server.accept(now, peer);
        self.note(|it| it.call(now, format_args!("> {id:?}")));
        id
    }

    /// As [`Server::handle`]. A look that is not due changes nothing, and is not written down.
    pub fn handle(&mut self, now: Now, input: Input) {
        if matches!(input, Input::LookAhead) && !self.server.is_look_due(now) {
            return;
        }
        self.note(|it| it.call(now, format_args!("handle {input:?}")));
        self.server.handle(now, input);
    }

    /// As [`Server::receive`].
    pub fn receive(&mut self, now: Now, id: ConnectionId, bytes: &mut [u8]) -> ReadInterest {
        self.note(|it| it.call(now, format_args!("receive {id:?} {}", bytes.len())));
        let reading = self.server.receive(now, id, bytes);
        if reading == ReadInterest::Done {
            self.note(|it| it.call(now, format_args!("> over")));
        }
        reading
    }

    /// As [`Server::wrote`].
    pub fn wrote(&mut self, now: Now, id: ConnectionId, count: usize, full: bool) {
        if let Some(recorder) = &self.recorder {
            let mut recorder = recorder.borrow_mut();
            let digest = recorder.digest(id, &self.waiting(id, count));
            recorder.call(now, format_args!("wrote {id:?} {count} {full} {digest}"));
        }
        self.server.wrote(now, id, count, full);
    }

    /// The next `count` bytes that wait to be written to a peer.
    fn waiting(&self, id: ConnectionId, count: usize) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = self.server.gather(id, &mut slices);
        let bytes = slices[..filled].iter().flat_map(|slice| slice.iter());
        bytes.copied().take(count).collect()
    }

    /// As [`Server::next_flush`].
    pub fn next_flush(&mut self, now: Now, left: &mut FlushesLeft) -> Option<ConnectionId> {
        let (broadcasts, pending) = (left.broadcasts, left.pending);
        let id = self.server.next_flush(now, left);
        self.note(|it| it.call(now, format_args!("flush {broadcasts} {pending} {id:?}")));
        id
    }

    /// As [`Server::next_ending`].
    pub fn next_ending(&mut self) -> Option<(ConnectionId, Ending)> {
        let ended = self.server.next_ending();
        if let (Some(recorder), Some((id, ending))) = (&self.recorder, ended) {
            let mut recorder = recorder.borrow_mut();
            recorder.line(format_args!("ending {id:?} {ending:?}"));
            if ending != Ending::Fin {
                recorder.told.remove(&id.serial);
            }
        }
        ended
    }

    /// As [`Server::poll`]. With the last output a turn is over.
    pub fn poll(&mut self, now: Now) -> Option<Output> {
        let output = self.server.poll(now);
        match (&self.recorder, &output) {
            (Some(recorder), Some(output)) => recorder.borrow_mut().output(now, output),
            (Some(recorder), None) if !recorder.borrow_mut().flush() => {
                self.server.set_tap(None);
                self.recorder = None;
            }
            _ => {}
        }
        output
    }

    /// What is to be written is put together only where somebody writes it down.
    fn note(&self, write: impl FnOnce(&mut Recorder)) {
        if let Some(recorder) = &self.recorder {
            write(&mut recorder.borrow_mut());
        }
    }
}
