use super::super::user::tests::{Desk, logs_in};
use super::*;
use crate::app::password::hash;
use crate::limits::{PASSWORD_BYTES_MAX, PASSWORD_MEMORY_KIB_MIN};

/// Imports `lines` from standard input, and puts the outcome into words.
fn import(desk: &mut Desk, lines: &str) -> String {
    desk.input = lines.into();
    desk.run("import -")
        .unwrap_or_else(|error| error.to_string())
}

fn count(desk: &Desk) -> usize {
    let mut count = 0;
    let counted = desk.store().list(|_| {
        count += 1;
        std::ops::ControlFlow::Continue(())
    });
    counted.map(|()| count).unwrap()
}

#[test]
fn users_are_imported_with_a_password_a_hash_or_neither() {
    let mut desk = Desk::new();
    let theirs = hash("their horse", [7; 16], PASSWORD_MEMORY_KIB_MIN).unwrap();
    let lines = format!(
        "{{\"id\":\"alice\",\"name\":\"Alice\",\"password\":\"correct \\u0068orse\"}}\n\
         \n\
         {{\"id\":\"bob\",\"name\":\"Bob\",\"passwordHash\":\"{}\"}}\r\n\
         {{\"name\":\"Carol\",\"id\":\"carol\"}}",
        theirs.as_str()
    );
    assert_eq!(import(&mut desk, &lines), "imported users: 3\n");
    assert!(logs_in(&desk.user("alice"), "correct horse"));
    assert!(logs_in(&desk.user("bob"), "their horse"));
    assert_eq!(desk.user("carol").password_hash, None);
    assert_eq!(&*desk.user("carol").name, "Carol");
    assert_eq!(desk.user("carol").created_at, UnixSeconds(1_795_515_630));
}

#[test]
fn users_are_imported_from_a_file() {
    let mut desk = Desk::new();
    let path = desk.file("users.jsonl");
    std::fs::write(&path, "{\"id\":\"alice\",\"name\":\"Alice\"}\n").unwrap();
    assert_eq!(
        desk.run(&format!("import {path}")).unwrap(),
        "imported users: 1\n"
    );
    assert_eq!(count(&desk), 1);
}

#[test]
fn a_file_that_cannot_be_read_is_told_by_its_name() {
    let mut desk = Desk::new();
    let missing = desk.file("nowhere.jsonl");
    let error = desk.run(&format!("import {missing}")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot read {missing}: No such"))
    );
    let directory = desk.file(".");
    let error = desk.run(&format!("import {directory}")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot read {directory}: Is a dir"))
    );
}

#[test]
fn a_user_without_a_name_is_called_by_the_id_also_after_a_byte_order_mark() {
    let mut desk = Desk::new();
    let lines = "\u{feff}{\"id\":\"alice\"}\n{\"id\":\"bob\",\"name\":\"Bob\"}\n";
    assert_eq!(import(&mut desk, lines), "imported users: 2\n");
    assert_eq!(&*desk.user("alice").name, "alice");
    assert_eq!(&*desk.user("bob").name, "Bob");
    // Further on it is no mark of a file's beginning.
    desk.input = "{\"id\":\"carol\"}\n\u{feff}{\"id\":\"dave\"}\n".into();
    let error = desk.error("import -");
    assert!(
        error.starts_with("line 2: it is not one JSON object"),
        "{error}"
    );
}

#[test]
fn an_empty_file_imports_nobody() {
    let mut desk = Desk::new();
    for lines in ["", "\n", " \r\n\n"] {
        assert_eq!(import(&mut desk, lines), "imported users: 0\n");
    }
}

#[test]
fn one_bad_line_is_named_and_nothing_is_imported() {
    let mut desk = Desk::new();
    desk.run("add taken --no-password").unwrap();
    let phc = |cost: &str| {
        format!("\"passwordHash\":\"$argon2id$v=19${cost}$MDEyMzQ1Njc$AAAAAAAAAAAAAAAAAAAAAA\"")
    };
    for (bad, reason) in [
        (
            "nonsense",
            "it is not one JSON object and nothing else; a line reads like {\"id\"",
        ),
        ("[\"id\",\"name\"]", "it is JSON, but not an object"),
        (
            "{\"id\":\"x\",\"name\":\"X\"} {}",
            "it is not one JSON object and nothing else",
        ),
        (
            "{\"id\":\"x\",\"id\":\"y\",\"name\":\"X\"}",
            "it is an object with a repeated member",
        ),
        (
            "{\"id\":\"x\",\"name\":\"X\",\"admin\":true}",
            "a member is none of id, name, password and passwordHash",
        ),
        ("{\"id\":7,\"name\":\"X\"}", "id is not a string"),
        ("{\"id\":\"x\",\"name\":null}", "name is not a string"),
        (
            "{\"id\":\"x\",\"name\":\"X\",\"password\":null}",
            "password is not a string",
        ),
        ("{\"name\":\"X\"}", "id is missing"),
        (
            "{\"id\":\"x y\",\"name\":\"X\"}",
            "an id is 1 to 128 printable",
        ),
        ("{\"id\":\"x\",\"name\":\"\"}", "a name is 1 to 256 bytes"),
        (
            "{\"id\":\"x\",\"name\":\"a\\nb\"}",
            "a name is 1 to 256 bytes",
        ),
        (
            "{\"id\":\"x\",\"name\":\"X\",\"password\":\"\"}",
            "the password is empty",
        ),
        (
            "{\"id\":\"x\",\"name\":\"X\",\"password\":\"a\\u0000\"}",
            "the password holds a NUL",
        ),
        (
            "{\"id\":\"x\",\"name\":\"X\",\"passwordHash\":\"secret\"}",
            "the password hash is not a PHC",
        ),
        (
            &format!(
                "{{\"id\":\"x\",\"name\":\"X\",\"password\":\"p\",{}}}",
                phc("m=8,t=1,p=1")
            ),
            "it has both a password and a passwordHash",
        ),
        (
            &format!(
                "{{\"id\":\"x\",\"name\":\"X\",{}}}",
                phc("m=4194304,t=1,p=1")
            ),
            "the password hash asks for more than m=262144",
        ),
        (
            "{\"id\":\"first\",\"name\":\"X\"}",
            "its id stands in line 1 already",
        ),
        (
            "{\"id\":\"taken\",\"name\":\"X\"}",
            "there is a user \"taken\" already; take the line out, or remove the user first \
             (`framegate user rm`); nothing",
        ),
    ] {
        let lines = format!("{{\"id\":\"first\",\"name\":\"F\",\"password\":\"p\"}}\n\n{bad}\n");
        let outcome = import(&mut desk, &lines);
        let named = format!("line 3: {reason}");
        assert!(outcome.starts_with(&named), "{bad}: {outcome}");
        assert!(outcome.ends_with("; nothing was imported"), "{outcome}");
        assert_eq!(count(&desk), 1, "{bad}");
    }
    // All of that was found before a password was hashed.
    let progress = String::from_utf8_lossy(&desk.progress);
    assert!(!progress.contains("hashed"), "{progress}");
}

#[test]
fn a_line_that_is_not_utf8_is_refused() {
    let mut desk = Desk::new();
    desk.input = b"{\"id\":\"x\",\"name\":\"\xff\"}\n".to_vec();
    let error = desk.run("import -").unwrap_err().to_string();
    assert_eq!(error, "line 1: it is not UTF-8; nothing was imported");
}

#[test]
fn a_line_of_the_longest_length_is_taken_and_one_byte_more_refused() {
    let mut desk = Desk::new();
    let start = "{\"id\":\"alice\",\"name\":\"Alice\"";
    let spaces = " ".repeat(IMPORT_LINE_BYTES_MAX - start.len() - 1);
    let longest = format!("{start}{spaces}}}\n");
    assert_eq!(import(&mut desk, &longest), "imported users: 1\n");
    let longer = format!("{start} {spaces}}}\n").replace("alice", "carol");
    let outcome = import(&mut desk, &longer);
    assert_eq!(
        outcome,
        "line 1: it is longer than 8192 bytes; nothing was imported"
    );
    assert_eq!(count(&desk), 1);
}

#[test]
fn a_user_behind_many_spaces_is_not_passed_over() {
    let mut desk = Desk::new();
    let spaces = " ".repeat(IMPORT_LINE_BYTES_MAX + 3);
    let outcome = import(
        &mut desk,
        &format!("{spaces}{{\"id\":\"alice\",\"name\":\"Alice\"}}\n"),
    );
    assert_eq!(
        outcome,
        "line 1: it is longer than 8192 bytes; nothing was imported"
    );
}

#[test]
fn the_longest_password_fits_a_line() {
    let mut desk = Desk::new();
    let password = "\"".repeat(PASSWORD_BYTES_MAX);
    let escaped = password.replace('"', "\\u0022");
    let line = format!("{{\"id\":\"alice\",\"name\":\"Alice\",\"password\":\"{escaped}\"}}");
    assert_eq!(import(&mut desk, &line), "imported users: 1\n");
    assert!(logs_in(&desk.user("alice"), &password));
}

#[test]
fn progress_is_shown_of_the_passwords_that_are_hashed() {
    let mut desk = Desk::new();
    drop(desk.store());
    let lines = "{\"id\":\"a\",\"name\":\"A\",\"password\":\"p\"}\n\
                 {\"id\":\"b\",\"name\":\"B\"}\n\
                 {\"id\":\"c\",\"name\":\"C\",\"password\":\"p\"}\n";
    assert_eq!(import(&mut desk, lines), "imported users: 3\n");
    assert_eq!(desk.progress, b"\rhashed 1 of 2\rhashed 2 of 2\n");
}

#[test]
fn two_users_with_one_password_have_two_salts() {
    let mut desk = Desk::new();
    let lines = "{\"id\":\"a\",\"name\":\"A\",\"password\":\"p\"}\n\
                 {\"id\":\"b\",\"name\":\"B\",\"password\":\"p\"}\n";
    import(&mut desk, lines);
    assert_ne!(desk.user("a").password_hash, desk.user("b").password_hash);
}

#[test]
fn a_password_is_in_no_error_and_no_debug() {
    let now = UnixSeconds(0);
    let line = "{\"id\":\"x\",\"name\":\"X\",\"password\":\"sesame\",\"passwordHash\":\"sesame\"}";
    let error = parse(line.as_bytes(), now).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("sesame"));
}

#[test]
fn an_id_that_is_imported_again_begins_with_its_tokens_void_until_now() {
    let mut desk = Desk::new();
    let line = "{\"id\":\"alice\",\"name\":\"Alice\"}";
    import(&mut desk, line);
    desk.run("rm alice").unwrap();
    desk.input = line.into();
    assert_eq!(
        desk.run("import - --leeway=600s").unwrap(),
        "imported users: 1\n"
    );
    let alice = desk.user("alice");
    assert!(alice.tokens_valid_from > Some(alice.created_at.plus(600)));
}
