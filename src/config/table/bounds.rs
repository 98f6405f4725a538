//! Settings of how much, how long and how often.

use std::time::Duration;

use super::{put, setting};
use crate::config::settings::Setting;
use crate::config::shown;
use crate::config::value::{self, Expected};
use crate::limits;

pub(super) const CAPACITY: &[Setting] = &[
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
    )
    .shown(|config| config.connections_max.to_string()),
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
    )
    .shown(|config| config.connections_per_address_max.to_string()),
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
    )
    .shown(|config| config.connections_per_user_max.to_string()),
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
    )
    .shown(|config| config.pending_max.to_string()),
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
    )
    .shown(|config| config.pending_per_address_max.to_string()),
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
    )
    .shown(|config| config.memory_bytes_max.to_string()),
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
    )
    .shown(|config| config.message_bytes_max.to_string()),
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
    )
    .shown(|config| config.message_before_login_bytes_max.to_string()),
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
    )
    .shown(|config| config.outbox_bytes_max.to_string()),
];

pub(super) const DEADLINES: &[Setting] = &[
    setting(
        "HANDSHAKE_TIMEOUT",
        "DURATION",
        "5s",
        "accept to the last byte of the request",
        |config, text| put(&mut config.handshake_timeout, timeout(text)),
    )
    .shown(|config| shown::millis(config.handshake_timeout)),
    setting(
        "AUTH_TIMEOUT",
        "DURATION",
        "30s",
        "upgrade to the first valid token",
        |config, text| put(&mut config.auth_timeout, timeout(text)),
    )
    .shown(|config| shown::millis(config.auth_timeout)),
    setting(
        "MESSAGE_TIMEOUT",
        "DURATION",
        "20s",
        "first byte of a message to its last",
        |config, text| put(&mut config.message_timeout, timeout(text)),
    )
    .shown(|config| shown::millis(config.message_timeout)),
    setting(
        "WRITE_TIMEOUT",
        "DURATION",
        "10s",
        "a peer that takes no byte of what waits for it",
        |config, text| put(&mut config.write_timeout, timeout(text)),
    )
    .shown(|config| shown::millis(config.write_timeout)),
    setting(
        "PING_INTERVAL",
        "DURATION",
        "30s",
        "silence before a ping",
        |config, text| put(&mut config.ping_interval, timeout(text)),
    )
    .shown(|config| shown::millis(config.ping_interval)),
    setting(
        "PONG_TIMEOUT",
        "DURATION",
        "10s",
        "a ping without an answer",
        |config, text| put(&mut config.pong_timeout, timeout(text)),
    )
    .shown(|config| shown::millis(config.pong_timeout)),
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
    )
    .shown(|config| shown::millis(config.linger)),
];

pub(super) const RATES: &[Setting] = &[
    setting(
        "RATE",
        "RATE",
        "100/s",
        "frames of a connection, control frames too",
        |config, text| put(&mut config.frame_rate, value::rate(text)),
    )
    .shown(|config| shown::rate(config.frame_rate)),
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
    )
    .shown(|config| config.frame_burst.to_string()),
    setting(
        "BROADCAST_RATE",
        "RATE",
        "64KiB/s",
        "bytes of one user's messages, before they multiply",
        |config, text| put(&mut config.broadcast_rate, value::byte_rate(text)),
    )
    .shown(|config| shown::byte_rate(config.broadcast_rate)),
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
    )
    .shown(|config| config.broadcast_burst_bytes.to_string()),
    setting(
        "DELIVERY_RATE",
        "RATE",
        "20000/s",
        "messages of one user times their recipients",
        |config, text| put(&mut config.delivery_rate, value::rate(text)),
    )
    .shown(|config| shown::rate(config.delivery_rate)),
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
    )
    .shown(|config| config.delivery_burst.to_string()),
    setting(
        "CONNECT_RATE",
        "RATE",
        "100/s",
        "new connections of an address",
        |config, text| put(&mut config.connect_rate, value::rate(text)),
    )
    .shown(|config| shown::rate(config.connect_rate)),
    setting(
        "LOGIN_RATE",
        "RATE",
        "10/min",
        "logins of an address, and of an id",
        |config, text| put(&mut config.login_rate, value::rate(text)),
    )
    .shown(|config| shown::rate(config.login_rate)),
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
    )
    .shown(|config| config.ban_after.to_string()),
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
    )
    .shown(|config| shown::millis(config.ban_for)),
    setting(
        "NO_BAN",
        "NETWORKS",
        "",
        "addresses that are never banned, such as 192.0.2.0/24",
        |config, text| put(&mut config.no_ban, value::networks(text)),
    )
    .shown(|config| config.no_ban.to_string())
    .many(),
];

/// A timeout's range is the same for all.
fn timeout(text: &str) -> Result<Duration, Expected> {
    value::duration(text, limits::TIMEOUT_MS_MIN, limits::TIMEOUT_MS_MAX)
}
