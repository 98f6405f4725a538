//! A file of users to import, against a model that reads each line by serde_json.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::json::members;
use framegate::internals::app::password::{PasswordHash, check_password};
use framegate::internals::cli::CliError;
use framegate::internals::cli::import::{self, Entry};
use framegate::internals::limits::{
    IMPORT_LINE_BYTES_MAX, PASSWORD_BYTES_MAX, SUBJECT_BYTES_MAX, USER_NAME_BYTES_MAX,
};
use framegate::internals::time::UnixSeconds;

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

/// Every line makes the user that the model finds in it, or the error names the first line
/// that makes none, and its text would be the same with another password.
pub fn user_import(input: &[u8]) {
    let lines = lines(input);
    match (import::read(&mut &*input, NOW), model(&lines)) {
        (Ok(entries), Ok(users)) => assert_same(&entries, &users),
        (Err(error), Err(bad_line)) => assert_told(&error, bad_line, &lines),
        (ours, model) => assert_eq!(told(ours), model.err().map(|line| line.to_string())),
    }
}

/// The lines without their ends: a line feed, or a carriage return and one.
fn lines(input: &[u8]) -> Vec<&[u8]> {
    let lines = input.split_inclusive(|byte| *byte == b'\n');
    lines
        .map(|line| match line.strip_suffix(b"\n") {
            Some(content) => content.strip_suffix(b"\r").unwrap_or(content),
            None => line,
        })
        .collect()
}

/// A user as a line has it.
struct ModelUser {
    line: u64,
    id: String,
    name: String,
    password: Option<String>,
    hash: Option<String>,
}

/// The users, or the number of the first line that makes none.
fn model(lines: &[&[u8]]) -> Result<Vec<ModelUser>, u64> {
    let (mut users, mut ids) = (Vec::new(), BTreeSet::new());
    for (line, content) in (1..).zip(lines) {
        let is_short = content.len() <= IMPORT_LINE_BYTES_MAX;
        let mark = content.strip_prefix("\u{feff}".as_bytes());
        let content = mark.filter(|_| line == 1).unwrap_or(content);
        if is_short && content.trim_ascii().is_empty() {
            continue;
        }
        let user = model_user(line, content).filter(|_| is_short).ok_or(line)?;
        if !ids.insert(user.id.clone()) {
            return Err(line);
        }
        users.push(user);
    }
    Ok(users)
}

/// `{"id","name"?,"password"?,"passwordHash"?}`, each once, each a string that can be one.
fn model_user(line: u64, content: &[u8]) -> Option<ModelUser> {
    let text = str::from_utf8(content).ok()?;
    serde_json::from_str::<Value>(text).ok()?;
    let members = members(text)?;
    let take = |name: &str| {
        let mut values = members.iter().filter(|member| member.name == name);
        let value = values.next().map(|member| member.value.as_str());
        match (value, values.next()) {
            (None, _) => Ok(None),
            (Some(Some(text)), None) => Ok(Some(text.to_owned())),
            _ => Err(()),
        }
    };
    let (id, name) = (take("id").ok()??, take("name").ok()?);
    let has_name = name.is_some();
    let user = ModelUser {
        line,
        name: name.unwrap_or_else(|| id.clone()),
        id,
        password: take("password").ok()?,
        hash: take("passwordHash").ok()?,
    };
    let given = 1
        + usize::from(has_name)
        + usize::from(user.password.is_some())
        + usize::from(user.hash.is_some());
    (members.len() == given && user.is_sound()).then_some(user)
}

/// Line and paragraph ends; marks, embeddings, overrides and isolates of Unicode Standard Annex 9 §2;
/// what else takes no room or shows nothing.
const HIDING: &[RangeInclusive<char>] = &[
    '\u{2028}'..='\u{2029}',
    '\u{202A}'..='\u{202E}',
    '\u{2066}'..='\u{2069}',
    '\u{200E}'..='\u{200F}',
    '\u{61C}'..='\u{61C}',
    '\u{AD}'..='\u{AD}',
    '\u{34F}'..='\u{34F}',
    '\u{600}'..='\u{605}',
    '\u{6DD}'..='\u{6DD}',
    '\u{70F}'..='\u{70F}',
    '\u{115F}'..='\u{1160}',
    '\u{17B4}'..='\u{17B5}',
    '\u{180E}'..='\u{180E}',
    '\u{200B}'..='\u{200B}',
    '\u{2060}'..='\u{2065}',
    '\u{206A}'..='\u{206F}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{FEFF}'..='\u{FEFF}',
    '\u{FFA0}'..='\u{FFA0}',
    '\u{FFF9}'..='\u{FFFB}',
    '\u{1D173}'..='\u{1D17A}',
    '\u{E0000}'..='\u{E007F}',
];

impl ModelUser {
    fn is_sound(&self) -> bool {
        let joins =
            |c: char| "\u{200C}\u{200D}".contains(c) || ('\u{FE00}'..='\u{FE0F}').contains(&c);
        let hides = |c: char| c.is_control() || HIDING.iter().any(|range| range.contains(&c));
        (1..=SUBJECT_BYTES_MAX).contains(&self.id.len())
            && self.id.bytes().all(|byte| byte.is_ascii_graphic())
            && (1..=USER_NAME_BYTES_MAX).contains(&self.name.len())
            && !self.name.chars().any(hides)
            && !self.name.chars().all(|c| c.is_whitespace() || joins(c))
            && self.password.as_ref().is_none_or(|password| {
                (1..=PASSWORD_BYTES_MAX).contains(&password.len()) && !password.contains('\0')
            })
            && (self.password.is_none() || self.hash.is_none())
            // What a hash may be is argon2's to say: here the model takes our word.
            && self.hash.as_ref().is_none_or(|hash| PasswordHash::parse(hash).is_ok())
    }
}

fn assert_same(entries: &[Entry], users: &[ModelUser]) {
    assert_eq!(entries.len(), users.len());
    for (entry, user) in entries.iter().zip(users) {
        assert_eq!(entry.line, user.line);
        assert_eq!(
            (&*entry.user.id, &*entry.user.name),
            (&*user.id, &*user.name)
        );
        let password = entry.password.as_ref().map(|password| &***password);
        assert_eq!(password, user.password.as_deref());
        let hash = entry.user.password_hash.as_ref().map(PasswordHash::as_str);
        assert_eq!(hash, user.hash.as_deref());
    }
}

/// A line of text that names the line that is bad.
fn assert_told(error: &CliError, bad_line: u64, lines: &[&[u8]]) {
    let told = error.to_string();
    assert!(
        told.starts_with(&format!("line {bad_line}: ")),
        "{told}, not line {bad_line}"
    );
    assert!(!told.contains(char::is_control), "{told:?}");
    let content = lines
        .get(bad_line as usize - 1)
        .copied()
        .unwrap_or_default();
    if let Some((one, other)) = with_other_passwords(content) {
        let read = |line: &str| import::read(&mut line.as_bytes(), NOW);
        assert_eq!(self::told(read(&one)), self::told(read(&other)));
    }
}

fn told(outcome: Result<Vec<Entry>, CliError>) -> Option<String> {
    outcome.err().map(|error| error.to_string())
}

/// The line, written anew, and the same line with passwords that are as good or as bad; `None`
/// where there is no such line.
fn with_other_passwords(content: &[u8]) -> Option<(String, String)> {
    let text = str::from_utf8(content).ok()?;
    serde_json::from_str::<Value>(text).ok()?;
    let members = members(text)?;
    let write = |password: fn(&str) -> String| {
        let members = members.iter().map(|member| {
            let value = match (&*member.name, &member.value) {
                ("password", Value::String(text)) => Value::String(password(text)),
                (_, value) => value.clone(),
            };
            format!("{}:{value}", Value::String(member.name.clone()))
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    };
    let other = |text: &str| match check_password(text) {
        Ok(()) => "x".repeat(text.len()),
        Err(_) => text.to_owned(),
    };
    let (one, other) = (write(str::to_owned), write(other));
    (one.len().max(other.len()) <= IMPORT_LINE_BYTES_MAX).then_some((one, other))
}
