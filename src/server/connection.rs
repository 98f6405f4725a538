//! What a connection is called, who is at its other end, and how its descriptor ends.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::network::AddressKey;
use crate::wire::ProxyError;

/// Names one connection, for ever: slots are used again, serials are not (before 2³² accepts).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ConnectionId {
    /// Its place in the table, small and dense: what a driver keeps its sockets by.
    pub slot: u32,
    /// Which connection of that slot it is; counts all accepts, and is its name in the log.
    pub serial: u32,
}

/// `3.17`: slot and serial.
impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.serial)
    }
}

/// Reads what its `Debug` shows.
impl FromStr for ConnectionId {
    type Err = ();

    fn from_str(text: &str) -> Result<ConnectionId, ()> {
        let (slot, serial) = text.split_once('.').ok_or(())?;
        Ok(ConnectionId {
            slot: slot.parse().map_err(drop)?,
            serial: serial.parse().map_err(drop)?,
        })
    }
}

/// How a connection's descriptor is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Shut the sending side; the descriptor stays until `Close` or `Reset` follows.
    Fin,
    /// Close the descriptor.
    Close,
    /// Close the descriptor with a reset.
    Reset,
}

/// What the transport below the core says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportNews {
    /// It holds so many bytes, of which the core has yet to be given what they carry.
    Holds(usize),
    /// A PROXY header has come, and names this client; `None` where the proxy speaks for itself.
    Client(Option<Peer>),
    /// What arrived is no PROXY header.
    Failed(ProxyError),
}

/// Who is at the other end, as far as the transport tells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address; `None` for a Unix socket.
    pub address: Option<IpAddr>,
    /// Its port, or 0.
    pub port: u16,
    /// On a Unix socket, the system's number of the user whose process it is, where that is known.
    pub user: Option<u32>,
}

impl Peer {
    /// A peer on a Unix socket.
    pub fn on_unix_socket(user: Option<u32>) -> Peer {
        Peer {
            address: None,
            port: 0,
            user,
        }
    }

    /// What caps, rates and bans count it by.
    pub(crate) fn key(self) -> Option<AddressKey> {
        let address = self.address.map(AddressKey::from);
        address.or(self.user.map(AddressKey::of_user))
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Peer {
        Peer {
            address: Some(address.ip().to_canonical()),
            port: address.port(),
            user: None,
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads what its `Display` shows.
impl FromStr for Peer {
    type Err = ();

    fn from_str(text: &str) -> Result<Peer, ()> {
        match (text, text.strip_prefix("unix:")) {
            ("unix", _) => Ok(Peer::on_unix_socket(None)),
            (_, Some(user)) => {
                let user = user.parse().map_err(drop)?;
                Ok(Peer::on_unix_socket(Some(user)))
            }
            _ => text.parse::<SocketAddr>().map(Peer::from).map_err(drop),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V4(address)) => write!(f, "{address}:{}", self.port),
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            None => match self.user {
                Some(user) => write!(f, "unix:{user}"),
                None => f.write_str("unix"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_and_a_peer_are_read_as_they_are_shown() {
        let id = ConnectionId {
            slot: 3,
            serial: u32::MAX,
        };
        assert_eq!(format!("{id:?}").parse(), Ok(id));
        for bad in ["", "3", "3.", ".17", "3.4294967296", "3.17.1"] {
            assert_eq!(bad.parse::<ConnectionId>(), Err(()), "{bad}");
        }
        for peer in [
            Peer::from(SocketAddr::from(([192, 0, 2, 1], 5_000))),
            Peer::from(SocketAddr::from(([0x2001, 0xDB8, 0, 0, 0, 0, 0, 1], 443))),
            Peer::on_unix_socket(None),
            Peer::on_unix_socket(Some(1_000)),
        ] {
            assert_eq!(peer.to_string().parse(), Ok(peer));
        }
        assert_eq!("unix:x".parse::<Peer>(), Err(()));
    }
}
