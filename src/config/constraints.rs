//! How settings bound one another.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::error::{ConfigError, Origin, source};
use super::value::show_size;
use super::{Config, Listen};
use crate::limits::{CONNECTION_BYTES, MEMORY_RESERVE_PARTS, MESSAGE_OVERHEAD_BYTES_MAX};

/// Checks the settings against one another. A bound that was left to its default follows the
/// one it must not exceed; `origins` says which were given, and where.
pub(super) fn check(config: &mut Config, origins: &Origins) -> Result<(), ConfigError> {
    if !origins.contains_key("MAX_MESSAGE_BEFORE_LOGIN") {
        lower(
            &mut config.message_before_login_bytes_max,
            config.message_bytes_max,
        );
    }
    if !origins.contains_key("MAX_PENDING") {
        lower(&mut config.pending_max, config.connections_max);
    }
    check_counts(config, origins)?;
    check_sizes(config, origins)?;
    check_listeners(config, origins)?;
    check_proxies(config, origins)
}

/// Where each setting that was given has its value from.
pub(super) type Origins = BTreeMap<&'static str, Origin>;

fn refusal(origins: &Origins, name: &'static str, value: String, expected: String) -> ConfigError {
    ConfigError::Relation {
        name,
        value,
        origin: origins.get(name).cloned(),
        expected,
    }
}

/// Another setting that an error speaks of, with its value and where that comes from.
fn told(origins: &Origins, name: &str, value: impl Display) -> String {
    format!("{name}, which is {value}{}", source(origins.get(name)))
}

fn lower(value: &mut usize, max: usize) {
    *value = max.min(*value);
}

fn check_counts(config: &Config, origins: &Origins) -> Result<(), ConfigError> {
    let (pending, connections) = (config.pending_max, config.connections_max);
    match pending <= connections {
        true => Ok(()),
        false => Err(refusal(
            origins,
            "MAX_PENDING",
            pending.to_string(),
            format!("at most {}", told(origins, "MAX_CONNECTIONS", connections)),
        )),
    }
}

fn check_sizes(config: &Config, origins: &Origins) -> Result<(), ConfigError> {
    let message = config.message_bytes_max;
    let told_message = || told(origins, "MAX_MESSAGE", bytes(message));
    let before_login = config.message_before_login_bytes_max;
    if before_login > message {
        return Err(refusal(
            origins,
            "MAX_MESSAGE_BEFORE_LOGIN",
            bytes(before_login),
            format!("at most {}", told_message()),
        ));
    }
    let outbox = config.outbox_bytes_max;
    let outbox_min = message + MESSAGE_OVERHEAD_BYTES_MAX;
    if outbox < outbox_min {
        return Err(refusal(
            origins,
            "MAX_OUTBOX",
            bytes(outbox),
            format!(
                "at least {}, to hold one message of {}, and its envelope",
                bytes(outbox_min),
                told_message()
            ),
        ));
    }
    if config.connections_within_memory() == 0 {
        let reserve_parts = MEMORY_RESERVE_PARTS;
        let peer = 2 * message + MESSAGE_OVERHEAD_BYTES_MAX + outbox + CONNECTION_BYTES;
        let memory_min = (peer * reserve_parts).div_ceil(reserve_parts - 1);
        return Err(refusal(
            origins,
            "MEMORY",
            bytes(config.memory_bytes_max),
            format!(
                "at least {}, to hold one peer's {}, and {}",
                bytes(memory_min),
                told_message(),
                told(origins, "MAX_OUTBOX", bytes(outbox))
            ),
        ));
    }
    Ok(())
}

fn bytes(count: usize) -> String {
    show_size(count as u64)
}

/// RFC 6750 §5.3: a bearer token that is read once is a session lost.
fn check_listeners(config: &Config, origins: &Origins) -> Result<(), ConfigError> {
    let public = config.listen.iter().find(|listen| is_public(listen));
    match public {
        Some(listen) if !config.allow_plaintext => Err(ConfigError::Plaintext {
            listen: listen.to_string(),
            origin: origins.get("LISTEN").cloned(),
        }),
        _ => Ok(()),
    }
}

/// PROXY headers are read from trusted proxies only. On TCP those are named, and without a name
/// the setting would do nothing; a Unix socket's own mode says who may speak.
fn check_proxies(config: &Config, origins: &Origins) -> Result<(), ConfigError> {
    let tcp = config
        .listen
        .iter()
        .find(|listen| matches!(listen, Listen::Tcp(_)));
    match tcp {
        Some(listen) if config.proxy_protocol && config.trusted_proxies.is_empty() => Err(refusal(
            origins,
            "PROXY_PROTOCOL",
            "true".to_owned(),
            format!("false unless TRUSTED_PROXIES names the proxies that connect to {listen}"),
        )),
        _ => Ok(()),
    }
}

fn is_public(listen: &Listen) -> bool {
    match listen {
        Listen::Tcp(address) => !address.ip().to_canonical().is_loopback(),
        Listen::Unix(_) => false,
    }
}
