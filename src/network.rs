//! IP networks, as settings name them, and what of an address caps and bans count by.
//!
//! An IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) is how a socket that takes both families
//! shows an IPv4 peer. It is judged as that IPv4 address everywhere in here, so that no network
//! and no cap has a second door.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::limits::{ADDRESS_KEY_IPV6_BITS, NETWORKS_MAX, SITE_IPV6_BITS};

const IPV4_BITS: u8 = Ipv4Addr::BITS as u8;
const IPV6_BITS: u8 = Ipv6Addr::BITS as u8;
/// Where the IPv4 address begins in a mapped one.
const MAPPED_BITS: u8 = IPV6_BITS - IPV4_BITS;

/// `64:ff9b::/96` (RFC 6052 §2.1).
const NAT64_PREFIX: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// The addresses that share their leading bits with one address (RFC 4632 §3.1, RFC 4291 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    /// Canonical: never IPv4-mapped. Every bit after `prefix_bits` is zero.
    address: IpAddr,
    /// ≤ the address's own length in bits.
    prefix_bits: u8,
}

impl Network {
    /// True exactly when `address` lies in the network. No IPv4 address lies in an IPv6 network,
    /// `::/0` included.
    pub fn contains(self, address: IpAddr) -> bool {
        truncated(address.to_canonical(), self.prefix_bits) == self.address
    }
}

/// `10.0.0.0/8`, `2001:db8::/32`, or an address alone, which is a network of one.
impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address = address.parse().map_err(|_| NetworkError::Form)?;
        let bits_max = bits(address);
        let prefix_bits = prefix
            .map_or(Some(bits_max), decimal)
            .filter(|prefix_bits| *prefix_bits <= bits_max)
            .ok_or(NetworkError::Prefix { bits_max })?;
        network(address, prefix_bits)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix_bits)
    }
}

fn network(address: IpAddr, prefix_bits: u8) -> Result<Network, NetworkError> {
    let (address, prefix_bits) = match prefix_bits.checked_sub(MAPPED_BITS) {
        Some(behind) if bits(address) > bits(address.to_canonical()) => {
            (address.to_canonical(), behind)
        }
        _ => (address, prefix_bits),
    };
    let network = Network {
        address: truncated(address, prefix_bits),
        prefix_bits,
    };
    match network.address == address {
        true => Ok(network),
        false => Err(NetworkError::HostBits { network }),
    }
}

/// Digits in their shortest form: neither `+8` nor `08`, which `parse` would take.
fn decimal(text: &str) -> Option<u8> {
    let number: u8 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => IPV4_BITS,
        IpAddr::V6(_) => IPV6_BITS,
    }
}

/// The address with all but its first `prefix_bits` cleared; one that is shorter stays as it is.
fn truncated(address: IpAddr, prefix_bits: u8) -> IpAddr {
    let cleared = u32::from(bits(address).saturating_sub(prefix_bits));
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(cleared).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(cleared).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

/// A list of networks, at most [`NETWORKS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// True exactly when `address` lies in one of them. O(n), n ≤ [`NETWORKS_MAX`].
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// True exactly when there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Networks with commas between them.
impl fmt::Display for Networks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(formatter, "{comma}{network}")?;
        }
        Ok(())
    }
}

/// Networks with commas between them, and white space around the commas where one likes.
/// The empty text is none.
impl FromStr for Networks {
    type Err = NetworksError;

    fn from_str(text: &str) -> Result<Networks, NetworksError> {
        if text.trim().is_empty() {
            return Ok(Networks::default());
        }
        if text.split(',').count() > NETWORKS_MAX {
            return Err(NetworksError::TooMany);
        }
        let entries = text.split(',').map(str::trim).enumerate();
        let networks = entries.map(|(index, entry)| {
            let number = index + 1;
            entry
                .parse()
                .map_err(|error| NetworksError::Entry { number, error })
        });
        networks.collect::<Result<_, _>>().map(Networks)
    }
}

/// What caps, rates and bans count an address by: IPv4 whole, IPv6 by its first
/// [`ADDRESS_KEY_IPV6_BITS`], since who has one address of such a subnet has them all. An address
/// that NAT64 made counts by the IPv4 address in it: all of IPv4 stands in one such subnet.
///
/// A peer on a Unix socket has no address; the system's user whose process it is counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressKey(Source);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Source {
    /// Canonical, and without the bits that do not count.
    Address(IpAddr),
    /// The system's number of a user.
    User(u32),
}

impl AddressKey {
    /// The key of a user of the system.
    pub const fn of_user(user: u32) -> AddressKey {
        AddressKey(Source::User(user))
    }

    /// What all of a site share: the first [`SITE_IPV6_BITS`] of an IPv6 address,
    /// anything else as a whole.
    pub fn network(self) -> AddressKey {
        match self.0 {
            Source::Address(address) => {
                AddressKey(Source::Address(truncated(address, SITE_IPV6_BITS)))
            }
            Source::User(_) => self,
        }
    }
}

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> AddressKey {
        let address = address.to_canonical();
        let address = inside_nat64(address).unwrap_or(address);
        AddressKey(Source::Address(truncated(address, ADDRESS_KEY_IPV6_BITS)))
    }
}

/// The IPv4 address in the last 32 bits of one under the well-known prefix (RFC 6052 §2.1, §2.2).
fn inside_nat64(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V6(address) if address.segments()[..6] == NAT64_PREFIX => {
            Some(Ipv4Addr::from_bits(address.to_bits() as u32).into())
        }
        _ => None,
    }
}

/// The first [`SITE_IPV6_BITS`] of an IPv6 address: who has such a site has as many addresses, of
/// those that caps count by, as they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site(IpAddr);

impl AddressKey {
    /// The site the address is of; IPv4 addresses are too few for such.
    pub fn site(self) -> Option<Site> {
        match self.0 {
            Source::Address(address @ IpAddr::V6(_)) => {
                Some(Site(truncated(address, SITE_IPV6_BITS)))
            }
            Source::Address(IpAddr::V4(_)) | Source::User(_) => None,
        }
    }
}

/// `192.0.2.1`, `2001:db8::/64` or `user 1000`.
impl fmt::Display for AddressKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Source::Address(IpAddr::V4(address)) => write!(formatter, "{address}"),
            Source::Address(IpAddr::V6(address)) => {
                write!(formatter, "{address}/{ADDRESS_KEY_IPV6_BITS}")
            }
            Source::User(user) => write!(formatter, "user {user}"),
        }
    }
}

/// Why a text names no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkError {
    /// What stands before the slash is no IP address.
    Form,
    /// What stands after the slash is no number of bits of that address.
    Prefix {
        /// The bits the address has.
        bits_max: u8,
    },
    /// Bits are set after the prefix: either of the two is a slip.
    HostBits {
        /// The network with those bits cleared.
        network: Network,
    },
}

impl fmt::Display for NetworkError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetworkError::Form => formatter.write_str(
                "a network is an IP address, with or without a prefix length, \
                 such as 10.0.0.0/8, 2001:db8::/32 or 127.0.0.1",
            ),
            NetworkError::Prefix { bits_max } => write!(
                formatter,
                "the prefix length must be a whole number from 0 to {bits_max}"
            ),
            NetworkError::HostBits { network } => write!(
                formatter,
                "bits are set behind the prefix; the network would be {network}"
            ),
        }
    }
}

impl std::error::Error for NetworkError {}

/// Why a text is no list of networks. The text itself is never shown: it may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworksError {
    /// One entry is no network.
    Entry {
        /// Its number, counted from one.
        number: usize,
        /// What is wrong with it.
        error: NetworkError,
    },
    /// There are more than [`NETWORKS_MAX`].
    TooMany,
}

impl fmt::Display for NetworksError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetworksError::Entry { number, error } => {
                write!(formatter, "number {number} of them: {error}")
            }
            NetworksError::TooMany => {
                write!(formatter, "more than {NETWORKS_MAX} networks in one list")
            }
        }
    }
}

impl std::error::Error for NetworksError {}

#[cfg(test)]
mod tests;
