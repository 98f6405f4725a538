//! tokio-tungstenite with jsonwebtoken: the usual way to have authenticated WebSockets in Rust.
//! A task a connection, which waits for its socket and for its channel at once.

use std::error::Error;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use peers::Arguments;
use peers::service::{CLOSE_CODE, Connection, REASON, Refusal, Service};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// By default it is 128 KiB, filled with zeros before each read; the library's documentation
/// advises a small one where connections are many.
const READ_BUFFER_BYTES: usize = 8 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    if arguments.echo {
        return Err("--echo is for fastwebsockets".into());
    }
    let service = Arc::new(Service::from_environment()?);
    peers::serve(arguments.port, |stream| {
        converse(stream, Arc::clone(&service))
    })
    .await?;
    Ok(())
}

async fn converse(
    stream: TcpStream,
    service: Arc<Service<Utf8Bytes>>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    let mut socket =
        tokio_tungstenite::accept_hdr_async_with_config(stream, check, Some(config)).await?;
    let (sender, mut broadcasts) = mpsc::unbounded_channel();
    let mut connection = Connection::new(service, sender);
    loop {
        tokio::select! {
            message = socket.next() => match message.transpose()? {
                Some(Message::Text(text)) => match connection.answer(&text) {
                    Ok(None) => {}
                    Ok(Some(reply)) => socket.send(Message::text(reply)).await?,
                    Err(refusal) => return refuse(socket, refusal).await,
                },
                Some(_) => {}
                None => return Ok(()),
            },
            Some(broadcast) = broadcasts.recv() => {
                socket.send(Message::Text(broadcast)).await?;
            }
        }
    }
}

#[expect(
    clippy::result_large_err,
    reason = "the library's callback is made like this"
)]
fn check(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    if request.uri().path() == "/ws" {
        return Ok(response);
    }
    let mut rejection = ErrorResponse::new(None);
    *rejection.status_mut() = StatusCode::NOT_FOUND;
    Err(rejection)
}

async fn refuse(
    mut socket: WebSocketStream<TcpStream>,
    Refusal(error): Refusal,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    socket.send(Message::text(error)).await?;
    let close = CloseFrame {
        code: CLOSE_CODE.into(),
        reason: REASON.into(),
    };
    Ok(socket.close(Some(close)).await?)
}
