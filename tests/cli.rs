//! The commands, run as a person runs them: a process, in a directory of its own, with an
//! environment that holds nothing else.
#![cfg(test)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// An empty directory, removed in the end.
struct Place(PathBuf);

/// What a command did.
struct Outcome {
    code: i32,
    output: String,
    error: String,
}

impl Place {
    fn new() -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "cli-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    /// A place where a secret is set.
    fn with_secret() -> Place {
        Place::new().with_env_file(&format!("LOCAL_JWT_SECRET={SECRET}\n"))
    }

    fn with_env_file(self, text: &str) -> Place {
        fs::write(self.0.join(".env"), text).unwrap();
        self
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, &[], "")
    }

    fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Outcome {
        let mut child = Command::new(env!("CARGO_BIN_EXE_framegate"))
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input may be gone before it is written.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let done = child.wait_with_output().unwrap();
        Outcome {
            code: done.status.code().unwrap(),
            output: String::from_utf8(done.stdout).unwrap(),
            error: String::from_utf8(done.stderr).unwrap(),
        }
    }

    /// Starts `serve`, lets it say its first word on standard error, which comes when all is
    /// made, and ends it. What it printed until then.
    fn start(&self, arguments: &[&str]) -> String {
        self.start_with(arguments, &[])
    }

    fn start_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let mut child = Command::new(env!("CARGO_BIN_EXE_framegate"))
            .args(["serve", "--password-memory", "1MiB"])
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut error = BufReader::new(child.stderr.take().unwrap());
        error.read_line(&mut first).unwrap();
        child.kill().unwrap();
        let done = child.wait_with_output().unwrap();
        String::from_utf8(done.stdout).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Outcome {
    /// The one line of a command that was to be put right, and that printed nothing else.
    fn refusal(self) -> String {
        assert_eq!((self.code, self.output.as_str()), (2, ""), "{}", self.error);
        self.line()
    }

    /// The one line of a command that failed.
    fn failure(self) -> String {
        assert_eq!(self.code, 1, "{}", self.error);
        self.line()
    }

    fn line(self) -> String {
        let line = self.error.strip_suffix('\n').unwrap();
        assert!(!line.contains('\n'), "{line}");
        line.strip_prefix("framegate: ").unwrap().to_owned()
    }

    /// What a command printed that did what it was asked.
    fn success(self) -> String {
        assert_eq!((self.code, self.error.as_str()), (0, ""));
        self.output
    }
}

#[test]
fn help_is_there_for_the_program_and_for_each_command() {
    let place = Place::new();
    let program = place.run(&["--help"]).success();
    assert_eq!(program, place.run(&["help"]).success());
    assert_eq!(program, place.run(&["-h"]).success());
    for command in ["serve", "token", "secret", "check"] {
        assert!(program.contains(&format!("\n  {command}")), "{command}");
        let help = place.run(&[command, "--help"]).success();
        assert!(
            help.contains(&format!("Usage: framegate {command}")),
            "{help}"
        );
        assert_eq!(help, place.run(&["help", command]).success());
    }
    assert_eq!(
        place.run(&["token", "mint", "--help"]).success(),
        place.run(&["token", "check", "-h"]).success()
    );
}

#[test]
fn the_help_of_serve_has_every_setting_on_a_line_that_fits() {
    let help = Place::new().run(&["serve", "--help"]).success();
    for setting in framegate::internals::config::settings() {
        assert!(
            help.contains(&format!("\n  {} ", setting.flag())),
            "{setting:?}"
        );
    }
    for line in help.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn the_version_is_printed() {
    let version = format!("framegate {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(Place::new().run(&["--version"]).success(), version);
    assert_eq!(Place::new().run(&["-V"]).success(), version);
}

#[test]
fn what_is_mistyped_is_answered_with_what_was_meant() {
    let place = Place::new();
    for (arguments, line) in [
        (&[][..], "no command; `framegate help` lists them"),
        (
            &["sevre"],
            "there is no command \"sevre\"; did you mean serve?",
        ),
        (
            &["wombat"],
            "there is no such command; there are serve, user, token, secret, check, replay, help",
        ),
        (
            &["start"],
            "there is no command \"start\"; did you mean serve?",
        ),
        (
            &["user", "remove", "alice"],
            "there is no command \"remove\"; did you mean rm?",
        ),
        (
            &["user", "foo"],
            "there is no such command; there are add, show, list, rm, passwd, disable, enable, \
             revoke, import",
        ),
        (
            &["user", "rm", "a b"],
            "an id is 1 to 128 printable ASCII characters without spaces",
        ),
        (
            &["token", "verify"],
            "there is no command \"verify\"; did you mean check?",
        ),
        (
            &["token", "mnt"],
            "there is no command \"mnt\"; did you mean mint?",
        ),
        (
            &["serve", "--innit"],
            "there is no option --innit here; did you mean --init?",
        ),
        (
            &["serve", "--max-conections=5"],
            "there is no option --max-conections here; did you mean --max-connections?",
        ),
        (
            &["serve", "--port", "8080"],
            "there is no option --port here; did you mean --listen?",
        ),
        (
            &["check", "--log-level=debug"],
            "there is no option --log-level here; did you mean --log?",
        ),
        (
            &["serve", "-x"],
            "there is no such option here; --help lists them",
        ),
        (
            &["serve", "now"],
            "an argument too many, not shown since it may be a secret; --help says what is taken",
        ),
        (
            &["serve", "--burst"],
            "--burst needs a value; --help says of which kind",
        ),
        (
            &["serve", "--init=yes"],
            "--init takes no value, give it alone; what was given is not shown, since it may be a \
             secret",
        ),
        (
            &["check", "--proxy-protocol", "true"],
            "--proxy-protocol takes no value, give it alone; what was given is not shown, since it \
             may be a secret",
        ),
        (
            &["user", "add", "alice", "--no-password", "yes"],
            "--no-password takes no value, give it alone; what was given is not shown, since it \
             may be a secret",
        ),
        (
            &["user", "add", "--no-password", "alice", "bob"],
            "an argument too many, not shown since it may be a secret; --help says what is taken",
        ),
        (&["token"], "token needs a command: mint ID or check"),
        (
            &["token", "mint"],
            "token mint needs the id of a user: token mint ID",
        ),
        (
            &["ser\u{1b}ve"],
            "there is no command \"ser\\u{1b}ve\"; did you mean serve?",
        ),
    ] {
        assert_eq!(place.run(arguments).refusal(), line);
    }
}

#[test]
fn what_others_could_read_is_not_taken_from_the_command_line() {
    let place = Place::new();
    for option in [
        "local-jwt-secret",
        "local-jwt-secret-previous",
        "secret",
        "token",
        "password",
    ] {
        let line = place
            .run(&["serve", &format!("--{option}={SECRET}")])
            .refusal();
        assert!(
            line.starts_with(&format!("there is no option --{option}, for everybody")),
            "{line}"
        );
        assert!(!line.contains(SECRET));
    }
    let line = place.run(&["token", "check", "ey.ey.x"]).refusal();
    assert_eq!(
        line,
        "token check takes tokens from standard input only, one a line"
    );
}

/// A secret that stands where none belongs is in nothing that any command prints.
#[test]
fn what_stands_in_the_wrong_place_is_not_repeated() {
    const HUSH: &str = "hunter2-horse";
    let place = Place::with_secret();
    place
        .run(&["user", "add", "alice", "--no-password"])
        .success();
    let quiet = |outcome: Outcome, what: &str| {
        assert_ne!(outcome.code, 0, "{what}");
        let printed = outcome.output + &outcome.error;
        assert!(!printed.contains(HUSH), "{what}: {printed}");
    };
    for words in [
        &["user", "add", "bob", HUSH][..],
        &["user", "passwd", "alice", HUSH],
        &["user", "rm", "alice", HUSH],
        &["user", "list", HUSH],
        &["user", HUSH],
        &["user", "show", "--", "--", HUSH],
        &["user", "passwd", "alice", "--password", HUSH],
        &["user", "passwd", "alice", "--passwd=hunter2-horse"],
        &["user", "passwd", "alice", "--hunter2-horse"],
        &["user", "passwd", "alice", "-phunter2-horse"],
        &["user", "passwd", "alice", "--password-stdin=hunter2-horse"],
        &["user", "passwd", "alice", "--no-password=hunter2-horse"],
        &["user", "show", "hunter2-horse and more"],
        &["token", HUSH],
        &["token", "check", HUSH],
        &["token", "mint", "alice", HUSH],
        &["token", "mint", "a hunter2-horse"],
        &["token", "mint", "alice", "--ttl", HUSH],
        &["secret", HUSH],
        &["check", HUSH],
        &["replay", "f", HUSH],
        &["help", HUSH],
        &["serve", HUSH],
        &["serve", "--init=hunter2-horse"],
        &[HUSH],
        &["--hunter2-horse"],
    ] {
        quiet(place.run(words), &words.join(" "));
    }
    for setting in framegate::internals::config::settings() {
        let value = format!("200LOCAL_JWT_SECRET={HUSH}\u{1}");
        let flag = format!("{}={value}", setting.flag());
        quiet(place.run(&["check", &flag]), &flag);
        let variable = setting.variable();
        let outcome = place.run_with(&["check"], &[(&variable, &value)], "");
        quiet(outcome, &variable);
        for line_end in ["", "\r"] {
            let line = format!("{variable}=200{line_end}LOCAL_JWT_SECRET={HUSH}");
            quiet(Place::new().with_env_file(&line).run(&["check"]), &line);
        }
    }
}

/// `.env` from a pipe, which can be read once.
#[test]
fn an_env_file_is_read_once_by_every_command() {
    let place = Place::with_secret();
    place
        .run(&["user", "add", "alice", "--no-password"])
        .success();
    fs::rename(place.0.join(".env"), place.0.join("kept.env")).unwrap();
    let made = Command::new("mkfifo").arg(place.0.join("pipe")).status();
    assert!(made.unwrap().success());
    for (command, first) in [
        ("check", "configuration ok: listen on unix:f.sock"),
        ("serve", "INFO listening on unix:f.sock"),
    ] {
        let script =
            "cat kept.env >pipe & exec \"$0\" $1 --env-file pipe --listen unix:f.sock 2>&1";
        let mut child = Command::new("/bin/sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_framegate"), command])
            .current_dir(&place.0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let found = lines.map(Result::unwrap).find(|line| line.contains(first));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.is_some(), "{command}");
    }
}

#[test]
fn serve_and_check_warn_of_the_same() {
    let place = Place::with_secret();
    place
        .run(&["user", "add", "alice", "--no-password"])
        .success();
    let set = |name: &str, mode| {
        fs::set_permissions(place.0.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    let warning = |name: &str, mode: u32| {
        format!("file_exposed file=\"{name}\" mode={mode:o}: others may use it; chmod 600")
    };
    for (name, mode) in [(".env", 0o644), ("framegate.db", 0o660)] {
        set(".env", 0o600);
        set(name, mode);
        let warning = warning(name, mode);
        let checked = place.run(&["check"]).success();
        assert!(
            checked.starts_with(&format!("warning: {warning}\nconfiguration ok")),
            "{checked}"
        );
        // It ends before it serves: the recording would take another file's place.
        let refused = place.run(&["serve", "--listen=unix:f.sock", "--record=.env"]);
        let line = format!(" WARN {warning}\nframegate: cannot make");
        assert!(refused.error.contains(&line), "{}", refused.error);
        set(name, 0o600);
    }
    assert!(
        place
            .run(&["check"])
            .success()
            .starts_with("configuration ok")
    );
}

/// The limits hold for the process and its children; `exec` makes it the program's own.
#[test]
fn check_and_serve_tell_alike_which_cap_is_lowered_and_why() {
    let place = Place::with_secret();
    place
        .run(&["user", "add", "alice", "--no-password"])
        .success();
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(place.0.join(".env"), mode).unwrap();
    let limited = |descriptors: u32, arguments: &[&str]| {
        let script = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
        let done = Command::new("/bin/sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_framegate")])
            .args(arguments)
            .current_dir(&place.0)
            .env_clear()
            .output()
            .unwrap();
        let printed = [done.stdout, done.stderr].concat();
        String::from_utf8(printed).unwrap()
    };
    let descriptors = "the descriptor limit has room for 76 connections, not 10000; raise it \
                       (ulimit -n), or lower MAX_CONNECTIONS\n";
    let memory = "MEMORY has room for 46 connections, not ";
    // The recording ends `serve` before it serves: the file is another's.
    let serve = ["serve", "--listen=unix:f.sock", "--record=.env"];
    for (settings, expected) in [
        (&["--memory=32MiB"][..], [Some(descriptors), None]),
        (&["--memory=350KiB"], [Some(descriptors), Some(memory)]),
        (
            &["--memory=350KiB", "--max-connections=70"],
            [None, Some(memory)],
        ),
    ] {
        let checked = limited(100, &[&["check"], settings].concat());
        let served = limited(100, &[&serve[..], settings].concat());
        for warning in expected.into_iter().flatten() {
            assert!(
                checked.contains(&format!("warning: {warning}")),
                "{checked}"
            );
            assert!(served.contains(&format!(" WARN {warning}")), "{served}");
        }
        let count = expected.into_iter().flatten().count();
        assert_eq!(checked.matches("warning: ").count(), count, "{checked}");
        assert_eq!(served.matches(" WARN ").count(), count, "{served}");
        assert!(checked.contains("\nconfiguration ok"), "{checked}");
    }
    let none = "framegate: the descriptor limit has no room for a single connection; raise it \
                (ulimit -n)\n";
    assert!(limited(24, &["check"]).ends_with(none));
    assert!(limited(24, &serve).ends_with(none));
}

#[test]
fn an_unknown_setting_is_refused_wherever_it_stands() {
    let place = Place::with_secret();
    let variable = [("FRAMEGATE_MAX_CONNECTION", "5")];
    assert_eq!(
        place.run_with(&["serve"], &variable, "").refusal(),
        "FRAMEGATE_MAX_CONNECTION in the environment is not a setting; did you mean FRAMEGATE_MAX_CONNECTIONS?"
    );
    let place = Place::new().with_env_file("# mine\nFRAMEGATE_LISTENN=x\n");
    assert_eq!(
        place.run(&["check"]).refusal(),
        "FRAMEGATE_LISTENN in .env line 2 is not a setting; did you mean FRAMEGATE_LISTEN?"
    );
}

#[test]
fn a_wrong_value_is_refused_with_what_would_be_right() {
    let place = Place::with_secret();
    assert_eq!(
        place.run(&["serve", "--max-message", "1MB"]).refusal(),
        "--max-message must be a size such as 4096, 64KiB or 32MiB, from 1KiB to 16MiB"
    );
    let line = place.run(&["serve", "--listen", "0.0.0.0:7420"]).refusal();
    assert!(line.ends_with("or say --allow-plaintext"), "{line}");
}

#[test]
fn a_secret_that_is_none_stops_every_command_that_needs_one() {
    let pem =
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----";
    let jwk = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"}"#;
    for (secret, wrong) in [
        ("", "shorter than 32 bytes"),
        (&SECRET[1..], "shorter than 32 bytes"),
        (pem, "a PEM key"),
        (&format!("{pem}\n"), "a PEM key"),
        (
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9",
            "a PEM key",
        ),
        (
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7 me@host",
            "an OpenSSH key",
        ),
        (jwk, "a JSON Web Key"),
        (&format!("[{jwk}]"), "a JSON Web Key"),
        (&format!("{SECRET}\n"), "white space"),
        (&format!("\"{SECRET}\""), "quotes"),
    ] {
        let place = Place::new();
        for command in [
            &["serve"][..],
            &["serve", "--init"],
            &["check"],
            &["token", "check"],
            &["token", "mint", "a"],
        ] {
            let line = place
                .run_with(command, &[("LOCAL_JWT_SECRET", secret)], "x\n")
                .refusal();
            assert!(
                line.starts_with("LOCAL_JWT_SECRET in the environment: "),
                "{line}"
            );
            assert!(line.contains(wrong), "{line}");
            for piece in secret.as_bytes().windows(12) {
                assert!(!line.contains(&*String::from_utf8_lossy(piece)), "{line}");
            }
        }
        assert_eq!(place.names(), [""; 0]);
    }
}

#[test]
fn the_previous_secret_is_judged_too() {
    let place = Place::with_secret();
    let line = place
        .run_with(
            &["serve", "--init"],
            &[("LOCAL_JWT_SECRET_PREVIOUS", "old")],
            "",
        )
        .refusal();
    assert!(
        line.starts_with("LOCAL_JWT_SECRET_PREVIOUS in the environment: "),
        "{line}"
    );
    assert_eq!(place.names(), [".env"]);
}

#[test]
fn the_previous_secret_is_another_or_none() {
    let place = Place::with_secret();
    place
        .run(&["user", "add", "alice", "--no-password"])
        .success();
    let check = |previous| {
        let variables = [("LOCAL_JWT_SECRET_PREVIOUS", previous)];
        place.run_with(&["check"], &variables, "")
    };
    assert_eq!(
        check(SECRET).refusal(),
        "LOCAL_JWT_SECRET_PREVIOUS in the environment is the same as LOCAL_JWT_SECRET; remove it, \
         or put the former secret there"
    );
    check("").success();
    check("another secret of 32 bytes or so").success();
    let typo = [("LOCAL_JWT_SECRET_PREVIUOUS", SECRET)];
    assert_eq!(
        place.run_with(&["check"], &typo, "").refusal(),
        "LOCAL_JWT_SECRET_PREVIUOUS in the environment is not a setting; did you mean \
         LOCAL_JWT_SECRET_PREVIOUS?"
    );
}

#[test]
fn what_is_there_already_is_told_with_what_to_do() {
    let place = Place::with_secret();
    let add = ["user", "add", "alice", "--no-password"];
    place.run(&add).success();
    assert_eq!(
        place.run(&add).failure(),
        "there is a user \"alice\" already; `framegate user passwd` sets another password, \
         `user enable` lets a disabled user in, `user rm` removes the user"
    );
    let refused = place.run(&["serve", "--listen=unix:f.sock", "--record=.env"]);
    assert_eq!(refused.code, 1);
    let line = "framegate: cannot make .env: it is there already; --record needs a file that is \
                not there\n";
    assert!(refused.error.ends_with(line), "{}", refused.error);
}

#[test]
fn a_short_password_is_taken_with_a_warning() {
    let place = Place::new();
    let run = |words: &[&str], password: &str| {
        let words = [words, &["--password-stdin", "--password-memory=64KiB"]].concat();
        let done = place.run_with(&words, &[], password);
        assert_eq!(done.code, 0, "{}", done.error);
        (done.output, done.error)
    };
    let warning = |count: &str| {
        format!(
            "framegate: warning: a password of {count} is quickly guessed; `framegate user \
             passwd` sets a longer one\n"
        )
    };
    let added = run(&["user", "add", "alice"], "hüterin\n");
    assert_eq!(added, ("added alice\n".to_owned(), warning("7 characters")));
    let (_, error) = run(&["user", "passwd", "alice"], "x");
    assert_eq!(error, warning("1 character"));
    for good in ["eightsig", "a password of some length"] {
        assert_eq!(run(&["user", "passwd", "alice"], good).1, "");
    }
}

/// A real limit: prlimit(1) sets it and becomes the program.
#[test]
fn check_and_serve_warn_of_an_address_space_that_memory_may_not_fit_into() {
    let place = Place::with_secret();
    place
        .run(&["user", "add", "alice", "--no-password"])
        .success();
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(place.0.join(".env"), mode).unwrap();
    let limited = |mebibytes: u64, arguments: &[&str]| {
        let done = Command::new("prlimit")
            .arg(format!("--as={}", mebibytes * 1024 * 1024))
            .arg(env!("CARGO_BIN_EXE_framegate"))
            .args(arguments)
            .args(["--listen=unix:f.sock", "--memory=64MiB"])
            .current_dir(&place.0)
            .output()
            .unwrap();
        String::from_utf8([done.stdout, done.stderr].concat()).unwrap()
    };
    let warning = "the address space has a limit of 87MiB (ulimit -v), and MEMORY of 64MiB may \
                   need 88MiB: the process would end when memory runs out; raise the limit, or \
                   lower MEMORY\n";
    let checked = limited(87, &["check"]);
    assert!(
        checked.starts_with(&format!("warning: {warning}configuration ok")),
        "{checked}"
    );
    // The recording ends `serve` before it serves: the file is another's.
    let serve = ["serve", "--record=.env"];
    let served = limited(87, &serve);
    assert!(served.contains(&format!(" WARN {warning}")), "{served}");
    assert!(limited(88, &["check"]).starts_with("configuration ok"));
    assert!(!limited(88, &serve).contains(" WARN "));
}

#[test]
fn a_secret_that_is_missing_is_told_with_what_to_do() {
    let place = Place::new();
    assert_eq!(
        place.run(&["serve"]).refusal(),
        format!(
            "LOCAL_JWT_SECRET is not set: no .env in {}; go to the folder that has it, or let \
             `framegate serve --init` make one here",
            place.0.display()
        )
    );
    let place = Place::new().with_env_file("OTHER=1\n");
    assert_eq!(
        place.run(&["serve", "--init"]).refusal(),
        format!(
            "LOCAL_JWT_SECRET is not set: {}/.env does not have it; add a line LOCAL_JWT_SECRET= \
             with what `framegate secret` prints",
            place.0.display()
        )
    );
    assert_eq!(place.names(), [".env"]);
}

#[test]
fn an_env_file_that_was_named_must_be_there_and_readable() {
    let place = Place::new();
    let line = place.run(&["check", "--env-file", "other.env"]).refusal();
    assert_eq!(
        line,
        "cannot read other.env: No such file or directory (os error 2)"
    );
    let place = Place::new().with_env_file(&"#".repeat(64 * 1024 + 1));
    let line = place.run(&["check"]).refusal();
    assert_eq!(line, "cannot read .env: it is larger than 65536 bytes");
    let place = Place::new().with_env_file(&format!("OTHER {SECRET}\nLOCAL_JWT_SECRET {SECRET}"));
    let line = place.run(&["check"]).refusal();
    assert_eq!(line, ".env line 2: not NAME=value, a comment or blank");
}

#[test]
fn a_fresh_secret_is_fit_to_be_one_and_never_the_same() {
    let place = Place::new();
    let secret = place.run(&["secret"]).success();
    let secret = secret.strip_suffix('\n').unwrap();
    assert_eq!(secret.len(), 43);
    assert!(
        secret
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    );
    assert_ne!(place.run(&["secret"]).success().trim_end(), secret);
    let minted = place.run_with(&["token", "mint", "a"], &[("LOCAL_JWT_SECRET", secret)], "");
    assert_eq!(minted.success().matches('.').count(), 2);
}

#[test]
fn a_minted_token_is_judged_good_by_its_secret_alone() {
    let place = Place::with_secret();
    let token = place
        .run(&["token", "mint", "alice", "--ttl", "2h"])
        .success();
    let verdict = place.run_with(&["token", "check"], &[], &token).success();
    assert!(verdict.starts_with("ok sub=alice expires=2"), "{verdict}");
    assert!(verdict.contains("Z; not checked: "), "{verdict}");

    // Rotation: the secret that was is still good, one that never was is not.
    let other = "another secret of 32 bytes or so";
    let previous = [
        ("LOCAL_JWT_SECRET", other),
        ("LOCAL_JWT_SECRET_PREVIOUS", SECRET),
    ];
    assert_eq!(
        place
            .run_with(&["token", "check"], &previous, &token)
            .success(),
        verdict
    );
    let stranger = place.run_with(&["token", "check"], &previous[..1], &token);
    assert_eq!(stranger.output, "bad: the signature is not of our secret\n");
    assert_eq!(stranger.failure(), "bad tokens: 1 of 1");
}

#[test]
fn a_token_is_judged_and_dated_by_the_database_where_there_is_one() {
    let place = Place::with_secret();
    let mint = || place.run(&["token", "mint", "alice"]).success();
    let check = |token: &str| place.run_with(&["token", "check"], &[], token);
    let before = mint();
    let verdict = check(&before).success();
    assert!(
        verdict.contains("; not checked: whether the user is there")
            && verdict.ends_with(" framegate.db\n"),
        "{verdict}"
    );
    place
        .run(&["user", "add", "alice", "--no-password"])
        .success();
    place.run(&["user", "revoke", "alice"]).success();
    // Both in one second, or not: the token is good.
    let after = mint();
    let verdict = check(&after).success();
    assert!(verdict.starts_with("ok sub=alice expires=") && !verdict.contains("not checked"));
    assert_eq!(check(&before).output, "bad: token revoked\n");
    place.run(&["user", "disable", "alice"]).success();
    assert!(check(&after).output.starts_with("bad: "));
    place.run(&["user", "rm", "alice"]).success();
    assert!(check(&after).output.starts_with("bad: "));
}

#[test]
fn a_token_that_no_server_would_take_is_minted_with_a_warning() {
    let place = Place::with_secret();
    let mint = |id| place.run(&["token", "mint", id]);
    mint("nobody").success();
    place
        .run(&["user", "add", "alice", "--no-password"])
        .success();
    mint("alice").success();
    place.run(&["user", "disable", "alice"]).success();
    for (id, warning) in [
        (
            "nobody",
            "there is no user \"nobody\"; `framegate user list` shows all",
        ),
        (
            "alice",
            "alice is disabled; `framegate user enable` lets the user in",
        ),
    ] {
        let minted = mint(id);
        assert_eq!(minted.output.matches('.').count(), 2);
        assert_eq!(minted.error, format!("framegate: warning: {warning}\n"));
        assert_eq!(minted.code, 0);
    }
}

#[test]
fn a_mint_after_several_revocations_says_how_long_to_wait() {
    let place = Place::with_secret();
    place
        .run(&["user", "add", "alice", "--no-password"])
        .success();
    for (leeway, advice) in [
        ("--leeway=30s", "; wait "),
        ("--leeway=10m", "; put the clock right, or wait "),
    ] {
        place.run(&["user", "revoke", "alice", leeway]).success();
        let line = place.run(&["token", "mint", "alice"]).failure();
        assert!(
            line.starts_with("the tokens of alice are void until "),
            "{line}"
        );
        assert!(line.contains(advice), "{line}");
    }
}

#[test]
fn every_line_gets_a_verdict_and_one_bad_token_fails_the_command() {
    let place = Place::with_secret();
    let token = place.run(&["token", "mint", "alice"]).success();
    let token = token.trim_end();
    let input = format!(
        "{token}\r\n\n{token}x\n{}\n\u{1b}\n{token}",
        "A".repeat(100_000)
    );
    let outcome = place.run_with(&["token", "check"], &[], &input);
    let verdicts: Vec<&str> = outcome.output.lines().collect();
    assert!(verdicts[0].starts_with("ok sub=alice"));
    assert_eq!(
        verdicts[1],
        "bad: the signature is not 32 bytes in base64url"
    );
    assert_eq!(verdicts[2], "bad: longer than 4096 bytes");
    assert_eq!(
        verdicts[3],
        "bad: not three parts with two dots between them"
    );
    assert_eq!(verdicts[4], verdicts[0]);
    assert_eq!(verdicts.len(), 5);
    assert!(!outcome.output.contains(token) && !outcome.error.contains(token));
    assert_eq!(outcome.failure(), "bad tokens: 3 of 5");
}

#[test]
fn the_value_of_a_header_is_told_to_be_no_token() {
    let place = Place::with_secret();
    let token = place.run(&["token", "mint", "alice"]).success();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let line = format!("{scheme} {token}");
        let outcome = place.run_with(&["token", "check"], &[], &line);
        assert_eq!(
            outcome.output,
            "bad: it begins with \"Bearer \", as the value of a header does; give the token \
             alone\n"
        );
        assert_eq!(outcome.failure(), "bad tokens: 1 of 1");
    }
}

#[test]
fn no_token_at_all_is_not_taken_for_good() {
    let line = Place::with_secret().run(&["token", "check"]).failure();
    assert_eq!(
        line,
        "no token came; give tokens on standard input, one a line"
    );
}

#[test]
fn an_id_that_is_none_gets_no_token() {
    let place = Place::with_secret();
    for id in ["", "a b", "é", &"i".repeat(129)] {
        let line = place.run(&["token", "mint", id]).refusal();
        assert_eq!(
            line,
            "a subject has 1 to 128 printable ASCII characters and no spaces"
        );
    }
    assert!(
        place
            .run(&["token", "mint", &"i".repeat(128)])
            .success()
            .len()
            > 128
    );
    let line = place.run(&["token", "mint", "a", "--ttl", "0s"]).refusal();
    assert!(line.starts_with("--ttl must be a duration"), "{line}");
}

#[test]
fn check_says_whether_serve_would_start_and_makes_nothing() {
    let place = Place::with_secret();
    assert_eq!(
        place.run(&["check"]).refusal(),
        "there is no user database framegate.db; restore it, or make one with `framegate serve --init` or `framegate user add`"
    );
    assert_eq!(place.names(), [".env"]);
}

#[test]
fn check_says_of_a_unix_socket_what_serve_would_say() {
    let place = Place::with_secret();
    place
        .run(&["user", "add", "alice", "--no-password"])
        .success();
    for (path, line) in [
        (
            "nowhere/x",
            "there is no such directory; make it, or choose another --listen",
        ),
        (
            ".env",
            "a plain file stands there; remove it, or choose another --listen",
        ),
    ] {
        let listen = format!("--listen=unix:{path}");
        let line = format!("cannot listen on unix:{path}: {line}");
        assert_eq!(place.run(&["serve", &listen]).failure(), line);
        assert_eq!(place.run(&["check", &listen]).failure(), line);
    }
    assert_eq!(place.names(), [".env", "framegate.db"]);
}

#[test]
fn proxy_headers_that_nobody_may_send_stop_check_and_serve() {
    let place = Place::with_secret();
    for command in ["check", "serve"] {
        assert_eq!(
            place.run(&[command, "--proxy-protocol"]).refusal(),
            "PROXY_PROTOCOL is true (--proxy-protocol), but must be false unless TRUSTED_PROXIES \
             names the proxies that connect to 127.0.0.1:7420"
        );
    }
}

#[test]
fn a_database_that_is_none_stops_the_start_and_stays_as_it_is() {
    let place = Place::with_secret();
    let path = place.0.join("framegate.db");
    fs::write(&path, "not a database, and long enough to be told from one").unwrap();
    let line = place.run(&["serve", "--init"]).failure();
    assert_eq!(
        line,
        "framegate.db is not a framegate database; name another file"
    );
    assert!(
        fs::read_to_string(&path)
            .unwrap()
            .starts_with("not a database")
    );
}

#[test]
fn what_init_cannot_make_whole_it_does_not_make() {
    let place = Place::new();
    let line = place
        .run(&["serve", "--init", "--db", "nowhere/users.db"])
        .failure();
    assert!(
        line.starts_with("cannot open the user database nowhere/users.db"),
        "{line}"
    );
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn init_makes_what_is_missing_and_a_second_start_makes_nothing() {
    let place = Place::new();
    let told = place.start(&["--init", "--listen", "unix:first.sock"]);
    assert!(
        told.starts_with(
            "made .env with a random LOCAL_JWT_SECRET\nmade the user admin in framegate.db\n"
        ),
        "{told}"
    );
    let password = told
        .split_once("password: ")
        .unwrap()
        .1
        .lines()
        .next()
        .unwrap();
    assert_eq!(password.len(), 23);
    let frame = format!(r#"{{"event":"login","data":{{"id":"admin","password":"{password}"}}}}"#);
    assert!(told.contains(&frame), "{told}");
    assert!(
        told.contains("websocat -t --ws-c-uri=ws://localhost/ws - ws-c:unix:first.sock"),
        "{told}"
    );

    let env_file = place.0.join(".env");
    assert_eq!(
        fs::metadata(&env_file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let text = fs::read_to_string(&env_file).unwrap();
    assert_eq!(text.len(), "LOCAL_JWT_SECRET=".len() + 43 + 1);
    assert!(place.names().iter().all(|name| !name.contains("draft")));
    place.run(&["check"]).success();

    assert_eq!(place.start(&["--init", "--listen", "unix:second.sock"]), "");
    assert_eq!(fs::read_to_string(&env_file).unwrap(), text);
}

#[test]
fn init_needs_no_env_file_where_the_secret_is_in_the_environment() {
    let place = Place::new();
    let told = place.start_with(
        &["--init", "--listen", "unix:f.sock"],
        &[("LOCAL_JWT_SECRET", SECRET)],
    );
    assert!(
        told.starts_with("made the user admin in framegate.db\n"),
        "{told}"
    );
    assert!(!place.names().contains(&".env".to_owned()));
}

#[test]
fn init_makes_the_first_user_of_a_database_that_was_left_empty() {
    let place = Place::with_secret();
    fs::write(place.0.join("framegate.db"), "").unwrap();
    let told = place.start(&["--init", "--listen", "unix:f.sock"]);
    assert!(
        told.starts_with("made the user admin in framegate.db\n"),
        "{told}"
    );
}

#[test]
fn a_reader_that_is_gone_is_no_news() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_framegate"))
        .arg("help")
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(done.stderr).unwrap(), "");
    assert!(done.status.code().is_some());
}
