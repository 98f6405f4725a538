//! Strangers: a few at a time, they come, do what they came for, and go; then the next come.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use crate::contender::{Contender, Framing, Tokens, forged};
use crate::frames::{self, Counter};

/// What strangers come for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// To upgrade and send a forged token, until the server has closed.
    Forge,
    /// To upgrade; the server lets nobody of their address in.
    BeReset,
    /// To send the head of a request a byte at a time.
    Drip,
}

/// Visitors who are heard in a turn of few.
const FEW_STEPS: usize = 2;
/// How long between two bytes that drip.
const DRIP_INTERVAL: Duration = Duration::from_millis(200);

pub(crate) struct Visits {
    address: SocketAddr,
    framing: Framing,
    aim: Aim,
    poll: Poll,
    events: Events,
    visitors: Vec<Visitor>,
    upgrade: Vec<u8>,
    forgery: Vec<u8>,
    scratch: Box<[u8]>,
    /// Others who come meanwhile.
    others: Option<Box<Visits>>,
    /// Visits that ended as they must.
    pub(crate) done: u64,
    /// Visits that ended otherwise.
    pub(crate) odd: u64,
}

struct Visitor {
    stream: TcpStream,
    stage: Stage,
    counter: Counter,
    dripped: usize,
    drip_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    /// The head was sent, and its answer not yet seen to the end.
    Upgrading,
    /// The forged frame was sent.
    Forging,
    /// The server's Close was answered.
    Closing,
}

/// How a visit goes on.
enum Step {
    Wait,
    Done,
    Odd,
}

impl Visits {
    /// So many at a time.
    pub(crate) fn new(at: &Contender, aim: Aim, at_a_time: usize) -> Visits {
        let framing = at.kind.framing();
        let token = forged(&Tokens::new().token(0, 0));
        let text = match framing {
            Framing::Plain => {
                format!(r#"{{"token":"{token}","event":"getUser","id":1,"data":{{"id":"aa"}}}}"#)
            }
            Framing::SocketIo => {
                format!(r#"42["getUser",{{"token":"{token}","id":1,"data":{{"id":"aa"}}}}]"#)
            }
        };
        let mut forgery = frames::text(&text);
        if framing == Framing::SocketIo {
            forgery.splice(0..0, frames::text("40"));
        }
        let mut visits = Visits {
            address: at.address,
            framing,
            aim,
            poll: Poll::new().expect("the kernel has an event queue"),
            events: Events::with_capacity(256),
            visitors: Vec::new(),
            upgrade: frames::upgrade(at.address, framing).into(),
            forgery,
            scratch: vec![0; 64 * 1_024].into(),
            others: None,
            done: 0,
            odd: 0,
        };
        for number in 0..at_a_time {
            let visitor = visits.arrive(number);
            visits.visitors.push(visitor);
        }
        visits
    }

    /// Takes few steps in a turn: whoever turns to others between turns is kept from them for
    /// microseconds only.
    pub(crate) fn take_few_steps(&mut self) {
        self.events = Events::with_capacity(FEW_STEPS);
    }

    /// Has others come meanwhile.
    pub(crate) fn visit_with(&mut self, others: Visits) {
        self.others = Some(Box::new(others));
    }

    /// Goes on for so long, with newcomers: who stood there meanwhile has been too slow.
    pub(crate) fn run(&mut self, duration: Duration) {
        for number in 0..self.visitors.len() {
            self.replace(number);
        }
        let until = Instant::now() + duration;
        while Instant::now() < until {
            self.turn(Duration::from_millis(10));
        }
    }

    /// Takes what came, after waiting for so long at most.
    pub(crate) fn turn(&mut self, wait: Duration) {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        match self.poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
            result => result.expect("the kernel tells what came"),
        }
        for event in &events {
            let number = event.token().0;
            match self.step(number, event) {
                Step::Wait => continue,
                Step::Done => self.done += 1,
                Step::Odd => self.odd += 1,
            }
            self.replace(number);
        }
        self.events = events;
        if self.aim == Aim::Drip {
            self.drip();
        }
        if let Some(others) = &mut self.others {
            others.turn(Duration::ZERO);
        }
    }

    fn replace(&mut self, number: usize) {
        let next = self.arrive(number);
        let gone = std::mem::replace(&mut self.visitors[number], next);
        // Neither side keeps a port for who has gone.
        let _ = SockRef::from(&gone.stream).set_linger(Some(Duration::ZERO));
    }

    fn arrive(&self, number: usize) -> Visitor {
        let mut stream = TcpStream::connect(self.address).expect("a port is free");
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(number), interest)
            .expect("a socket can be watched");
        Visitor {
            stream,
            stage: Stage::Connecting,
            counter: Counter::default(),
            dripped: 0,
            drip_at: Instant::now() + DRIP_INTERVAL,
        }
    }

    fn step(&mut self, number: usize, event: &Event) -> Step {
        let visitor = &mut self.visitors[number];
        if event.is_error() {
            return self.ended_at(number);
        }
        if visitor.stage == Stage::Connecting {
            visitor.stage = Stage::Upgrading;
            if self.aim != Aim::Drip && visitor.stream.write(&self.upgrade).is_err() {
                return self.ended();
            }
        }
        // No read that brings nothing: it is the load that limits how many come.
        if !event.is_readable() && !event.is_read_closed() {
            return Step::Wait;
        }
        loop {
            let visitor = &mut self.visitors[number];
            match visitor.stream.read(&mut self.scratch) {
                Ok(0) => return self.ended_at(number),
                Ok(count) => {
                    if let Some(step) = self.take(number, count) {
                        return step;
                    }
                    if count < self.scratch.len() && !event.is_read_closed() {
                        return Step::Wait;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::Wait,
                Err(_) => return self.ended_at(number),
            }
        }
    }

    /// What the server said.
    fn take(&mut self, number: usize, count: usize) -> Option<Step> {
        let visitor = &mut self.visitors[number];
        let bytes = &self.scratch[..count];
        match visitor.stage {
            Stage::Upgrading if self.aim == Aim::Forge => {
                let head_end = bytes.windows(4).position(|end| end == b"\r\n\r\n")?;
                if !bytes.starts_with(b"HTTP/1.1 101") {
                    return Some(Step::Odd);
                }
                visitor.stage = Stage::Forging;
                visitor.counter.feed(&bytes[head_end + 4..]);
                if visitor.stream.write(&self.forgery).is_err() {
                    return Some(Step::Odd);
                }
            }
            Stage::Forging => {
                visitor.counter.feed(bytes);
                if visitor.counter.is_closed {
                    visitor.stage = Stage::Closing;
                    // RFC 6455 §5.5.1: a Close is answered; who ended already does not hear it.
                    let _ = visitor.stream.write(&frames::close());
                }
            }
            Stage::Closing => {}
            Stage::Connecting | Stage::Upgrading => return Some(Step::Odd),
        }
        None
    }

    fn ended_at(&self, number: usize) -> Step {
        let stage = self.visitors[number].stage;
        // Socket.IO ends without a WebSocket's Close.
        let was_told = match self.framing {
            Framing::Plain => stage == Stage::Closing,
            Framing::SocketIo => matches!(stage, Stage::Forging | Stage::Closing),
        };
        match self.aim == Aim::Forge && !was_told {
            true => Step::Odd,
            false => Step::Done,
        }
    }

    fn ended(&self) -> Step {
        match self.aim {
            Aim::BeReset | Aim::Drip => Step::Done,
            Aim::Forge => Step::Odd,
        }
    }

    fn drip(&mut self) {
        let now = Instant::now();
        for visitor in &mut self.visitors {
            if visitor.stage == Stage::Upgrading && visitor.drip_at <= now {
                visitor.drip_at = now + DRIP_INTERVAL;
                let byte = &self.upgrade[visitor.dripped..][..1];
                visitor.dripped = (visitor.dripped + 1).min(self.upgrade.len() - 5);
                let _ = visitor.stream.write(byte);
            }
        }
    }
}
