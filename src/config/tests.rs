use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use zeroize::Zeroizing;

use super::*;
use crate::limits::{MESSAGE_OVERHEAD_BYTES_MAX, PASSWORD_MEMORY_KIB_DEFAULT};

/// What a person gives: flags as `--name value`, variables as `NAME=value`, and a `.env`.
#[derive(Default)]
struct Script {
    flags: Flags,
    environment: Vec<(OsString, OsString)>,
    env_file: Option<EnvFile>,
}

impl Script {
    fn flag(mut self, name: &str, value: &str) -> Script {
        self.flags
            .set(&format!("--{name}"), by_flag(name).unwrap(), value)
            .unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Script {
        self.environment.push((name.into(), value.into()));
        self
    }

    fn env_file(mut self, text: &str) -> Script {
        self.env_file = Some(EnvFile {
            path: ".env".into(),
            text: Zeroizing::new(text.to_owned()),
        });
        self
    }

    fn load(self) -> Result<(Config, Secrets), ConfigError> {
        load(&self.flags, self.environment, self.env_file.as_ref())
    }

    fn config(self) -> Config {
        self.load().unwrap().0
    }

    fn secrets(self) -> Secrets {
        self.load().unwrap().1
    }

    fn error(self) -> String {
        self.load().unwrap_err().to_string()
    }
}

fn given() -> Script {
    Script::default()
}

#[test]
fn every_default_is_taken() {
    let mut config = unset();
    for setting in settings() {
        assert_eq!(
            setting.set(&mut config, setting.default),
            Ok(()),
            "{setting:?}"
        );
    }
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
}

#[test]
fn defaults_that_stand_in_two_places_agree() {
    assert_eq!(
        Config::default().password_memory_kib,
        PASSWORD_MEMORY_KIB_DEFAULT
    );
}

#[test]
fn nothing_given_is_the_default() {
    assert_eq!(
        format!("{:?}", given().config()),
        format!("{:?}", Config::default())
    );
}

#[test]
fn names_and_flags_are_one_to_one() {
    for setting in settings() {
        assert_eq!(by_flag(&setting.flag()[2..]), Some(setting));
        let same = settings().filter(|other| other.name == setting.name);
        assert_eq!(same.count(), 1, "{setting:?}");
    }
    assert_eq!(by_flag("MAX_CONNECTIONS"), None);
}

#[test]
fn a_flag_decides_over_the_environment_and_that_over_the_file() {
    let file = "FRAMEGATE_BURST=1\nFRAMEGATE_MAX_PENDING=2\nFRAMEGATE_MAX_CONNECTIONS=3";
    let config = given()
        .env_file(file)
        .variable("FRAMEGATE_MAX_PENDING", "20")
        .variable("FRAMEGATE_MAX_CONNECTIONS", "30")
        .flag("max-connections", "300")
        .config();
    assert_eq!(config.frame_burst, 1);
    assert_eq!(config.pending_max, 20);
    assert_eq!(config.connections_max, 300);
}

#[test]
fn a_value_that_is_refused_is_told_with_where_it_stands() {
    let expected = "must be a whole number from 1 to 1000000";
    assert_eq!(
        given().flag("max-connections", "lots").error(),
        format!("--max-connections {expected}")
    );
    assert_eq!(
        given().variable("FRAMEGATE_MAX_CONNECTIONS", "0").error(),
        format!("FRAMEGATE_MAX_CONNECTIONS in the environment {expected}")
    );
    assert_eq!(
        given()
            .env_file("\nFRAMEGATE_MAX_CONNECTIONS=1000001")
            .error(),
        format!("FRAMEGATE_MAX_CONNECTIONS in .env line 2 {expected}")
    );
}

#[test]
fn a_value_that_is_overruled_must_be_right_too() {
    let error = given()
        .variable("FRAMEGATE_BURST", "x")
        .flag("burst", "5")
        .error();
    assert!(
        error.starts_with("FRAMEGATE_BURST in the environment must be a whole number"),
        "{error}"
    );
}

#[test]
fn a_refused_value_is_never_shown_wherever_it_stands() {
    const HUSH: &str = "hush";
    for setting in settings() {
        let (flag, variable) = (setting.flag(), setting.variable());
        for value in [
            "hush\u{1b}",
            "hush\r",
            "hush,hush",
            "127.0.0.1:1,hush",
            "10.0.0.0/8,hush/8",
            "1hush",
            "http://hush/",
        ] {
            let scripts = [
                given().flag(&flag[2..], value),
                given().variable(&variable, value),
                given().env_file(&format!("{variable}={value}")),
                given().env_file(&format!("{variable}=1LOCAL_JWT_SECRET={value}")),
            ];
            for error in scripts
                .map(|script| script.load().err())
                .into_iter()
                .flatten()
            {
                assert!(!error.to_string().contains(HUSH), "{error}");
                assert!(!format!("{error:?}").contains(HUSH), "{error:?}");
            }
        }
    }
    let error = given().flag("log", "\u{1b}[2J\r\n\u{202e}").error();
    assert_eq!(error, "--log must be without control characters");
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest() {
    assert_eq!(
        given().variable("FRAMEGATE_MAX_CONECTIONS", "5").error(),
        "FRAMEGATE_MAX_CONECTIONS in the environment is not a setting; did you mean \
         FRAMEGATE_MAX_CONNECTIONS?"
    );
    assert_eq!(
        given().env_file("FRAMEGATE_WOMBAT=1").error(),
        "FRAMEGATE_WOMBAT in .env line 1 is not a setting; `framegate serve --help` lists them"
    );
    assert_eq!(
        given().variable("FRAMEGATE_LOCAL_JWT_SECRET", "x").error(),
        "FRAMEGATE_LOCAL_JWT_SECRET in the environment is not a setting; did you mean \
         LOCAL_JWT_SECRET?"
    );
    assert!(given().variable("FRAMEGATE_", "x").load().is_err());
}

#[test]
fn an_unknown_name_of_a_secret_is_refused_with_the_nearest() {
    assert_eq!(
        given().variable("LOCAL_JWT_SECRET_PREVIUOUS", "x").error(),
        "LOCAL_JWT_SECRET_PREVIUOUS in the environment is not a setting; did you mean \
         LOCAL_JWT_SECRET_PREVIOUS?"
    );
    assert_eq!(
        given().env_file("\nLOCAL_JWT_SECRETS=x").error(),
        "LOCAL_JWT_SECRETS in .env line 2 is not a setting; did you mean LOCAL_JWT_SECRET?"
    );
    for name in ["LOCAL_JWT_ALGORITHM_OF_TOKENS", "LOCAL_JWT_EXPIRES_IN"] {
        assert_eq!(
            given().variable(name, "x").error(),
            format!(
                "{name} in the environment is not a setting; `framegate serve --help` lists them"
            )
        );
    }
    assert!(given().variable("LOCAL_JWT", "x").load().is_ok());
}

#[test]
fn a_previous_secret_that_is_empty_is_none() {
    assert!(
        given()
            .env_file("LOCAL_JWT_SECRET_PREVIOUS=")
            .secrets()
            .previous
            .is_none()
    );
    let file = "LOCAL_JWT_SECRET_PREVIOUS=old";
    let hidden = given()
        .env_file(file)
        .variable("LOCAL_JWT_SECRET_PREVIOUS", "");
    assert!(hidden.secrets().previous.is_none());
    assert!(
        given()
            .env_file("LOCAL_JWT_SECRET=")
            .secrets()
            .current
            .is_some()
    );
}

#[test]
fn names_that_are_not_ours_are_nobodys_business() {
    let script = given().variable("PATH", "/bin").env_file("DATABASE_URL=x");
    assert!(script.load().is_ok());
}

#[test]
fn a_value_that_is_not_utf8_is_refused_when_it_is_ours() {
    let broken = OsString::from_vec(b"\xff".to_vec());
    let mut script = given();
    script.environment.push(("OTHER".into(), broken.clone()));
    script.environment.push(("FRAMEGATE_DB".into(), broken));
    assert_eq!(
        script.error(),
        "FRAMEGATE_DB in the environment is not UTF-8; set it to plain text"
    );
}

#[test]
fn a_flag_of_one_value_is_given_once_and_a_list_as_often_as_you_like() {
    let mut flags = Flags::default();
    let burst = by_flag("burst").unwrap();
    assert_eq!(flags.set("--burst", burst, "1"), Ok(()));
    let error = flags.set("--burst", burst, "2").unwrap_err();
    assert_eq!(error.to_string(), "--burst is given twice; give it once");

    let config = given()
        .flag("listen", "127.0.0.1:1")
        .flag("listen", "unix:f.sock")
        .config();
    let listen: Vec<_> = config.listen.iter().map(Listen::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:1", "unix:f.sock"]);
}

#[test]
fn a_listener_others_can_reach_needs_a_word() {
    for public in [
        "0.0.0.0:7420",
        "[::]:7420",
        "192.168.1.2:7420",
        "[::ffff:10.0.0.1]:1",
    ] {
        let error = given().flag("listen", public).error();
        assert!(
            error.starts_with(&format!(
                "LISTEN is {public} (--listen), where others could"
            )),
            "{error}"
        );
        assert!(error.ends_with("or say --allow-plaintext"), "{error}");
        let allowed = given()
            .flag("listen", public)
            .flag("allow-plaintext", "true");
        assert!(allowed.load().is_ok());
    }
    for private in [
        "127.0.0.1:1",
        "127.9.9.9:1",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
        "unix:/f",
    ] {
        assert!(given().flag("listen", private).load().is_ok(), "{private}");
    }
}

#[test]
fn proxy_headers_over_tcp_need_a_proxy_that_is_named() {
    let spoken = |listen: &[&str]| {
        let script = given().flag("proxy-protocol", "true");
        listen
            .iter()
            .fold(script, |script, listen| script.flag("listen", listen))
    };
    for listen in [&["127.0.0.1:7420"][..], &["unix:/f", "127.0.0.1:7420"]] {
        assert_eq!(
            spoken(listen).error(),
            "PROXY_PROTOCOL is true (--proxy-protocol), but must be false unless TRUSTED_PROXIES names the proxies \
             that connect to 127.0.0.1:7420"
        );
        let named = spoken(listen).flag("trusted-proxies", "127.0.0.1");
        assert!(named.load().is_ok(), "{listen:?}");
    }
    assert!(spoken(&["unix:/f"]).load().is_ok());
}

#[test]
fn a_bound_left_to_its_default_follows_the_one_above() {
    let config = given()
        .flag("max-message", "4KiB")
        .flag("max-connections", "10")
        .config();
    assert_eq!(config.message_before_login_bytes_max, 4_096);
    assert_eq!(config.pending_max, 10);
}

#[test]
fn bounds_that_were_given_must_go_together() {
    let pending = |count| {
        given()
            .flag("max-connections", "10")
            .flag("max-pending", count)
    };
    assert!(pending("10").load().is_ok());
    assert_eq!(
        pending("11").error(),
        "MAX_PENDING is 11 (--max-pending), but must be at most MAX_CONNECTIONS, which is 10 \
         (--max-connections)"
    );
    let before_login = |size| given().flag("max-message-before-login", size);
    assert!(before_login("16KiB").load().is_ok());
    assert_eq!(
        before_login("16385").error(),
        "MAX_MESSAGE_BEFORE_LOGIN is 16385 (--max-message-before-login), but must be at most \
         MAX_MESSAGE, which is 16KiB (the default)"
    );
}

#[test]
fn values_that_do_not_go_together_are_told_with_where_each_was_given() {
    assert_eq!(
        given()
            .env_file("# mine\nFRAMEGATE_MAX_CONNECTIONS=10")
            .variable("FRAMEGATE_MAX_PENDING", "11")
            .error(),
        "MAX_PENDING is 11 (the environment), but must be at most MAX_CONNECTIONS, which is 10 \
         (.env line 2)"
    );
    // The one that decides.
    let error = given()
        .env_file("FRAMEGATE_LISTEN=127.0.0.1:1")
        .flag("listen", "0.0.0.0:1")
        .error();
    assert!(
        error.starts_with("LISTEN is 0.0.0.0:1 (--listen), where others"),
        "{error}"
    );
    let error = given().flag("max-message", "1MiB").error();
    assert!(
        error.starts_with("MAX_OUTBOX is 256KiB (the default), but must be at least "),
        "{error}"
    );
}

#[test]
fn an_outbox_holds_a_message_and_memory_holds_both() {
    let message = 16 * 1024;
    let outbox = message + MESSAGE_OVERHEAD_BYTES_MAX;
    let small = |outbox: usize| given().flag("max-outbox", &outbox.to_string());
    assert!(small(outbox).load().is_ok());
    assert_eq!(
        small(outbox - 1).error(),
        "MAX_OUTBOX is 17407 (--max-outbox), but must be at least 17KiB, to hold one message of \
         MAX_MESSAGE, which is 16KiB (the default), and its envelope"
    );
    // Twice the message while it grows, an envelope, the outbox, one connection, and an eighth.
    let memory = (2 * message + MESSAGE_OVERHEAD_BYTES_MAX + 256 * 1024 + 384) * 8_usize;
    let memory = memory.div_ceil(7);
    let small = |memory: usize| given().flag("memory", &memory.to_string());
    assert_eq!(small(memory).config().connections_within_memory(), 1);
    assert_eq!(
        small(memory - 2).error(),
        "MEMORY is 338650 (--memory), but must be at least 338652, to hold one peer's MAX_MESSAGE, \
         which is 16KiB (the default), and MAX_OUTBOX, which is 256KiB (the default)"
    );
    assert!(Config::default().connections_within_memory() > 50_000);
}

#[test]
fn zero_turns_off_what_can_be_and_nothing_else() {
    for flag in [
        "rate",
        "broadcast-rate",
        "delivery-rate",
        "max-connections-per-user",
        "login-rate",
        "log-rate",
        "ban-after",
        "max-connections-per-ip",
        "max-pending-per-ip",
    ] {
        assert!(given().flag(flag, "0").load().is_ok(), "{flag}");
    }
    for flag in [
        "handshake-timeout",
        "auth-timeout",
        "message-timeout",
        "write-timeout",
        "ping-interval",
        "pong-timeout",
        "linger",
        "token-ttl",
        "ban-for",
    ] {
        assert!(given().flag(flag, "0s").load().is_err(), "{flag}");
    }
    for flag in [
        "max-connections",
        "max-pending",
        "burst",
        "memory",
        "max-message",
        "max-outbox",
    ] {
        assert!(given().flag(flag, "0").load().is_err(), "{flag}");
    }
}

#[test]
fn each_setting_refuses_the_empty_text_unless_it_is_its_default() {
    for setting in settings() {
        let taken = setting.set(&mut Config::default(), "").is_ok();
        assert_eq!(taken, setting.default.is_empty(), "{setting:?}");
    }
}

#[test]
fn secrets_come_from_the_environment_before_the_file() {
    let file = "LOCAL_JWT_SECRET=from-file\nLOCAL_JWT_SECRET_PREVIOUS='old'";
    let secrets = given()
        .env_file(file)
        .variable("LOCAL_JWT_SECRET", "from-env")
        .secrets();
    let (current, previous) = (secrets.current.unwrap(), secrets.previous.unwrap());
    assert_eq!(
        (current.text.as_str(), &current.origin),
        ("from-env", &Origin::Environment)
    );
    assert_eq!(previous.text.as_str(), "old");
    assert_eq!(
        previous.origin.locate(previous.name),
        "LOCAL_JWT_SECRET_PREVIOUS in .env line 2"
    );
    assert!(given().secrets().current.is_none());
}

#[test]
fn secrets_print_nothing_of_themselves() {
    let secrets = given().variable("LOCAL_JWT_SECRET", "hush").secrets();
    let shown = format!("{secrets:?} {:?}", secrets.current.as_ref().unwrap());
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn no_setting_takes_a_secret_from_the_command_line() {
    assert_eq!(by_flag("local-jwt-secret"), None);
    assert_eq!(by_flag("local-jwt-secret-previous"), None);
}

#[test]
fn no_text_at_all_does_worse_than_be_refused_on_one_line() {
    const PIECES: &[&str] = &[
        "FRAMEGATE_",
        "LISTEN",
        "BURST",
        "=",
        "'",
        "\"",
        "#",
        " ",
        "\t",
        "\n",
        "\r",
        "export ",
        "\0",
        "é",
        "\u{202e}",
        "unix:",
        "[::1]",
        ":",
        ",",
        "/",
        "127.0.0.1",
        "0",
        "9",
        "18446744073709551615",
        "KiB",
        "GiB",
        "ms",
        "h",
        "/s",
        "/min",
        "https://",
        "-",
        "+",
        ".",
        "true",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = move |count: usize| {
        // Xorshift (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % count as u64) as usize
    };
    let mut config = Config::default();
    for _ in 0..2_000 {
        let pieces: Vec<_> = (0..draw(9)).map(|_| PIECES[draw(PIECES.len())]).collect();
        let text = pieces.concat();
        if let Err(error) = given().env_file(&text).load() {
            let shown = error.to_string();
            assert!(
                !shown.contains(char::is_control) && !shown.contains('\u{202e}'),
                "{shown:?}"
            );
        }
        for setting in settings() {
            if let Err(expected) = setting.set(&mut config, &text) {
                assert!(!expected.contains(char::is_control), "{expected:?}");
            }
        }
    }
}
