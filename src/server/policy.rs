//! What is derived from the settings, in one value: another policy is another value, and no part keeps
//! a copy of what is in it.

use crate::config::{Config, Rate};
use crate::gate::ClaimRules;
use crate::server::parts::bans::BanRule;
use crate::server::parts::rate_limits::RateLimit;

/// The settings, and what follows from them.
pub(crate) struct Policy {
    pub(crate) config: Config,
    /// `LEEWAY`: a connection lives as long as its token would be admitted.
    pub(crate) leeway_seconds: u64,
    /// Frames of a connection.
    pub(crate) frames: RateLimit,
    /// Frames of a user: `RATE` and `BURST`, times as many connections as a user may have.
    pub(crate) user_frames: RateLimit,
    /// Bytes of a user's messages, before they are multiplied.
    pub(crate) broadcast_bytes: RateLimit,
    /// A user's messages times their recipients.
    pub(crate) deliveries: RateLimit,
    /// Connections of an address.
    pub(crate) connects: RateLimit,
    /// Logins of an address, and as an id.
    pub(crate) logins: RateLimit,
    pub(crate) bans: BanRule,
}

impl Policy {
    /// What these settings ask for.
    pub(crate) fn new(config: Config) -> Policy {
        let connections = u32::try_from(config.connections_per_user_max).unwrap_or(u32::MAX);
        let user_rate = Rate {
            count: config.frame_rate.count.saturating_mul(connections),
            ..config.frame_rate
        };
        let user_burst = config.frame_burst.saturating_mul(connections);
        Policy {
            leeway_seconds: config.leeway.as_secs(),
            frames: RateLimit::new(config.frame_rate, config.frame_burst),
            user_frames: RateLimit::new(user_rate, user_burst),
            broadcast_bytes: RateLimit::of_units(
                config.broadcast_rate,
                config.broadcast_burst_bytes,
            ),
            deliveries: RateLimit::of_units(config.delivery_rate, config.delivery_burst),
            connects: RateLimit::new(config.connect_rate, config.connect_rate.count),
            logins: RateLimit::new(config.login_rate, config.login_rate.count),
            bans: BanRule::new(&config),
            config,
        }
    }
}

/// What the settings ask of a token's claims.
pub fn claim_rules(config: &Config) -> ClaimRules {
    ClaimRules {
        leeway_seconds: config.leeway.as_secs(),
        issuer: config.issuer.clone(),
        audience: config.audience.clone(),
    }
}
