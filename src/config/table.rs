//! The table of settings. The variables, the flags, the help and the documentation's table
//! all come from here.

use std::time::Duration;

use super::Config;
use super::settings::{Arity, Group, Setting};
use super::value::{self, Expected};
use crate::limits;

/// Every setting there is, in the order of the help.
pub const GROUPS: &[Group] = &[
    Group {
        title: "Listening",
        settings: LISTENING,
    },
    Group {
        title: "Users and tokens",
        settings: USERS_AND_TOKENS,
    },
    Group {
        title: "What peers may hold",
        settings: CAPACITY,
    },
    Group {
        title: "How long things may take",
        settings: DEADLINES,
    },
    Group {
        title: "How often things may happen (0 turns a rate or the ban off)",
        settings: RATES,
    },
    Group {
        title: "Proxies in front (for those on a Unix socket, either setting is enough)",
        settings: PROXIES,
    },
    Group {
        title: "The log, on standard error",
        settings: LOG,
    },
];

const LISTENING: &[Setting] = &[
    setting(
        "LISTEN",
        "ADDRESS",
        "127.0.0.1:7420",
        "address and port, or unix:/path; repeatable",
        |config, text| put(&mut config.listen, value::listeners(text)),
    )
    .many(),
    setting(
        "SOCKET_MODE",
        "OCTAL",
        "0660",
        "who may connect to Unix sockets: their mode",
        |config, text| put(&mut config.socket_mode, value::mode(text)),
    ),
    setting(
        "ALLOW_PLAINTEXT",
        "",
        "false",
        "let listeners be reached from elsewhere without TLS",
        |config, text| put(&mut config.allow_plaintext, value::switch(text)),
    )
    .switch(),
    setting(
        "ORIGINS",
        "ORIGIN",
        "",
        "origin of pages that may connect; repeatable",
        |config, text| put(&mut config.origins, value::origins(text)),
    )
    .many(),
    setting(
        "REQUIRE_HANDSHAKE_TOKEN",
        "",
        "false",
        "refuse an upgrade that brings no token",
        |config, text| put(&mut config.require_handshake_token, value::switch(text)),
    )
    .switch(),
];

const USERS_AND_TOKENS: &[Setting] = &[
    setting(
        "DB",
        "FILE",
        "framegate.db",
        "SQLite file of the users",
        |config, text| put(&mut config.database, value::path(text)),
    ),
    setting(
        "PASSWORD_MEMORY",
        "SIZE",
        "19MiB",
        "what one password hash takes (Argon2id)",
        |config, text| {
            put(
                &mut config.password_memory_kib,
                value::size_in_kib(
                    text,
                    limits::PASSWORD_MEMORY_KIB_MIN,
                    limits::PASSWORD_MEMORY_KIB_MAX,
                ),
            )
        },
    ),
    setting(
        "TOKEN_TTL",
        "DURATION",
        "1h",
        "how long a token of ours is good",
        |config, text| {
            put(
                &mut config.token_ttl,
                value::seconds(text, limits::TOKEN_TTL_MS_MIN, limits::TOKEN_TTL_MS_MAX),
            )
        },
    ),
    setting(
        "ISSUER",
        "TEXT",
        "",
        "`iss` that tokens must carry, and ours do",
        |config, text| put(&mut config.issuer, value::claim(text)),
    ),
    setting(
        "AUDIENCE",
        "TEXT",
        "",
        "`aud` that tokens must name, and ours do",
        |config, text| put(&mut config.audience, value::claim(text)),
    ),
    setting(
        "LEEWAY",
        "DURATION",
        "0s",
        "how far the clock of another issuer may be off",
        |config, text| {
            put(
                &mut config.leeway,
                value::seconds(text, 0, limits::LEEWAY_MS_MAX),
            )
        },
    ),
];

const CAPACITY: &[Setting] = &[
    setting(
        "MAX_CONNECTIONS",
        "COUNT",
        "10000",
        "connections in all",
        |config, text| {
            put(
                &mut config.connections_max,
                value::count(text, 1, limits::CONNECTIONS_MAX),
            )
        },
    ),
    setting(
        "MAX_CONNECTIONS_PER_IP",
        "COUNT",
        "256",
        "connections of an address (IPv6: of a /64); 0 is no cap",
        |config, text| {
            put(
                &mut config.connections_per_address_max,
                value::count(text, 0, limits::CONNECTIONS_MAX),
            )
        },
    ),
    setting(
        "MAX_CONNECTIONS_PER_USER",
        "COUNT",
        "32",
        "connections logged in as one user; 0 is no cap",
        |config, text| {
            put(
                &mut config.connections_per_user_max,
                value::count(text, 0, limits::CONNECTIONS_MAX),
            )
        },
    ),
    setting(
        "MAX_PENDING",
        "COUNT",
        "1000",
        "connections not yet logged in",
        |config, text| {
            put(
                &mut config.pending_max,
                value::count(text, 1, limits::CONNECTIONS_MAX),
            )
        },
    ),
    setting(
        "MAX_PENDING_PER_IP",
        "COUNT",
        "64",
        "those of an address; 0 is no cap",
        |config, text| {
            put(
                &mut config.pending_per_address_max,
                value::count(text, 0, limits::CONNECTIONS_MAX),
            )
        },
    ),
    setting(
        "MEMORY",
        "SIZE",
        "32MiB",
        "bytes held for peers, in all",
        |config, text| {
            put(
                &mut config.memory_bytes_max,
                value::size(text, limits::MEMORY_BYTES_MIN, limits::MEMORY_BYTES_MAX),
            )
        },
    ),
    setting(
        "MAX_MESSAGE",
        "SIZE",
        "16KiB",
        "a message",
        |config, text| {
            put(
                &mut config.message_bytes_max,
                value::size(text, limits::MESSAGE_BYTES_MIN, limits::MESSAGE_BYTES_MAX),
            )
        },
    ),
    setting(
        "MAX_MESSAGE_BEFORE_LOGIN",
        "SIZE",
        "8KiB",
        "a message of a connection not yet logged in",
        |config, text| {
            put(
                &mut config.message_before_login_bytes_max,
                value::size(text, limits::MESSAGE_BYTES_MIN, limits::MESSAGE_BYTES_MAX),
            )
        },
    ),
    setting(
        "MAX_OUTBOX",
        "SIZE",
        "256KiB",
        "bytes that wait for one peer",
        |config, text| {
            put(
                &mut config.outbox_bytes_max,
                value::size(text, limits::OUTBOX_BYTES_MIN, limits::OUTBOX_BYTES_MAX),
            )
        },
    ),
];

const DEADLINES: &[Setting] = &[
    setting(
        "HANDSHAKE_TIMEOUT",
        "DURATION",
        "5s",
        "accept to the last byte of the request",
        |config, text| put(&mut config.handshake_timeout, timeout(text)),
    ),
    setting(
        "AUTH_TIMEOUT",
        "DURATION",
        "30s",
        "upgrade to the first valid token",
        |config, text| put(&mut config.auth_timeout, timeout(text)),
    ),
    setting(
        "MESSAGE_TIMEOUT",
        "DURATION",
        "20s",
        "first byte of a message to its last",
        |config, text| put(&mut config.message_timeout, timeout(text)),
    ),
    setting(
        "WRITE_TIMEOUT",
        "DURATION",
        "10s",
        "a peer that takes no byte of what waits for it",
        |config, text| put(&mut config.write_timeout, timeout(text)),
    ),
    setting(
        "PING_INTERVAL",
        "DURATION",
        "30s",
        "silence before a ping",
        |config, text| put(&mut config.ping_interval, timeout(text)),
    ),
    setting(
        "PONG_TIMEOUT",
        "DURATION",
        "10s",
        "a ping without an answer",
        |config, text| put(&mut config.pong_timeout, timeout(text)),
    ),
    setting(
        "LINGER",
        "DURATION",
        "500ms",
        "our last byte to the descriptor's end",
        |config, text| {
            put(
                &mut config.linger,
                value::duration(text, limits::TIMEOUT_MS_MIN, limits::LINGER_MS_MAX),
            )
        },
    ),
];

const RATES: &[Setting] = &[
    setting(
        "RATE",
        "RATE",
        "100/s",
        "frames of a connection, control frames too",
        |config, text| put(&mut config.frame_rate, value::rate(text)),
    ),
    setting(
        "BURST",
        "COUNT",
        "200",
        "frames of a connection at once",
        |config, text| {
            put(
                &mut config.frame_burst,
                value::count(text, 1, limits::RATE_COUNT_MAX),
            )
        },
    ),
    setting(
        "BROADCAST_RATE",
        "RATE",
        "64KiB/s",
        "bytes of one user's messages, before they multiply",
        |config, text| put(&mut config.broadcast_rate, value::byte_rate(text)),
    ),
    setting(
        "BROADCAST_BURST",
        "SIZE",
        "256KiB",
        "bytes of one user's messages at once",
        |config, text| {
            put(
                &mut config.broadcast_burst_bytes,
                value::size(text, 1, limits::BYTE_RATE_MAX),
            )
        },
    ),
    setting(
        "DELIVERY_RATE",
        "RATE",
        "20000/s",
        "messages of one user times their recipients",
        |config, text| put(&mut config.delivery_rate, value::rate(text)),
    ),
    setting(
        "DELIVERY_BURST",
        "COUNT",
        "40000",
        "deliveries of one user's messages at once",
        |config, text| {
            put(
                &mut config.delivery_burst,
                value::count(text, 1, limits::RATE_COUNT_MAX),
            )
        },
    ),
    setting(
        "CONNECT_RATE",
        "RATE",
        "100/s",
        "new connections of an address",
        |config, text| put(&mut config.connect_rate, value::rate(text)),
    ),
    setting(
        "LOGIN_RATE",
        "RATE",
        "10/min",
        "logins of an address, and of an id",
        |config, text| put(&mut config.login_rate, value::rate(text)),
    ),
    setting(
        "BAN_AFTER",
        "COUNT",
        "20",
        "hostile failures a minute before an address is banned",
        |config, text| {
            put(
                &mut config.ban_after,
                value::count(text, 0, limits::RATE_COUNT_MAX),
            )
        },
    ),
    setting(
        "BAN_FOR",
        "DURATION",
        "60s",
        "the first ban; each further one is twice as long, to 1h",
        |config, text| {
            put(
                &mut config.ban_for,
                value::duration(text, limits::BAN_MS_MIN, limits::BAN_MS_MAX),
            )
        },
    ),
    setting(
        "NO_BAN",
        "NETWORKS",
        "",
        "addresses that are never banned, such as 192.0.2.0/24",
        |config, text| put(&mut config.no_ban, value::networks(text)),
    )
    .many(),
];

const PROXIES: &[Setting] = &[
    setting(
        "TRUSTED_PROXIES",
        "NETWORKS",
        "",
        "proxies whose word on the client's address is taken",
        |config, text| put(&mut config.trusted_proxies, value::networks(text)),
    )
    .many(),
    setting(
        "PROXY_PROTOCOL",
        "",
        "false",
        "their connections begin with a PROXY header (version 1 or 2)",
        |config, text| put(&mut config.proxy_protocol, value::switch(text)),
    )
    .switch(),
];

const LOG: &[Setting] = &[
    setting(
        "LOG",
        "LEVEL",
        "info",
        "error, warn, info or debug",
        |config, text| put(&mut config.log_level, value::level(text)),
    ),
    setting(
        "LOG_RATE",
        "RATE",
        "100/s",
        "lines that peers cause; the others are counted",
        |config, text| put(&mut config.log_rate, value::rate(text)),
    ),
];

const fn setting(
    name: &'static str,
    placeholder: &'static str,
    default: &'static str,
    help: &'static str,
    set: fn(&mut Config, &str) -> Result<(), Expected>,
) -> Setting {
    Setting {
        name,
        placeholder,
        default,
        help,
        arity: Arity::One,
        set,
    }
}

fn put<T>(field: &mut T, value: Result<T, Expected>) -> Result<(), Expected> {
    *field = value?;
    Ok(())
}

/// A timeout's range is the same for all.
fn timeout(text: &str) -> Result<Duration, Expected> {
    value::duration(text, limits::TIMEOUT_MS_MIN, limits::TIMEOUT_MS_MAX)
}
