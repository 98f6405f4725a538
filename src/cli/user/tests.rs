use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;

use super::super::Terminal;
use super::*;
use crate::app::password::{AddressSpace, Verdict, verify};
use crate::app::users::StoreError;
use crate::app::users::tests::TemporaryDirectory;
use crate::limits::{PASSWORD_MEMORY_KIB_MIN, USER_NAME_BYTES_MAX};
use crate::time::UnixSeconds;

const NOW: UnixSeconds = UnixSeconds(1_795_515_630);

thread_local! {
    /// The readings of the clock still to come; the last stays.
    static CLOCK: RefCell<VecDeque<UnixSeconds>> = const { RefCell::new(VecDeque::new()) };
}

/// The clock of the commands: `NOW`, unless [`set_clock`] said otherwise.
fn read_clock() -> UnixSeconds {
    CLOCK.with_borrow_mut(|readings| match readings.len() {
        0 => NOW,
        1 => readings[0],
        _ => readings.pop_front().unwrap_or(NOW),
    })
}

fn set_clock(readings: &[u64]) {
    CLOCK.set(readings.iter().copied().map(UnixSeconds).collect());
}

/// A database of its own, and the world of a command around it.
pub(in super::super) struct Desk {
    directory: TemporaryDirectory,
    pub(in super::super) input: Vec<u8>,
    /// What a person answers; `None` where nobody sits at a terminal.
    answers: Option<VecDeque<&'static str>>,
    pub(in super::super) progress: Vec<u8>,
}

impl Desk {
    pub(in super::super) fn new() -> Desk {
        Desk {
            directory: TemporaryDirectory::new(),
            input: Vec::new(),
            answers: None,
            progress: Vec::new(),
        }
    }

    fn with_person(answers: &[&'static str]) -> Desk {
        Desk {
            answers: Some(answers.iter().copied().collect()),
            ..Desk::new()
        }
    }

    pub(in super::super) fn file(&self, name: &str) -> String {
        self.directory.file(name).to_str().unwrap().to_owned()
    }

    /// Runs `user` with `line`, its words parted by spaces; gives what it printed.
    pub(in super::super) fn run(&mut self, line: &str) -> Result<String, CliError> {
        self.run_words(&line.split_whitespace().collect::<Vec<_>>())
    }

    fn run_words(&mut self, words: &[&str]) -> Result<String, CliError> {
        let settings = [
            format!("--db={}", self.file("users.db")),
            format!("--password-memory={PASSWORD_MEMORY_KIB_MIN}KiB"),
            format!("--env-file={}", self.file("empty.env")),
        ];
        std::fs::write(self.file("empty.env"), "").unwrap();
        let words = words.iter().map(|word| word.to_string()).chain(settings);
        let mut output = Vec::new();
        let mut context = Context {
            environment: Vec::new(),
            input: &mut self.input.as_slice(),
            output: &mut output,
            terminal: self.answers.as_mut().map(|it| it as &mut dyn Terminal),
            progress: Some(&mut self.progress),
            clock: read_clock,
        };
        run(Arguments::new(words.map(Into::into)), &mut context)?;
        Ok(String::from_utf8(output).unwrap())
    }

    pub(in super::super) fn error(&mut self, line: &str) -> String {
        self.run(line).unwrap_err().to_string()
    }

    pub(in super::super) fn store(&self) -> SqliteStore {
        let path = self.directory.file("users.db");
        SqliteStore::open(&path, Mode::Administer).unwrap()
    }

    pub(in super::super) fn user(&self, id: &str) -> User {
        self.store().user(id).unwrap().unwrap()
    }

    fn database_is_there(&self) -> bool {
        self.directory.file("users.db").exists()
    }
}

impl Terminal for VecDeque<&'static str> {
    fn ask(&mut self, _: &str) -> io::Result<Zeroizing<String>> {
        match self.pop_front() {
            Some(answer) => Ok(Zeroizing::new(answer.to_owned())),
            None => Err(ErrorKind::Interrupted.into()),
        }
    }
}

pub(in super::super) fn logs_in(user: &User, password: &str) -> bool {
    let space = AddressSpace::Limited;
    verify(user.login_hash(), password, PASSWORD_MEMORY_KIB_MIN, space) == Verdict::Right
}

#[test]
fn a_user_added_without_a_password_is_shown() {
    let mut desk = Desk::new();
    let words = ["add", "alice", "--name", "Alice Ω", "--no-password"];
    assert_eq!(desk.run_words(&words).unwrap(), "added alice\n");
    assert_eq!(
        desk.run("show alice").unwrap(),
        "id: alice\nname: Alice Ω\ncreatedAt: 2026-11-24T10:20:30Z\ndisabled: no\n\
         password: none\ntokensValidFrom: none\n"
    );
}

#[test]
fn a_user_without_a_name_is_called_by_the_id() {
    let mut desk = Desk::new();
    desk.run("add alice --no-password").unwrap();
    assert_eq!(&*desk.user("alice").name, "alice");
}

#[test]
fn a_password_is_the_first_line_of_standard_input() {
    for (input, password) in [
        ("correct horse\n", "correct horse"),
        ("correct horse\r\nmore\n", "correct horse"),
        ("  spaces count ", "  spaces count "),
    ] {
        let mut desk = Desk::new();
        desk.input = input.into();
        desk.run("add alice --password-stdin").unwrap();
        assert!(logs_in(&desk.user("alice"), password), "{input:?}");
    }
}

#[test]
fn a_password_that_cannot_be_one_adds_nobody() {
    for (input, reason) in [
        ("", "the password is empty"),
        ("\n", "the password is empty"),
        ("a\0b\n", "the password holds a NUL byte"),
        (
            &"x".repeat(PASSWORD_BYTES_MAX + 1),
            "the password is longer than 1024 bytes",
        ),
    ] {
        let mut desk = Desk::new();
        desk.input = input.into();
        assert_eq!(desk.error("add alice --password-stdin"), reason);
        assert_eq!(desk.store().user("alice"), Ok(None));
    }
    let mut desk = Desk::new();
    desk.input = b"\xff\n".to_vec();
    assert_eq!(
        desk.error("add alice --password-stdin"),
        "the password is not UTF-8"
    );
}

#[test]
fn a_person_types_the_password_twice() {
    let mut desk = Desk::with_person(&["correct horse", "correct horse"]);
    assert_eq!(desk.run("add alice").unwrap(), "added alice\n");
    assert!(logs_in(&desk.user("alice"), "correct horse"));
}

#[test]
fn a_person_who_types_two_passwords_adds_nobody() {
    let mut desk = Desk::with_person(&["correct horse", "correct house"]);
    assert!(matches!(
        desk.run("add alice"),
        Err(CliError::PasswordsDiffer)
    ));
    assert_eq!(desk.store().user("alice"), Ok(None));
}

#[test]
fn a_person_who_types_no_password_is_not_asked_again() {
    let mut desk = Desk::with_person(&["", "asked again"]);
    assert_eq!(desk.error("add alice"), "the password is empty");
    assert_eq!(desk.answers.unwrap(), ["asked again"]);
}

#[test]
fn a_person_who_gives_up_changes_nothing() {
    let mut desk = Desk::with_person(&["correct horse"]);
    assert!(matches!(desk.run("add alice"), Err(CliError::GivenUp)));
    assert_eq!(desk.store().user("alice"), Ok(None));
}

#[test]
fn nobody_is_asked_for_what_cannot_be() {
    let mut desk = Desk::with_person(&["correct horse", "correct horse"]);
    desk.run("add bob --no-password").unwrap();
    let long = "x".repeat(USER_NAME_BYTES_MAX + 1);
    for (words, reason) in [
        (["add", "a b", "--name=A"], "an id is 1 to 128 printable"),
        (["add", "", "--name=A"], "an id is 1 to 128 printable"),
        (["add", "alice", "--name="], "a name is 1 to 256 bytes"),
        (
            ["add", "alice", &format!("--name={long}")],
            "a name is 1 to 256 bytes",
        ),
        (
            ["add", "bob", "--name=B"],
            "there is a user \"bob\" already",
        ),
    ] {
        let error = desk.run_words(&words).unwrap_err().to_string();
        assert!(error.starts_with(reason), "{error}");
    }
    let error = desk.error("passwd alice");
    assert_eq!(
        error,
        "there is no user \"alice\"; `framegate user list` shows all"
    );
    assert_eq!(desk.answers.unwrap().len(), 2);
}

#[test]
fn without_a_terminal_nothing_is_made() {
    let mut desk = Desk::new();
    for line in ["add alice", "passwd alice"] {
        let error = desk.run(line).unwrap_err();
        assert!(matches!(error, CliError::NobodyToAsk));
        assert_eq!(error.exit_code(), 2);
    }
    assert!(!desk.database_is_there());
}

#[test]
fn an_id_that_is_taken_is_not_added_again() {
    let mut desk = Desk::new();
    desk.run("add alice --no-password --name First").unwrap();
    let error = desk
        .run("add alice --no-password --name Second")
        .unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert_eq!(&*desk.user("alice").name, "First");
}

#[test]
fn a_password_is_replaced_and_taken_away() {
    let mut desk = Desk::with_person(&["new horse", "new horse"]);
    desk.input = b"old horse\n".to_vec();
    desk.run("add alice --password-stdin").unwrap();
    assert_eq!(
        desk.run("passwd alice").unwrap(),
        "set the password of alice; tokens issued before are void\n"
    );
    assert!(!logs_in(&desk.user("alice"), "old horse"));
    assert!(logs_in(&desk.user("alice"), "new horse"));
    desk.run("passwd alice --no-password").unwrap();
    assert_eq!(desk.user("alice").password_hash, None);
}

#[test]
fn a_user_is_disabled_enabled_revoked_and_removed() {
    let mut desk = Desk::new();
    desk.run("add alice --no-password").unwrap();
    assert_eq!(desk.run("disable alice").unwrap(), "disabled alice\n");
    assert!(desk.user("alice").disabled);
    assert_eq!(desk.run("enable alice").unwrap(), "enabled alice\n");
    assert!(!desk.user("alice").disabled);
    desk.run("revoke alice").unwrap();
    // A token of this very second is void too.
    assert_eq!(desk.user("alice").tokens_valid_from, Some(NOW.plus(1)));
    assert_eq!(desk.run("rm alice").unwrap(), "removed alice\n");
    assert_eq!(desk.store().user("alice"), Ok(None));
}

fn valid_from(desk: &Desk) -> Option<u64> {
    desk.user("alice").tokens_valid_from.map(|from| from.0)
}

#[test]
fn a_new_password_voids_the_tokens_unless_they_are_to_be_kept() {
    let mut desk = Desk::new();
    desk.input = b"old horse\n".to_vec();
    desk.run("add alice --password-stdin").unwrap();
    desk.input = b"new horse\n".to_vec();
    assert_eq!(
        desk.run("passwd alice --password-stdin --keep-tokens")
            .unwrap(),
        "set the password of alice; tokens issued before stay good\n"
    );
    assert_eq!(valid_from(&desk), None);
    assert_eq!(
        desk.run("passwd alice --no-password").unwrap(),
        "took the password of alice away; tokens issued before are void\n"
    );
    assert_eq!(valid_from(&desk), Some(NOW.0 + 1));
}

#[test]
fn tokens_that_are_dated_ahead_by_the_leeway_are_void_too() {
    for command in ["revoke alice", "passwd alice --no-password"] {
        let mut desk = Desk::new();
        desk.run("add alice --no-password").unwrap();
        desk.run(&format!("{command} --leeway 600s")).unwrap();
        assert_eq!(valid_from(&desk), Some(NOW.0 + 601), "{command}");
    }
}

#[test]
fn an_id_that_is_added_again_begins_with_its_tokens_void_until_now() {
    let mut desk = Desk::new();
    desk.run("add alice --no-password").unwrap();
    assert_eq!(valid_from(&desk), None);
    desk.run("rm alice").unwrap();
    desk.run("add alice --no-password --leeway 600s").unwrap();
    assert!(valid_from(&desk) >= Some(NOW.0 + 601));
}

/// Others sign tokens by their clock until they see the commit.
#[test]
fn a_revocation_whose_commit_outlasts_its_second_is_set_again() {
    for command in ["revoke alice", "passwd alice --no-password"] {
        let mut desk = Desk::new();
        desk.run("add alice --no-password").unwrap();
        // Within the first transaction, and from then on.
        set_clock(&[NOW.0, NOW.0 + 2]);
        desk.run(command).unwrap();
        assert_eq!(valid_from(&desk), Some(NOW.0 + 3), "{command}");
        set_clock(&[]);
    }
}

#[test]
fn a_clock_that_was_wrong_neither_spares_a_token_nor_locks_its_user_out() {
    let mut desk = Desk::new();
    desk.run("add alice --no-password").unwrap();
    set_clock(&[100]);
    desk.run("revoke alice").unwrap();
    assert_eq!(valid_from(&desk), Some(NOW.0 + 1));
    set_clock(&[NOW.0 + 864_000]);
    desk.run("revoke alice").unwrap();
    assert_eq!(valid_from(&desk), Some(NOW.0 + 864_001));
    set_clock(&[NOW.0 + 10]);
    desk.run("revoke alice").unwrap();
    assert_eq!(valid_from(&desk), Some(NOW.0 + 11));
    set_clock(&[]);
}

#[test]
fn a_user_who_is_not_there_is_told_by_every_command() {
    let mut desk = Desk::new();
    desk.run("add alice --no-password").unwrap();
    for command in [
        "show",
        "rm",
        "disable",
        "enable",
        "revoke",
        "passwd --no-password",
    ] {
        let error = desk.run(&format!("{command} nobody")).unwrap_err();
        assert!(matches!(&error, CliError::NoSuchUser { id } if id == "nobody"));
        assert_eq!(error.exit_code(), 1);
    }
}

#[test]
fn only_who_adds_users_makes_a_database() {
    let mut desk = Desk::new();
    for command in [
        "list",
        "show alice",
        "rm alice",
        "passwd alice --no-password",
        "disable alice",
        "enable alice",
        "revoke alice",
    ] {
        let error = desk.run(command).unwrap_err();
        assert!(matches!(error, CliError::Store(StoreError::Missing { .. })));
        assert_eq!(error.exit_code(), 2);
        assert!(!desk.database_is_there(), "{command}");
    }
    desk.run("add alice --no-password").unwrap();
    let told = String::from_utf8(std::mem::take(&mut desk.progress)).unwrap();
    assert!(told.starts_with("made the user database /"), "{told}");
    desk.run("add bob --no-password").unwrap();
    assert!(desk.progress.is_empty());
}

#[test]
fn the_list_is_a_line_a_user_with_tabs_between() {
    let mut desk = Desk::new();
    drop(desk.store());
    const HEADER: &str = "id\tname\tcreatedAt\tdisabled\tpassword\ttokensValidFrom\n";
    assert_eq!(desk.run("list").unwrap(), HEADER);
    desk.input = b"correct horse\n".to_vec();
    desk.run("add bob --password-stdin").unwrap();
    desk.run("add alice --no-password").unwrap();
    desk.run("disable alice").unwrap();
    desk.run("revoke bob").unwrap();
    assert_eq!(
        desk.run("list").unwrap(),
        format!(
            "{HEADER}alice\talice\t2026-11-24T10:20:30Z\tyes\tnone\tnone\n\
             bob\tbob\t2026-11-24T10:20:30Z\tno\tset\t2026-11-24T10:20:31Z\n"
        )
    );
}

#[test]
fn a_name_put_there_by_others_cannot_disturb_the_terminal() {
    let mut desk = Desk::new();
    let mut mallory = User::new("mallory", "x", None, NOW).unwrap();
    mallory.name = "\u{1b}[2J\tO'Neill\n".into();
    assert_eq!(desk.store().add(&mallory), Ok(true));
    let shown = desk.run("show mallory").unwrap();
    assert!(shown.contains("name: \\u{1b}[2J\\tO'Neill\\n\n"), "{shown}");
}

#[test]
fn a_command_line_that_is_not_understood_makes_nothing() {
    let mut desk = Desk::new();
    for (line, reason) in [
        ("", "user needs a command: add, show, list, rm"),
        ("ad alice", "there is no command \"ad\"; did you mean add?"),
        ("add", "user add needs an id: user add ID"),
        (
            "remove alice",
            "there is no command \"remove\"; did you mean rm?",
        ),
        (
            "delete alice",
            "there is no command \"delete\"; did you mean rm?",
        ),
        (
            "foo",
            "there is no such command; there are add, show, list, rm, passwd, disable, enable, \
             revoke, import",
        ),
        (
            "add alice hunter2-horse",
            "an argument too many, not shown since it may be a secret; --help says what is taken",
        ),
        (
            "passwd alice hunter2-horse",
            "an argument too many, not shown since it may be a secret; --help says what is taken",
        ),
        (
            "passwd alice --password-stdin=hunter2-horse",
            "--password-stdin takes no value, give it alone; what was given is not shown",
        ),
        ("list alice", "an argument too many"),
        ("show é", "an id is 1 to 128 printable"),
        ("show alice --no-password", "there is no such option here"),
        ("passwd alice --name A", "there is no option --name here"),
        (
            "add alice --password secret",
            "there is no option --password, for everybody",
        ),
        ("import", "user import needs a file"),
        (
            "add alice --no-password --password-stdin",
            "--password-stdin and --no-password exclude one another",
        ),
    ] {
        let error = desk.run(line).unwrap_err();
        assert!(error.to_string().starts_with(reason), "{line}: {error}");
        assert_eq!(error.exit_code(), 2, "{line}");
    }
    assert!(!desk.database_is_there());
}

#[test]
fn help_is_printed_wherever_it_is_asked_for() {
    let mut desk = Desk::new();
    for line in [
        "--help",
        "add --help",
        "list -h",
        "import users.jsonl --help",
    ] {
        assert!(
            desk.run(line)
                .unwrap()
                .contains("Usage: framegate user add ID")
        );
    }
    for command in COMMANDS {
        let help = desk.run("--help").unwrap();
        let name = command.name.name;
        assert!(help.contains(name), "{name}");
    }
    assert!(!desk.database_is_there());
}

#[test]
fn a_file_that_is_no_database_is_told() {
    let mut desk = Desk::new();
    std::fs::write(desk.file("users.db"), "hello, this is not a database").unwrap();
    let error = desk.run("add alice --no-password").unwrap_err();
    assert!(matches!(error, CliError::Store(StoreError::NotOurs { .. })));
    assert_eq!(error.exit_code(), 1);
}
