//! SIGINT and SIGTERM, as bytes in a pipe that the loop watches.

use std::io::{self, Read};

use mio::event::Source;
use mio::net::UnixStream;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

pub(super) struct Signals {
    pipe: UnixStream,
}

impl Signals {
    pub(super) fn new() -> io::Result<Signals> {
        let (reading, writing) = std::os::unix::net::UnixStream::pair()?;
        reading.set_nonblocking(true)?;
        pipe::register(SIGINT, writing.try_clone()?)?;
        pipe::register(SIGTERM, writing)?;
        Ok(Signals {
            pipe: UnixStream::from_std(reading),
        })
    }

    /// What the loop watches.
    pub(super) fn source(&mut self) -> &mut dyn Source {
        &mut self.pipe
    }

    /// Whether a signal came since last asked.
    pub(super) fn take(&mut self) -> bool {
        let mut bytes = [0; 16];
        let mut came = false;
        loop {
            match self.pipe.read(&mut bytes) {
                Ok(0) => return came,
                Ok(_) => came = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return came,
            }
        }
    }
}
