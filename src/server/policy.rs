//! What is derived from the settings, in one place for the server and for the commands.

use crate::config::Config;
use crate::gate::ClaimRules;

/// What the settings ask of a token's claims.
pub fn claim_rules(config: &Config) -> ClaimRules {
    ClaimRules {
        leeway_seconds: config.leeway.as_secs(),
        issuer: config.issuer.clone(),
        audience: config.audience.clone(),
    }
}
