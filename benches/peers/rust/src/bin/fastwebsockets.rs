//! fastwebsockets, upgraded by hyper, with jsonwebtoken: the lean way to have authenticated
//! WebSockets on tokio. A read that was begun must be ended, so a connection's socket is split,
//! and its task both reads and waits for the channel. With `--echo` it is the library's own echo,
//! to which nobody needs a token: what the transport costs by itself.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use fastwebsockets::upgrade::{self, UpgradeFut};
use fastwebsockets::{
    FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError,
    WebSocketRead, WebSocketWrite,
};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use peers::Arguments;
use peers::service::{CLOSE_CODE, Connection, REASON, Refusal, Service};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{self, UnboundedReceiver};

type Reader = WebSocketRead<ReadHalf<TokioIo<Upgraded>>>;
type Writer = Mutex<WebSocketWrite<WriteHalf<TokioIo<Upgraded>>>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { port, echo } = Arguments::parse()?;
    if echo {
        peers::serve(port, |stream| accept(stream, self::echo)).await?;
    } else {
        let service = Arc::new(Service::from_environment()?);
        peers::serve(port, |stream| {
            let service = Arc::clone(&service);
            accept(stream, |upgrade| converse(upgrade, service))
        })
        .await?;
    }
    Ok(())
}

/// Serves HTTP, and hands a WebSocket to a task of its own.
async fn accept<F>(
    stream: TcpStream,
    run: impl FnOnce(UpgradeFut) -> F + Clone,
) -> Result<(), Box<dyn Error + Send + Sync>>
where
    F: Future<Output = Result<(), WebSocketError>> + Send + 'static,
{
    let respond = |mut request: Request<Incoming>| {
        let run = run.clone();
        async move {
            let is_ours = request.uri().path() == "/ws" && upgrade::is_upgrade_request(&request);
            Ok::<_, Infallible>(match upgrade::upgrade(&mut request) {
                _ if !is_ours => status(StatusCode::NOT_FOUND),
                Ok((response, upgrade)) => {
                    tokio::spawn(run(upgrade));
                    response
                }
                Err(_) => status(StatusCode::BAD_REQUEST),
            })
        }
    };
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(respond))
        .with_upgrades()
        .await?;
    Ok(())
}

fn status(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}

async fn echo(upgrade: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgrade.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Text => socket.write_frame(frame).await?,
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}

async fn converse(upgrade: UpgradeFut, service: Arc<Service<Bytes>>) -> Result<(), WebSocketError> {
    let (reader, writer) = upgrade.await?.split(tokio::io::split);
    let writer = Mutex::new(writer);
    let (sender, broadcasts) = mpsc::unbounded_channel();
    let connection = Connection::new(service, sender);
    tokio::select! {
        ended = hear(reader, &writer, connection) => ended,
        ended = tell(broadcasts, &writer) => ended,
    }
}

/// Answers what the client sends.
async fn hear(
    reader: Reader,
    writer: &Writer,
    mut connection: Connection<Bytes>,
) -> Result<(), WebSocketError> {
    let mut reader = FragmentCollectorRead::new(reader);
    loop {
        let frame = reader
            .read_frame(&mut |frame| async move { writer.lock().await.write_frame(frame).await })
            .await?;
        let text = match frame.opcode {
            OpCode::Text => {
                str::from_utf8(&frame.payload).map_err(|_| WebSocketError::InvalidUTF8)?
            }
            OpCode::Close => return Ok(()),
            _ => continue,
        };
        match connection.answer(text) {
            Ok(None) => {}
            Ok(Some(reply)) => send(writer, reply.as_bytes()).await?,
            Err(refusal) => return refuse(writer, refusal).await,
        }
    }
}

/// Passes broadcasts on.
async fn tell(
    mut broadcasts: UnboundedReceiver<Bytes>,
    writer: &Writer,
) -> Result<(), WebSocketError> {
    while let Some(broadcast) = broadcasts.recv().await {
        send(writer, &broadcast).await?;
    }
    Ok(())
}

async fn send(writer: &Writer, text: &[u8]) -> Result<(), WebSocketError> {
    let frame = Frame::text(Payload::Borrowed(text));
    writer.lock().await.write_frame(frame).await
}

async fn refuse(writer: &Writer, Refusal(error): Refusal) -> Result<(), WebSocketError> {
    send(writer, error.as_bytes()).await?;
    let close = Frame::close(CLOSE_CODE, REASON.as_bytes());
    writer.lock().await.write_frame(close).await
}
