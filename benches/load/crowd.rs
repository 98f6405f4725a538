//! Members: connections that are logged in, driven by one thread that waits for nothing.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::contender::{Contender, Framing, Kind, Tokens, user};
use crate::frames::{self, Counter};
use crate::probe::Cpu;

/// Frames made ahead for each member; as many as are ever in flight on one connection.
pub(crate) const FRAMES: usize = 16;
/// A broadcast's text, as it is delivered, in bytes.
const BROADCAST_BYTES: usize = 128;
/// How long a server may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// What members send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// `getUser`, with the member's one token.
    Call,
    /// `getUser`, each frame of a member with another token.
    CallManyTokens,
    /// `message`, to everybody.
    Broadcast,
}

/// Everybody who is logged in on one server.
pub(crate) struct Crowd {
    poll: Poll,
    events: Events,
    members: Vec<Member>,
    scratch: Box<[u8]>,
    /// Answers that came, since the beginning.
    pub(crate) answers: u64,
    /// From the last byte sent to the answers of a read.
    pub(crate) latencies: Histogram<u64>,
}

struct Member {
    stream: TcpStream,
    counter: Counter,
    /// [`FRAMES`] frames twice over, so that any of them in a row lie side by side.
    frames: Vec<u8>,
    frame_bytes: usize,
    pong: Vec<u8>,
    /// Which comes next.
    next: usize,
    /// What the socket did not take.
    unsent: Vec<u8>,
    sent_at: Instant,
}

impl Crowd {
    /// Opens so many connections and logs each in, user by user.
    pub(crate) fn gather(at: &Contender, count: usize, speech: Speech) -> Crowd {
        let poll = Poll::new().expect("the kernel has an event queue");
        let tokens = Tokens::new();
        let mut members = Vec::with_capacity(count);
        for number in 0..count {
            let mut member = Member::join(at, number, speech, &tokens);
            poll.registry()
                .register(&mut member.stream, Token(number), Interest::READABLE)
                .expect("a socket can be watched");
            members.push(member);
        }
        Crowd {
            poll,
            events: Events::with_capacity(1_024),
            members,
            scratch: vec![0; 256 * 1_024].into(),
            answers: 0,
            latencies: histogram(),
        }
    }

    /// A closed loop: so many frames in flight on every connection, for so long. What is in flight
    /// at the end is still answered.
    pub(crate) fn call(&mut self, in_flight: usize, duration: Duration) {
        let until = Instant::now() + duration;
        for index in 0..self.members.len() {
            self.members[index].send(in_flight);
        }
        while Instant::now() < until {
            self.turn(None, |member, answers| member.send(answers));
        }
        let sent = (self.members.len() * in_flight) as u64;
        let drained = self.answers + sent;
        self.wait_for(drained);
    }

    /// A closed loop of broadcasts: so many under way, from a few senders by turns; the next is sent
    /// when a watching member has one. Returns how many were sent.
    pub(crate) fn broadcast(&mut self, in_flight: usize, duration: Duration) -> u64 {
        let until = Instant::now() + duration;
        let watcher = self.members.len() - 1;
        let mut due = in_flight;
        let mut sent = 0;
        let before = self.answers;
        while Instant::now() < until {
            while due > 0 {
                let burst = due.min(FRAMES);
                let sender = sent as usize / FRAMES % self.members.len();
                self.members[sender].send(burst);
                sent += burst as u64;
                due -= burst;
            }
            self.turn(Some((watcher, &mut due)), |_, _| {});
        }
        self.wait_for(before + sent * self.members.len() as u64);
        sent
    }

    /// One broadcast.
    pub(crate) fn broadcast_once(&mut self, sender: usize) {
        self.members[sender].send(1);
    }

    /// One call.
    pub(crate) fn call_once(&mut self, caller: usize) {
        self.members[caller].send(1);
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Takes what has arrived, waiting for nothing; tells `each` who had how many answers.
    pub(crate) fn take(&mut self, mut each: impl FnMut(usize, usize)) {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        self.poll
            .poll(&mut events, Some(Duration::ZERO))
            .expect("the kernel tells what came");
        for event in &events {
            let answers = self.members[event.token().0].read(&mut self.scratch);
            self.answers += answers as u64;
            each(event.token().0, answers);
        }
        self.events = events;
    }

    /// Waits until so many answers came in all.
    pub(crate) fn wait_for(&mut self, answers: u64) {
        let by = Instant::now() + PATIENCE;
        while self.answers < answers {
            self.turn(None, |_, _| {});
            assert!(Instant::now() < by, "{} of {answers} answers", self.answers);
        }
        assert_eq!(self.answers, answers, "more answers than calls");
    }

    /// One wait for events, and what they bring. The answers of a watched member are added up.
    fn turn(&mut self, watched: Option<(usize, &mut usize)>, answer: impl Fn(&mut Member, usize)) {
        let wait = Some(Duration::from_millis(10));
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            result => result.expect("the kernel tells what came"),
        }
        let mut watched = watched;
        for event in &self.events {
            let index = event.token().0;
            let member = &mut self.members[index];
            let answers = member.read(&mut self.scratch);
            if answers == 0 {
                continue;
            }
            self.answers += answers as u64;
            let latency = member.sent_at.elapsed().as_nanos() as u64;
            self.latencies.saturating_record(latency);
            if let Some((watcher, due)) = &mut watched
                && *watcher == index
            {
                **due += answers;
            }
            answer(member, answers);
        }
    }
}

impl Member {
    fn join(at: &Contender, number: usize, speech: Speech, tokens: &Tokens) -> Member {
        let framing = at.kind.framing();
        let mut stream = frames::open(at.address, framing).expect("the server opens a WebSocket");
        let login = frames::text(&speak(
            framing,
            Speech::Call,
            number,
            &tokens.token(number, 0),
        ));
        stream.write_all(&login).expect("the server reads");
        let answer = frames::read_text(&mut stream).expect("the server answers");
        let is_echo = at.kind == Kind::Echo;
        assert!(is_echo || answer.contains("createdAt"), "{answer}");
        stream.set_nonblocking(true).expect("a socket can be");

        let frames = (0..2 * FRAMES).map(|variant| {
            let variant = match speech {
                Speech::CallManyTokens => variant % FRAMES,
                _ => 0,
            };
            frames::text(&speak(
                framing,
                speech,
                number,
                &tokens.token(number, variant),
            ))
        });
        let frames: Vec<Vec<u8>> = frames.collect();
        Member {
            stream: TcpStream::from_std(stream),
            counter: Counter::default(),
            frame_bytes: frames[0].len(),
            frames: frames.concat(),
            pong: frames::pong(framing),
            next: 0,
            unsent: Vec::new(),
            sent_at: Instant::now(),
        }
    }

    fn send(&mut self, count: usize) {
        let count = count.min(FRAMES);
        let start = self.next * self.frame_bytes;
        let bytes = &self.frames[start..start + count * self.frame_bytes];
        self.next = (self.next + count) % FRAMES;
        self.sent_at = Instant::now();
        match self.unsent.is_empty() {
            true => {
                let taken = written(self.stream.write(bytes));
                self.unsent.extend(&bytes[taken..]);
            }
            false => self.unsent.extend(bytes),
        }
    }

    /// Reads what there is; returns how many answers.
    fn read(&mut self, scratch: &mut [u8]) -> usize {
        if !self.unsent.is_empty() {
            let taken = written(self.stream.write(&self.unsent));
            self.unsent.drain(..taken);
        }
        let mut answers = 0;
        loop {
            match self.stream.read(scratch) {
                Ok(0) => panic!("the server ended a connection"),
                Ok(count) => {
                    answers += self.counter.feed(&scratch[..count]);
                    assert!(!self.counter.is_closed, "the server closed a connection");
                    for _ in 0..std::mem::take(&mut self.counter.pings) {
                        written(self.stream.write(&self.pong));
                    }
                    if count < scratch.len() {
                        return answers;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return answers,
                Err(error) => panic!("a connection failed: {error}"),
            }
        }
    }
}

fn written(result: io::Result<usize>) -> usize {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        result => result.expect("the server reads"),
    }
}

/// A member's message, in the server's framing.
fn speak(framing: Framing, speech: Speech, number: usize, token: &str) -> String {
    let filler = BROADCAST_BYTES - r#"{"event":"message","from":"aa","data":""}"#.len();
    let (event, id, data) = match speech {
        Speech::Call | Speech::CallManyTokens => {
            let data = format!(r#"{{"id":"{}"}}"#, user(number % crate::contender::USERS));
            ("getUser", r#""id":1,"#, data)
        }
        Speech::Broadcast => ("message", "", format!("\"{}\"", "x".repeat(filler))),
    };
    match framing {
        Framing::Plain => {
            format!(r#"{{"token":"{token}","event":"{event}",{id}"data":{data}}}"#)
        }
        Framing::SocketIo => {
            format!(r#"42["{event}",{{"token":"{token}",{id}"data":{data}}}]"#)
        }
    }
}

/// Of nanoseconds, up to a minute.
pub(crate) fn histogram() -> Histogram<u64> {
    let minute = 60_000_000_000;
    Histogram::new_with_max(minute, 3).expect("three digits are few")
}

/// What a server spent on `count` operations, each, in microseconds.
pub(crate) fn each_micros(spent: Cpu, count: u64) -> (f64, f64) {
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    (each(spent.user()), each(spent.total()))
}
