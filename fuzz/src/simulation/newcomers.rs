//! Those who come: one or many at once, at each of the listeners, by themselves or through a proxy,
//! and while nobody can be accepted.

use std::collections::VecDeque;
use std::iter::repeat_n;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use framegate::internals::server::{ConnectionId, Peer};

use super::actions::{MOMENT, Swarm};
use super::client_bytes::{self, Said, Script};
use super::link::{Link, PeerKind};
use super::sockets::{Failure, LISTENERS};
use super::world::World;

const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const ADDRESSES: u32 = 6;
/// The proxy that is trusted where any is.
const PROXY: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const FAILURES: [Failure; 5] = [
    Failure::NoDescriptor,
    Failure::NoSpare,
    Failure::NoMemory,
    Failure::Lost,
    Failure::NoWatch,
];
/// After what time it is tried again to accept somebody.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

impl World<'_> {
    /// Somebody connects, and may be sent away.
    pub(super) fn connect(
        &mut self,
        address: Ipv4Addr,
        kind: PeerKind,
    ) -> Result<Option<usize>, String> {
        let newest = self.links.last().map(|link| link.id);
        self.come_to_listener(address, kind);
        self.turn()?;
        self.check_newcomers()?;
        let is_new = |link: &&Link| Some(link.id) != newest && link.address == address;
        let index = self.links.iter().rposition(|link| is_new(&link));
        Ok(index.filter(|index| index + 1 == self.links.len()))
    }

    /// Somebody waits at a listener, which says so.
    fn come_to_listener(&mut self, address: Ipv4Addr, kind: PeerKind) {
        let listener = match self.is_harsh {
            true => self.choice.below(LISTENERS as u32) as usize,
            false => 0,
        };
        let peer = self.peer_of(address);
        self.sockets.coming[listener].push_back(peer);
        self.newcomers[listener].push_back((address, kind));
        self.turn.listener_ready(listener);
    }

    /// Who comes from the address. In harsh runs that stands for what the server takes for one as well:
    /// a network of IPv6, or a user of this machine.
    fn peer_of(&mut self, address: Ipv4Addr) -> Peer {
        let has_proxies = !self.config.trusted_proxies.is_empty();
        match self.is_harsh {
            true if address == PROXY && self.choice.chance(30) => Peer::on_unix_socket(None),
            true if address == FIRST_ADDRESS && !has_proxies => Peer::on_unix_socket(Some(1)),
            _ => Peer::from(SocketAddr::from((self.wire_address(address), 1))),
        }
    }

    /// The address as it is seen on the wire: in harsh runs every other one is a network of IPv6.
    fn wire_address(&mut self, address: Ipv4Addr) -> IpAddr {
        let last = address.octets()[3];
        match self.is_harsh && address != PROXY && last.is_multiple_of(2) {
            true => {
                let host = self.choice.below(200) as u16;
                IpAddr::from([0x2001, 0xDB8, last.into(), 0, 0, 0, 0, host])
            }
            false => IpAddr::V4(address),
        }
    }

    /// All who came were accepted, or sent away.
    fn check_newcomers(&self) -> Result<(), String> {
        match self.newcomers.iter().all(VecDeque::is_empty) {
            true => Ok(()),
            false => Err("somebody came and was not accepted".to_owned()),
        }
    }

    /// Somebody comes while there is no descriptor.
    fn shed(&mut self) -> Result<(), String> {
        let before = self.turn.core.connections();
        let peer = Peer::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        self.sockets.coming[0].push_back(peer);
        self.sockets.failures.push_back(Failure::NoDescriptor);
        self.turn.listener_ready(0);
        self.turn()?;
        match self.sockets.coming[0].is_empty() && self.turn.core.connections() <= before {
            true => Ok(()),
            false => Err("somebody was accepted without a descriptor".to_owned()),
        }
    }

    /// There is no descriptor, and nobody comes: it is not tried again.
    fn shed_nobody(&mut self) -> Result<(), String> {
        self.sockets.failures.push_back(Failure::NoDescriptor);
        self.turn.listener_ready(0);
        self.turn()?;
        match self.sockets.failures.is_empty() {
            true => Ok(()),
            false => Err("a listener at which somebody may wait is not asked".to_owned()),
        }
    }

    pub(super) fn somebody_connects(&mut self, swarm: &Swarm) -> Result<(), String> {
        let address = Ipv4Addr::from(0x0A00_0001 + self.choice.below(ADDRESSES));
        let kind = self.choice.pick(&swarm.kinds);
        let is_proxied = !self.config.trusted_proxies.is_empty() && self.choice.chance(50);
        let from = if is_proxied { PROXY } else { address };
        if let Some(index) = self.connect(from, kind)? {
            let request = self.request(index);
            let request = match is_proxied {
                true => self.passed_on(index, address, request),
                false => request,
            };
            self.links[index].say(request);
        }
        Ok(())
    }

    /// More come at once than are accepted in a turn, at each of the listeners.
    pub(super) fn a_crowd_comes(&mut self, swarm: &Swarm) -> Result<(), String> {
        let known: Vec<ConnectionId> = self.links.iter().map(|link| link.id).collect();
        for _ in 0..2 + self.choice.below(12) {
            let address = Ipv4Addr::from(0x0A00_0001 + self.choice.below(ADDRESSES));
            let kind = self.choice.pick(&swarm.kinds);
            self.come_to_listener(address, kind);
        }
        self.turn()?;
        self.check_newcomers()?;
        for index in 0..self.links.len() {
            if !known.contains(&self.links[index].id) {
                let request = self.request(index);
                self.links[index].say(request);
            }
        }
        Ok(())
    }

    /// Somebody comes and cannot be accepted: it is once that can be done again, within the time
    /// after which that is tried.
    pub(super) fn nobody_can_be_accepted(&mut self, swarm: &Swarm) -> Result<(), String> {
        let failure = match self.is_harsh {
            true => self.choice.pick(&FAILURES),
            false => Failure::NoDescriptor,
        };
        if failure == Failure::NoDescriptor {
            return match self.is_harsh && self.choice.chance(30) {
                true => self.shed_nobody(),
                false => self.shed(),
            };
        }
        let times = match failure {
            Failure::NoWatch => 1,
            _ => 1 + self.choice.below(3),
        };
        self.sockets
            .failures
            .extend(repeat_n(failure, times as usize));
        let address = Ipv4Addr::from(0x0A00_0001 + self.choice.below(ADDRESSES));
        let kind = self.choice.pick(&swarm.kinds);
        self.come_to_listener(address, kind);
        self.turn()?;
        if !matches!(failure, Failure::Lost | Failure::NoWatch) {
            self.pass_time(ACCEPT_RETRY * times + MOMENT)?;
        }
        self.check_newcomers()
    }

    /// A request as a proxy passes it on for a client.
    fn passed_on(&mut self, index: usize, client: Ipv4Addr, request: Script) -> Script {
        self.links[index].client = Some(client);
        let address = self.wire_address(client);
        if !self.config.proxy_protocol {
            if self.is_harsh && self.choice.chance(10) {
                return client_bytes::of_bad_client();
            }
            return match self.choice.below(10) {
                // It is none of a proxy's requests: the connection counts for nobody.
                0 => {
                    self.links[index].client = None;
                    request
                }
                1..=4 if address.is_ipv6() => {
                    request.with_field(&format!("Forwarded: for=\"[{address}]:1\"\r\n"))
                }
                1..=4 => request.with_field(&format!("Forwarded: for={address}\r\n")),
                _ => request.with_field(&format!("X-Forwarded-For: {address}\r\n")),
            };
        }
        if self.choice.chance(10) {
            return request.behind(b"PROXY?\r\n", Said::NoClient);
        }
        let line = match address {
            IpAddr::V4(_) => format!("PROXY TCP4 {address} 10.1.0.1 5 6\r\n"),
            IpAddr::V6(_) => format!("PROXY TCP6 {address} 2001:db8::1 5 6\r\n"),
        };
        request.behind(line.as_bytes(), Said::Client)
    }

    fn request(&mut self, index: usize) -> Script {
        let kind = self.links[index].kind;
        let user = self.somebody_real();
        let is_proxied = self.is_proxy(self.links[index].came_from);
        let is_odd = self.is_harsh && !is_proxied && self.choice.chance(30);
        match self.choice.below(10) {
            0 if is_odd => client_bytes::odd_request(&mut self.choice),
            0 if kind != PeerKind::Honest => client_bytes::plain_request(&mut self.choice),
            1 => {
                let is_right = self.choice.chance(70);
                client_bytes::http_login(user, is_right)
            }
            2..=4 => client_bytes::upgrade(None, false),
            _ => {
                let pass = self.pass_for(index, user);
                let is_in_subprotocol = self.choice.chance(50);
                client_bytes::upgrade(Some(pass), is_in_subprotocol)
            }
        }
    }
}
