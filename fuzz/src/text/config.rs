//! What a person may set, by flags, environment and `.env`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use zeroize::Zeroizing;

use super::secret::assert_secret;
use framegate::internals::config::{
    self, CURRENT_SECRET, Config, ConfigError, EnvFile, EnvFileFault, Flags, Listen,
    PREVIOUS_SECRET, Rate, Secrets, Setting, by_flag,
};
use framegate::internals::limits;

/// What was given is refused in one line that names what is wrong and shows no secret, or it
/// makes a configuration in which every bound and every relation holds; and that is the one
/// which the deciding values make alone.
///
/// An input is lines. Up to a blank line each is a flag, when it begins with `--`, or an
/// assignment of the environment; after it they are those of the `.env` file.
pub fn config(input: &[u8]) {
    let given = Given::of(input);
    let outcome = given.load();
    assert_env_file_error(&given, &outcome);
    match outcome {
        Ok((config, secrets)) => {
            assert_bounds(&config);
            assert_relations(&config);
            assert_secrets(&given, &secrets);
            assert_decided(&given, &config);
        }
        Err(error) => assert_told(&error),
    }
}

/// Where an input stands for what a person wrote.
struct Given<'i> {
    /// The flags, each with its value; a flag that is no setting's is left out.
    flags: Vec<(&'i str, &'static Setting, &'i str)>,
    environment: Vec<(&'i [u8], &'i [u8])>,
    env_file: Option<String>,
}

impl<'i> Given<'i> {
    fn of(input: &'i [u8]) -> Given<'i> {
        let (mut flags, mut environment) = (Vec::new(), Vec::new());
        let mut rest = input;
        while !rest.is_empty() && !rest.starts_with(b"\n") {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, behind) = rest.split_at(end.unwrap_or(rest.len()));
            rest = behind.strip_prefix(b"\n").unwrap_or(behind);
            match flag(line) {
                Some(flag) => flags.push(flag),
                None => environment.extend(split(line, b'=')),
            }
        }
        let env_file = rest.strip_prefix(b"\n");
        Given {
            flags,
            environment,
            env_file: env_file.map(|text| String::from_utf8_lossy(text).into_owned()),
        }
    }

    fn load(&self) -> Result<(Config, Secrets), ConfigError> {
        self.load_with(self.env_file.as_deref())
    }

    fn load_with(&self, env_file: Option<&str>) -> Result<(Config, Secrets), ConfigError> {
        let mut flags = Flags::default();
        for (flag, setting, value) in &self.flags {
            flags.set(flag, setting, value)?;
        }
        let file = env_file.map(|text| EnvFile {
            path: ".env".into(),
            text: Zeroizing::new(text.to_owned()),
        });
        let environment = self
            .environment
            .iter()
            .map(|(name, value)| (os(name), os(value)));
        config::load(&flags, environment, file.as_ref())
    }
}

/// `--flag value`, or a switch alone.
fn flag(line: &[u8]) -> Option<(&str, &'static Setting, &str)> {
    let line = str::from_utf8(line).ok()?;
    let (flag, value) = line.split_once(' ').unwrap_or((line, "true"));
    Some((flag, by_flag(flag.strip_prefix("--")?)?, value))
}

fn split(line: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|byte| *byte == at)?;
    Some((&line[..at], &line[at + 1..]))
}

fn os(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_owned()
}

/// One line, which begins with what is to be changed.
fn assert_told(error: &ConfigError) {
    let told = error.to_string();
    assert!(!told.contains(char::is_control), "{told:?}");
    assert!(told.chars().count() <= 1_000, "{told}");
    match error {
        ConfigError::Value { setting, .. } => {
            assert!(told.starts_with(&setting.variable()) || told.starts_with(&setting.flag()));
        }
        ConfigError::Repeated { flag } => assert!(told.starts_with(&**flag)),
        ConfigError::Relation { name, .. } => assert!(told.starts_with(name)),
        ConfigError::Plaintext { .. } => assert!(told.starts_with("LISTEN ")),
        ConfigError::EnvFile { line, .. } => {
            assert!(told.starts_with(&format!(".env line {line}: ")));
        }
        ConfigError::Unknown { .. } | ConfigError::NotUtf8 { .. } => {
            assert!(told.starts_with("FRAMEGATE_") || told.starts_with("LOCAL_JWT_"));
        }
    }
}

/// The line of a `.env` file that is named is the first that cannot be read, and nothing of
/// it is shown: it may be a secret's.
fn assert_env_file_error(given: &Given<'_>, outcome: &Result<(Config, Secrets), ConfigError>) {
    let Err(ConfigError::EnvFile { line, fault, .. }) = outcome else {
        return;
    };
    let text = given.env_file.as_deref().unwrap_or_default();
    let up_to = |lines: usize| -> String { text.split_inclusive('\n').take(lines).collect() };
    let fault_of = |text: &str| match given.load_with(Some(text)) {
        Err(ConfigError::EnvFile { line, fault, .. }) => Some((line, fault)),
        _ => None,
    };
    assert_eq!(fault_of(&up_to(line - 1)), None);
    assert_eq!(fault_of(&up_to(*line)), Some((*line, fault.clone())));
    if let EnvFileFault::Repeated { name, first_line } = fault {
        let first = text.lines().nth(first_line - 1).unwrap_or_default();
        assert!(first_line < line && first.contains(&**name));
    }
}

/// The environment's last decides, nothing of it is shown, and it is judged as it should be.
fn assert_secrets(given: &Given<'_>, secrets: &Secrets) {
    assert_eq!(format!("{secrets:?}"), "Secrets(..)");
    for (name, secret) in [
        (CURRENT_SECRET, &secrets.current),
        (PREVIOUS_SECRET, &secrets.previous),
    ] {
        let mut assigned = given.environment.iter().rev();
        let assigned = assigned.find(|(other, _)| *other == name.as_bytes());
        if let (Some((_, value)), Some(secret)) = (assigned, secret) {
            assert_eq!(secret.text.as_bytes(), *value);
            let shown = format!("GivenSecret({name} in the environment ..)");
            assert_eq!(format!("{secret:?}"), shown);
        }
        // An empty previous one is none.
        let is_none = |value: &[u8]| name == PREVIOUS_SECRET && value.is_empty();
        assert!(assigned.is_none_or(|(_, value)| is_none(value)) || secret.is_some());
        if let Some(secret) = secret {
            assert_secret(&secret.text);
        }
    }
}

/// A flag decides over the environment, in which the last decides; the values that do not
/// decide change nothing.
fn assert_decided(given: &Given<'_>, config: &Config) {
    if given.env_file.is_some() {
        return;
    }
    let mut deciding = BTreeMap::new();
    for (name, value) in &given.environment {
        let name = String::from_utf8_lossy(name).into_owned();
        let setting = config::settings().find(|setting| setting.variable() == name);
        if let Some(setting) = setting {
            let value = String::from_utf8_lossy(value).into_owned();
            deciding.insert(setting.name, (setting, value));
        }
    }
    let mut by_flags: BTreeMap<&str, (&'static Setting, String)> = BTreeMap::new();
    for (_, setting, value) in &given.flags {
        let entry = by_flags.entry(setting.name);
        entry
            .and_modify(|(_, values)| *values = format!("{values},{value}"))
            .or_insert((setting, (*value).to_owned()));
    }
    deciding.extend(by_flags);
    let mut flags = Flags::default();
    let set = deciding
        .values()
        .try_for_each(|(setting, value)| flags.set("--flag", setting, value));
    let alone = set.and_then(|()| config::load(&flags, [], None));
    let alone = alone.map(|(config, _)| format!("{config:?}"));
    assert_eq!(alone, Ok(format!("{config:?}")));
}

/// What the documentation of each field says.
fn assert_bounds(config: &Config) {
    assert!((1..=limits::LISTENERS_MAX).contains(&config.listen.len()));
    assert!(config.origins.len() <= limits::ORIGINS_MAX);
    for claim in [&config.issuer, &config.audience].into_iter().flatten() {
        assert!((1..=limits::ISSUER_BYTES_MAX).contains(&claim.len()));
    }
    for timeout in [
        config.handshake_timeout,
        config.auth_timeout,
        config.message_timeout,
        config.write_timeout,
        config.ping_interval,
        config.pong_timeout,
    ] {
        assert_within(timeout, limits::TIMEOUT_MS_MIN, limits::TIMEOUT_MS_MAX);
    }
    assert_within(config.linger, limits::TIMEOUT_MS_MIN, limits::LINGER_MS_MAX);
    assert_within(config.ban_for, limits::BAN_MS_MIN, limits::BAN_MS_MAX);
    assert_within(config.leeway, 0, limits::LEEWAY_MS_MAX);
    assert_within(
        config.token_ttl,
        limits::TOKEN_TTL_MS_MIN,
        limits::TOKEN_TTL_MS_MAX,
    );
    assert_eq!(
        config.leeway.subsec_nanos() + config.token_ttl.subsec_nanos(),
        0
    );
    let memory_kib = limits::PASSWORD_MEMORY_KIB_MIN..=limits::PASSWORD_MEMORY_KIB_MAX;
    assert!(memory_kib.contains(&config.password_memory_kib));
    for rate in [
        config.frame_rate,
        config.delivery_rate,
        config.connect_rate,
        config.login_rate,
        config.log_rate,
    ] {
        assert_rate(rate);
    }
    assert!(u64::from(config.broadcast_rate.count) <= limits::BYTE_RATE_MAX);
    assert!(config.broadcast_burst_bytes >= 1 && config.delivery_burst >= 1);
    assert!(config.frame_burst >= 1 && !config.database.as_os_str().is_empty());
}

fn assert_within(duration: Duration, min_ms: u64, max_ms: u64) {
    let range = Duration::from_millis(min_ms)..=Duration::from_millis(max_ms);
    assert!(range.contains(&duration), "{duration:?}");
}

fn assert_rate(rate: Rate) {
    assert!(u64::from(rate.count) <= limits::RATE_COUNT_MAX);
    assert!([1, 60].contains(&rate.period.as_secs()));
}

fn assert_relations(config: &Config) {
    assert!((1..=config.connections_max).contains(&config.pending_max));
    let before_login = config.message_before_login_bytes_max;
    let message = config.message_bytes_max;
    assert!(limits::MESSAGE_BYTES_MIN as usize <= before_login && before_login <= message);
    assert!(message + limits::MESSAGE_OVERHEAD_BYTES_MAX <= config.outbox_bytes_max);
    assert!(config.connections_within_memory() >= 1);
    assert!(2 * message + config.outbox_bytes_max <= config.memory_bytes_max);
    for listen in &config.listen {
        let is_private = match listen {
            Listen::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Listen::Unix(_) => true,
        };
        assert!(is_private || config.allow_plaintext);
    }
}
