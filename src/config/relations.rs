//! How settings bound one another.

use super::error::ConfigError;
use super::value::show_size;
use super::{Config, Listen};
use crate::limits::{CONNECTION_BYTES, MEMORY_RESERVE_PARTS, MESSAGE_OVERHEAD_BYTES_MAX};

/// Checks the settings against one another. A bound that was left to its default follows the
/// one it must not exceed; `is_given` says which were not.
pub(super) fn check(
    config: &mut Config,
    is_given: impl Fn(&str) -> bool,
) -> Result<(), ConfigError> {
    if !is_given("MAX_MESSAGE_BEFORE_LOGIN") {
        lower(
            &mut config.message_before_login_bytes_max,
            config.message_bytes_max,
        );
    }
    if !is_given("MAX_PENDING") {
        lower(&mut config.pending_max, config.connections_max);
    }
    check_counts(config)?;
    check_sizes(config)?;
    check_listeners(config)?;
    check_proxies(config)
}

fn lower(value: &mut usize, max: usize) {
    *value = max.min(*value);
}

fn check_counts(config: &Config) -> Result<(), ConfigError> {
    let (pending, connections) = (config.pending_max, config.connections_max);
    match pending <= connections {
        true => Ok(()),
        false => Err(ConfigError::Relation {
            name: "MAX_PENDING",
            value: pending.to_string(),
            expected: format!("at most MAX_CONNECTIONS, which is {connections}"),
        }),
    }
}

fn check_sizes(config: &Config) -> Result<(), ConfigError> {
    let message = config.message_bytes_max;
    let before_login = config.message_before_login_bytes_max;
    if before_login > message {
        return Err(ConfigError::Relation {
            name: "MAX_MESSAGE_BEFORE_LOGIN",
            value: bytes(before_login),
            expected: format!("at most MAX_MESSAGE, which is {}", bytes(message)),
        });
    }
    let outbox = config.outbox_bytes_max;
    let outbox_min = message + MESSAGE_OVERHEAD_BYTES_MAX;
    if outbox < outbox_min {
        return Err(ConfigError::Relation {
            name: "MAX_OUTBOX",
            value: bytes(outbox),
            expected: format!(
                "at least {}, to hold one message of MAX_MESSAGE, which is {}, and its envelope",
                bytes(outbox_min),
                bytes(message)
            ),
        });
    }
    if config.connections_within_memory() == 0 {
        let reserve_parts = MEMORY_RESERVE_PARTS;
        let peer = 2 * message + MESSAGE_OVERHEAD_BYTES_MAX + outbox + CONNECTION_BYTES;
        let memory_min = (peer * reserve_parts).div_ceil(reserve_parts - 1);
        return Err(ConfigError::Relation {
            name: "MEMORY",
            value: bytes(config.memory_bytes_max),
            expected: format!(
                "at least {}, to hold one peer's MAX_MESSAGE, which is {}, and MAX_OUTBOX, which is {}",
                bytes(memory_min),
                bytes(message),
                bytes(outbox)
            ),
        });
    }
    Ok(())
}

fn bytes(count: usize) -> String {
    show_size(count as u64)
}

/// RFC 6750 §5.3: a bearer token that is read once is a session lost.
fn check_listeners(config: &Config) -> Result<(), ConfigError> {
    let public = config.listen.iter().find(|listen| is_public(listen));
    match public {
        Some(listen) if !config.allow_plaintext => Err(ConfigError::Plaintext {
            listen: listen.to_string(),
        }),
        _ => Ok(()),
    }
}

/// PROXY headers are read from trusted proxies only. On TCP those are named, and without a name
/// the setting would do nothing; a Unix socket's own mode says who may speak.
fn check_proxies(config: &Config) -> Result<(), ConfigError> {
    let tcp = config
        .listen
        .iter()
        .find(|listen| matches!(listen, Listen::Tcp(_)));
    match tcp {
        Some(listen) if config.proxy_protocol && config.trusted_proxies.is_empty() => {
            Err(ConfigError::Relation {
                name: "PROXY_PROTOCOL",
                value: "true".to_owned(),
                expected: format!(
                    "false unless TRUSTED_PROXIES names the proxies that connect to {listen}"
                ),
            })
        }
        _ => Ok(()),
    }
}

fn is_public(listen: &Listen) -> bool {
    match listen {
        Listen::Tcp(address) => !address.ip().to_canonical().is_loopback(),
        Listen::Unix(_) => false,
    }
}
