//! The settings of a run, and what goes wrong in it.

use std::time::Duration;

use framegate::internals::config::Config;
use framegate::internals::limits::{CONNECTION_BYTES, MEMORY_RESERVE_PARTS};

use super::Reads;
use super::arrival::ARRIVAL_BYTES_MAX;
use super::choice::Choice;
use super::people::TOKEN_TTL_SECONDS;

/// Room for all that a deaf peer misses.
const ROOMY_OUTBOX_BYTES_MAX: usize = 64 * 1_024 * 1_024;

/// What goes wrong in a part of the runs only.
pub(super) struct RunKinds {
    /// More goes wrong with those who come and with those who are over.
    pub(super) is_harsh: bool,
    /// What is written to the store is answered later.
    pub(super) is_store_late: bool,
}

/// Small bounds, so that they are met. How it is read may change what is held in memory, and so
/// who goes when that is short, and when a slow reader's turn comes: where reads are cut,
/// there is room enough. Also of which kinds the run is.
pub(super) fn config(choice: &mut Choice<'_>, reads: Reads) -> (Config, RunKinds) {
    let mut config = Config::default();
    config.password_memory_kib = framegate::internals::limits::PASSWORD_MEMORY_KIB_MIN;
    config.token_ttl = Duration::from_secs(TOKEN_TTL_SECONDS);
    config.message_bytes_max = 2_048;
    config.message_before_login_bytes_max = 1_024;
    config.connections_max = choice.pick(&[6, 20, 40]);
    config.pending_max = choice.pick(&[3, 8, 40]).min(config.connections_max);
    config.connections_per_address_max = choice.pick(&[0, 4, 30]);
    config.pending_per_address_max = choice.pick(&[0, 3, 30]);
    config.outbox_bytes_max = choice.pick(&[4_096, 16_384, 262_144]);
    config.connections_per_user_max = choice.pick(&[0, 2, 5, 32]);
    config.broadcast_rate.count = choice.pick(&[0, 500, 64 * 1_024]);
    config.broadcast_burst_bytes = choice.pick(&[1, 2_000, 256 * 1_024]);
    config.delivery_rate.count = choice.pick(&[0, 20, 20_000]);
    config.delivery_burst = choice.pick(&[1, 40, 40_000]);
    // Room for what one peer may hold and for every connection, and for so much more.
    let peer = 2 * config.message_bytes_max + config.outbox_bytes_max + 1_024 + ARRIVAL_BYTES_MAX;
    let needed = peer + config.connections_max * CONNECTION_BYTES;
    let more = choice.pick(&[0, 14 * 1_024, 240 * 1_024, 32 * 1_024 * 1_024]);
    let memory = (needed + more) * MEMORY_RESERVE_PARTS / (MEMORY_RESERVE_PARTS - 1) + 8;
    config.memory_bytes_max = memory;
    if reads != Reads::Whole {
        config.memory_bytes_max = usize::MAX / 2;
        config.outbox_bytes_max = ROOMY_OUTBOX_BYTES_MAX;
    }
    config.frame_burst = choice.pick(&[6, 200, 200]);
    config.ban_after = choice.pick(&[0, 0, 1, 5, 20]);
    config.connect_rate.count = choice.pick(&[0, 0, 100]);
    // One draw for three things: a run that was found before there were such kinds stays as it was.
    let drawn = choice.below(100);
    config.require_handshake_token = drawn < 10;
    let kinds = RunKinds {
        is_harsh: drawn >= 80,
        is_store_late: (60..90).contains(&drawn),
    };
    if drawn >= 95 {
        config.connect_rate.count = 10;
    }
    if choice.chance(30) {
        config.trusted_proxies = "10.1.0.0/16".parse().unwrap_or_default();
        config.proxy_protocol = choice.chance(50);
    }
    config.login_rate.count = choice.pick(&[0, 2, 10, 1_000]);
    let (ping, pong) = choice.pick(&[(30, 10), (4, 2), (4, 2)]);
    config.ping_interval = Duration::from_secs(ping);
    config.pong_timeout = Duration::from_secs(pong);
    (config, kinds)
}
