//! What a person may set: one table of settings, and a [`Config`] that is valid by construction.
//!
//! ```text
//! flags ─▶ environment ─▶ .env ─▶ defaults        the first that names a setting decides,
//!    └──────────┴──────────┴────────┴─▶ Config    and each value given is checked
//! ```
//!
//! Nothing here reads the environment or a file: what is in them comes in as arguments.

mod constraints;
mod env_file;
mod error;
mod settings;
mod shown;
mod sources;
mod suggest;
mod table;
mod value;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;

use crate::limits::{CONNECTION_BYTES, MEMORY_RESERVE_PARTS, MESSAGE_OVERHEAD_BYTES_MAX};
use crate::network::Networks;

pub use env_file::EnvFile;
pub use error::{ConfigError, EnvFileFault, Origin};
pub use settings::{Arity, Group, Setting, by_flag, settings};
pub use sources::{CURRENT_SECRET, Flags, GivenSecret, PREVIOUS_SECRET, Secrets, load};
pub use suggest::suggest;
pub use table::GROUPS;
pub use value::show_size;

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => address.fmt(f),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A rate: `count` in each `period`. A count of zero turns the bound off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long.
    pub period: Duration,
}

/// Every setting but the secrets, checked one by one and against one another.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// `LISTEN`: at least one.
    pub listen: Vec<Listen>,
    /// `SOCKET_MODE`: the mode of Unix sockets; at most 0777.
    pub socket_mode: u32,
    /// `ALLOW_PLAINTEXT`: a listener may be other than loopback without TLS.
    pub allow_plaintext: bool,
    /// `DB`: the SQLite file of users.
    pub database: PathBuf,
    /// `TOKEN_TTL`: how long a token we mint lives; whole seconds, at least one.
    pub token_ttl: Duration,
    /// `ISSUER`: the `iss` a token must carry, and ours do.
    pub issuer: Option<String>,
    /// `AUDIENCE`: the `aud` a token must name, and ours do.
    pub audience: Option<String>,
    /// `LEEWAY`: how far another's clock may be off; whole seconds.
    pub leeway: Duration,
    /// `ORIGINS`: the origins a browser's page may come from, besides the server's own.
    pub origins: Vec<String>,
    /// `REQUIRE_HANDSHAKE_TOKEN`: an upgrade without a token is refused.
    pub require_handshake_token: bool,
    /// `PASSWORD_MEMORY`: what one Argon2id hash takes, in KiB.
    pub password_memory_kib: u32,

    /// `MAX_CONNECTIONS`.
    pub connections_max: usize,
    /// `MAX_CONNECTIONS_PER_IP`; 0 is no cap.
    pub connections_per_address_max: usize,
    /// `MAX_CONNECTIONS_PER_USER`; 0 is no cap.
    pub connections_per_user_max: usize,
    /// `MAX_PENDING`: connections not yet logged in.
    pub pending_max: usize,
    /// `MAX_PENDING_PER_IP`; 0 is no cap.
    pub pending_per_address_max: usize,
    /// `MEMORY`: bytes held for peers, in all.
    pub memory_bytes_max: usize,
    /// `MAX_MESSAGE`: a message of a logged-in connection, in bytes.
    pub message_bytes_max: usize,
    /// `MAX_MESSAGE_BEFORE_LOGIN`: any other message, in bytes; ≤ `message_bytes_max`.
    pub message_before_login_bytes_max: usize,
    /// `MAX_OUTBOX`: bytes waiting for one peer.
    pub outbox_bytes_max: usize,

    /// `HANDSHAKE_TIMEOUT`: accept to the last byte of the head (and of a body).
    pub handshake_timeout: Duration,
    /// `AUTH_TIMEOUT`: upgrade to the first valid token.
    pub auth_timeout: Duration,
    /// `MESSAGE_TIMEOUT`: a message's first byte to its last.
    pub message_timeout: Duration,
    /// `WRITE_TIMEOUT`: no byte taken while some wait.
    pub write_timeout: Duration,
    /// `PING_INTERVAL`: silence before we ask.
    pub ping_interval: Duration,
    /// `PONG_TIMEOUT`: how long the answer may take.
    pub pong_timeout: Duration,
    /// `LINGER`: our FIN to the descriptor's end, at the most.
    pub linger: Duration,

    /// `RATE`: frames of a connection, control frames too.
    pub frame_rate: Rate,
    /// `BURST`: frames at once.
    pub frame_burst: u32,
    /// `BROADCAST_RATE`: bytes of one user's messages.
    pub broadcast_rate: Rate,
    /// `BROADCAST_BURST`: such bytes at once.
    pub broadcast_burst_bytes: u32,
    /// `DELIVERY_RATE`: deliveries of one user's messages, one for each recipient.
    pub delivery_rate: Rate,
    /// `DELIVERY_BURST`: such deliveries at once.
    pub delivery_burst: u32,
    /// `CONNECT_RATE`: new connections of an address.
    pub connect_rate: Rate,
    /// `LOGIN_RATE`: of an address, and of an id.
    pub login_rate: Rate,
    /// `BAN_AFTER`: hostile failures a minute; 0 is off.
    pub ban_after: u32,
    /// `BAN_FOR`: the first ban; each further one is twice as long, to an hour.
    pub ban_for: Duration,

    /// `NO_BAN`: networks whose addresses are never banned.
    pub no_ban: Networks,

    /// `TRUSTED_PROXIES`: networks whose connections speak for other clients.
    pub trusted_proxies: Networks,
    /// `PROXY_PROTOCOL`: a trusted proxy's connection begins with a PROXY header.
    pub proxy_protocol: bool,

    /// `LOG`: the least urgent level that is logged.
    pub log_level: LevelFilter,
    /// `LOG_RATE`: lines of the log; what is over is counted and dropped.
    pub log_rate: Rate,
}

impl Config {
    /// How many connections `MEMORY` has room for, beside one message that is put together, one
    /// outbox that is full, and a reserve.
    pub fn connections_within_memory(&self) -> usize {
        let message = 2 * self.message_bytes_max + MESSAGE_OVERHEAD_BYTES_MAX;
        let reserve = self.memory_bytes_max / MEMORY_RESERVE_PARTS;
        let taken = message + self.outbox_bytes_max + reserve;
        self.memory_bytes_max.saturating_sub(taken) / CONNECTION_BYTES
    }
}

impl Default for Config {
    /// Every setting as the table has it.
    fn default() -> Config {
        let mut config = unset();
        for setting in settings() {
            // A test takes every default; none is refused.
            let _ = setting.set(&mut config, setting.default);
        }
        config
    }
}

/// No setting set: what [`Config::default`] fills, field by field, from the table.
fn unset() -> Config {
    const NONE: Rate = Rate {
        count: 0,
        period: Duration::ZERO,
    };
    Config {
        listen: Vec::new(),
        socket_mode: 0,
        allow_plaintext: false,
        database: PathBuf::new(),
        token_ttl: Duration::ZERO,
        issuer: None,
        audience: None,
        leeway: Duration::ZERO,
        origins: Vec::new(),
        require_handshake_token: false,
        password_memory_kib: 0,
        connections_max: 0,
        connections_per_address_max: 0,
        connections_per_user_max: 0,
        pending_max: 0,
        pending_per_address_max: 0,
        memory_bytes_max: 0,
        message_bytes_max: 0,
        message_before_login_bytes_max: 0,
        outbox_bytes_max: 0,
        handshake_timeout: Duration::ZERO,
        auth_timeout: Duration::ZERO,
        message_timeout: Duration::ZERO,
        write_timeout: Duration::ZERO,
        ping_interval: Duration::ZERO,
        pong_timeout: Duration::ZERO,
        linger: Duration::ZERO,
        frame_rate: NONE,
        frame_burst: 0,
        broadcast_rate: NONE,
        broadcast_burst_bytes: 0,
        delivery_rate: NONE,
        delivery_burst: 0,
        connect_rate: NONE,
        login_rate: NONE,
        ban_after: 0,
        ban_for: Duration::ZERO,
        no_ban: Networks::default(),
        trusted_proxies: Networks::default(),
        proxy_protocol: false,
        log_level: LevelFilter::Off,
        log_rate: NONE,
    }
}

#[cfg(test)]
mod tests;
