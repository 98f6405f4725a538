//! Settings as texts that set them again: what a recording holds of them.

use std::time::Duration;

use super::{Config, ConfigError, Flags, Listen, Rate, load, settings};

impl Config {
    /// Every setting that the core knows, by name.
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        let shown = settings().filter_map(|setting| Some((setting.name, setting.show?(self))));
        shown.collect()
    }

    /// The settings that the texts set; every other is at its default.
    ///
    /// # Errors
    /// When a text does not set its setting. A name that is none is passed over.
    pub fn from_shown(texts: &[(String, String)]) -> Result<Config, ConfigError> {
        let mut flags = Flags::default();
        for (name, text) in texts {
            if let Some(setting) = settings().find(|setting| setting.name == name) {
                flags.set(&setting.flag(), setting, text)?;
            }
        }
        load(&flags, [], None).map(|(config, _)| config)
    }
}

pub(super) fn millis(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

pub(super) fn text(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}

pub(super) fn listeners(listeners: &[Listen]) -> String {
    let shown: Vec<_> = listeners.iter().map(Listen::to_string).collect();
    shown.join(",")
}

pub(super) fn rate(rate: Rate) -> String {
    let unit = match rate.period.as_secs() {
        60 => "min",
        _ => "s",
    };
    format!("{}/{unit}", rate.count)
}

pub(super) fn byte_rate(rate: Rate) -> String {
    format!("{}/s", rate.count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings that mean nothing to the core: its files, its log.
    const OTHERS: &[&str] = &["SOCKET_MODE", "DB", "LOG", "LOG_RATE"];

    fn set(texts: &[(&str, &str)]) -> Config {
        let texts: Vec<_> = texts
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        Config::from_shown(&texts).expect("good settings")
    }

    #[test]
    fn a_proxy_that_spoke_on_a_unix_socket_is_read_again() {
        let on_a_unix_socket = [
            ("LISTEN", "unix:/run/gate.sock"),
            ("PROXY_PROTOCOL", "true"),
        ];
        assert!(set(&on_a_unix_socket).proxy_protocol);
    }

    #[test]
    fn every_setting_of_the_core_is_shown() {
        let shown = Config::default().shown();
        for setting in settings() {
            let is_shown = shown.iter().any(|(name, _)| *name == setting.name);
            assert_ne!(is_shown, OTHERS.contains(&setting.name), "{setting:?}");
        }
        assert_eq!(shown.len() + OTHERS.len(), settings().count());
    }

    /// Each with a value other than its default.
    const CHANGED: &[(&str, &str)] = &[
        ("LISTEN", "0.0.0.0:7420,unix:/run/gate.sock"),
        ("ALLOW_PLAINTEXT", "true"),
        ("ORIGINS", "https://a.example,http://b.example:8080"),
        ("REQUIRE_HANDSHAKE_TOKEN", "true"),
        ("PASSWORD_MEMORY", "64KiB"),
        ("TOKEN_TTL", "90s"),
        ("ISSUER", "https://issuer.example/"),
        ("AUDIENCE", "b, c"),
        ("LEEWAY", "7s"),
        ("MAX_CONNECTIONS", "77"),
        ("MAX_CONNECTIONS_PER_IP", "6"),
        ("MAX_CONNECTIONS_PER_USER", "4"),
        ("MAX_PENDING", "33"),
        ("MAX_PENDING_PER_IP", "5"),
        ("MEMORY", "1000000"),
        ("MAX_MESSAGE", "5000"),
        ("MAX_MESSAGE_BEFORE_LOGIN", "4000"),
        ("MAX_OUTBOX", "70000"),
        ("HANDSHAKE_TIMEOUT", "11ms"),
        ("AUTH_TIMEOUT", "12ms"),
        ("MESSAGE_TIMEOUT", "13ms"),
        ("WRITE_TIMEOUT", "14ms"),
        ("PING_INTERVAL", "15ms"),
        ("PONG_TIMEOUT", "16ms"),
        ("LINGER", "17ms"),
        ("RATE", "0"),
        ("BURST", "9"),
        ("BROADCAST_RATE", "3KiB/s"),
        ("BROADCAST_BURST", "5KiB"),
        ("DELIVERY_RATE", "6/s"),
        ("DELIVERY_BURST", "12"),
        ("CONNECT_RATE", "8/min"),
        ("LOGIN_RATE", "7/s"),
        ("BAN_AFTER", "3"),
        ("BAN_FOR", "2s"),
        ("NO_BAN", "192.0.2.0/24, 2001:db8::/32"),
        ("TRUSTED_PROXIES", "10.0.0.1"),
        ("PROXY_PROTOCOL", "true"),
    ];

    #[test]
    fn what_is_shown_sets_the_same_again() {
        let config = set(CHANGED);
        let (before, defaults) = (config.shown(), Config::default().shown());
        let texts: Vec<(&str, &str)> = before.iter().map(|(n, text)| (*n, &**text)).collect();
        assert_eq!(set(&texts).shown(), before);
        for ((name, value), (_, default)) in before.iter().zip(&defaults) {
            assert_ne!(value, default, "{name}");
        }
    }
}
