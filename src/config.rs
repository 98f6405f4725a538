//! What a person may set: one table of settings, and a [`Config`] that is valid by construction.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
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
    /// `LOGIN_RATE`: of an address, and of an id.
    pub login_rate: Rate,
    /// `BAN_AFTER`: hostile failures a minute; 0 is off.
    pub ban_after: u32,
    /// `BAN_FOR`: the first ban; each further one is twice as long, to an hour.
    pub ban_for: Duration,
}
