//! Settings of whom the server serves, and where.

use super::{put, setting};
use crate::config::settings::Setting;
use crate::config::{shown, value};
use crate::limits;

pub(super) const LISTENING: &[Setting] = &[
    setting(
        "LISTEN",
        "ADDRESS",
        "127.0.0.1:7420",
        "address and port, or unix:/path; repeatable",
        |config, text| put(&mut config.listen, value::listeners(text)),
    )
    .shown(|config| shown::listeners(&config.listen))
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
    .shown(|config| config.allow_plaintext.to_string())
    .switch(),
    setting(
        "ORIGINS",
        "ORIGIN",
        "",
        "origin of pages that may connect; repeatable",
        |config, text| put(&mut config.origins, value::origins(text)),
    )
    .shown(|config| config.origins.join(","))
    .many(),
    setting(
        "REQUIRE_HANDSHAKE_TOKEN",
        "",
        "false",
        "refuse an upgrade that brings no token",
        |config, text| put(&mut config.require_handshake_token, value::switch(text)),
    )
    .shown(|config| config.require_handshake_token.to_string())
    .switch(),
];

pub(super) const USERS_AND_TOKENS: &[Setting] = &[
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
    )
    .shown(|config| format!("{}KiB", config.password_memory_kib)),
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
    )
    .shown(|config| shown::millis(config.token_ttl)),
    setting(
        "ISSUER",
        "TEXT",
        "",
        "`iss` that tokens must carry, and ours do",
        |config, text| put(&mut config.issuer, value::claim(text)),
    )
    .shown(|config| shown::text(&config.issuer)),
    setting(
        "AUDIENCE",
        "TEXT",
        "",
        "`aud` that tokens must name, and ours do",
        |config, text| put(&mut config.audience, value::claim(text)),
    )
    .shown(|config| shown::text(&config.audience)),
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
    )
    .shown(|config| shown::millis(config.leeway)),
];

pub(super) const PROXIES: &[Setting] = &[
    setting(
        "TRUSTED_PROXIES",
        "NETWORKS",
        "",
        "proxies whose word on the client's address is taken",
        |config, text| put(&mut config.trusted_proxies, value::networks(text)),
    )
    .shown(|config| config.trusted_proxies.to_string())
    .many(),
    setting(
        "PROXY_PROTOCOL",
        "",
        "false",
        "their connections begin with a PROXY header (version 1 or 2)",
        |config, text| put(&mut config.proxy_protocol, value::switch(text)),
    )
    .shown(|config| config.proxy_protocol.to_string())
    .switch(),
];

pub(super) const LOG: &[Setting] = &[
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
