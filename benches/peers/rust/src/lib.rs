//! What the servers here share, so that only their WebSocket library tells them apart: how they
//! are started, and what they do with a frame. Each is as a user of its library would write it
//! on tokio, on the one thread that framegate has too.

pub mod service;

use std::error::Error;
use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

/// How a server was started.
#[derive(Default)]
pub struct Arguments {
    /// 0 for any that is free.
    pub port: u16,
    /// Send every text back, without a token: what the transport costs by itself.
    pub echo: bool,
}

impl Arguments {
    /// Reads the command line.
    ///
    /// # Errors
    ///
    /// When there is something in it that this does not know.
    pub fn parse() -> Result<Self, lexopt::Error> {
        use lexopt::prelude::*;

        let mut arguments = Self::default();
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("port") => arguments.port = parser.value()?.parse()?,
                Long("echo") => arguments.echo = true,
                other => return Err(other.unexpected()),
            }
        }
        Ok(arguments)
    }
}

/// Says where it listens, and gives every connection a task, until the process is ended.
///
/// # Errors
///
/// When the port cannot be had.
pub async fn serve<F>(port: u16, converse: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: wait for some to come free.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if stream.set_nodelay(true).is_ok() {
            // Peers that break the protocol or leave are no event here.
            tokio::spawn(converse(stream));
        }
    }
}
