//! The user store's part in a recording: what it was asked and what it answered.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;

use super::lines::{push_text, text_bytes};
use super::mask::mask;
use super::recorder::Writer;
use crate::app::password::PasswordHash;
use crate::app::users::{Changes, StoreError, User, UserStore};
use crate::time::{Instant, UnixSeconds};

/// A store whose answers are recorded.
pub(super) struct RecordingStore {
    pub(super) store: Box<dyn UserStore>,
    pub(super) writer: Rc<RefCell<Writer>>,
}

impl RecordingStore {
    fn note<T>(&mut self, result: &Result<T, StoreError>, question: &str, answer: String) {
        let answer = match result {
            Ok(_) => answer,
            Err(_) => "fails".to_owned(),
        };
        self.writer
            .borrow_mut()
            .take(&format!("= {question} {answer}"));
    }
}

impl UserStore for RecordingStore {
    fn user(&mut self, id: &str) -> Result<Option<User>, StoreError> {
        let user = self.store.user(id);
        let answer = match &user {
            Ok(Some(user)) => show_user(user, &mut self.writer.borrow_mut()),
            _ => "none".to_owned(),
        };
        self.note(&user, &format!("user {}", quoted(id)), answer);
        user
    }

    fn changed(&mut self, now: Instant) -> Result<Changes, StoreError> {
        let changed = self.store.changed(now);
        self.note(&changed, "changed", show_changes(&changed));
        changed
    }

    fn check(&mut self) -> Result<(), StoreError> {
        let checked = self.store.check();
        self.note(&checked, "check", "true".to_owned());
        checked
    }
}

/// `none`, `all`, or the ids.
fn show_changes(changes: &Result<Changes, StoreError>) -> String {
    match changes {
        Ok(Changes::Of(ids)) => {
            let ids: Vec<String> = ids.iter().map(|id| quoted(id)).collect();
            ids.join(" ")
        }
        Ok(Changes::All) => "all".to_owned(),
        Ok(Changes::None) | Err(_) => "none".to_owned(),
    }
}

/// The changes that [`show_changes`] showed.
fn read_changes(text: &str) -> Option<Changes> {
    let read_id = |word: &str| {
        let bytes = text_bytes(word.strip_prefix('"')?.strip_suffix('"')?)?;
        Some(String::from_utf8(bytes).ok()?.into())
    };
    match text {
        "none" => Some(Changes::None),
        "all" => Some(Changes::All),
        ids => ids
            .split(' ')
            .map(read_id)
            .collect::<Option<_>>()
            .map(Changes::Of),
    }
}

/// An id as the core asked for it, which may be anything: in quotation marks, without blanks.
pub(super) fn quoted(id: &str) -> String {
    let mut bytes = id.as_bytes().to_vec();
    mask(&mut bytes);
    let mut text = String::from("\"");
    push_text(&mut text, &bytes);
    text.replace(' ', "\\x20") + "\""
}

/// `since enabled|disabled from|- hash|- name`.
fn show_user(user: &User, writer: &mut Writer) -> String {
    let standing = if user.disabled { "disabled" } else { "enabled" };
    let mut text = format!("{} {standing} ", user.created_at.0);
    // A String takes every character.
    let _ = match user.tokens_valid_from {
        Some(from) => write!(text, "{} ", from.0),
        None => write!(text, "- "),
    };
    text.push_str(&writer.handle(user.password_hash.as_ref()));
    text.push(' ');
    push_text(&mut text, user.name.as_bytes());
    text
}

/// The user that [`show_user`] showed.
fn read_user(id: &str, text: &str) -> Option<User> {
    let mut words = text.splitn(5, ' ');
    let created_at = UnixSeconds(words.next()?.parse().ok()?);
    let disabled = words.next()? == "disabled";
    let tokens_valid_from = match words.next()? {
        "-" => None,
        from => Some(UnixSeconds(from.parse().ok()?)),
    };
    let password_hash = match words.next()? {
        "-" => None,
        // All that the core does with a hash is to compare it with others.
        handle => Some(PasswordHash::from_store(handle.into())),
    };
    Some(User {
        id: id.into(),
        name: String::from_utf8(text_bytes(words.next()?)?).ok()?.into(),
        password_hash,
        created_at,
        disabled,
        tokens_valid_from,
    })
}

/// A store that answers as it was recorded. Of a question that was not recorded it knows
/// nothing; that it was asked is found by the one who compares the lines.
pub(super) struct ReplayStore {
    answers: std::vec::IntoIter<Box<str>>,
}

impl ReplayStore {
    /// The store of a recording.
    pub(super) fn new(lines: &[Box<str>]) -> ReplayStore {
        let answers = lines.iter().filter(|line| line.starts_with("= "));
        let answers: Vec<Box<str>> = answers.cloned().collect();
        ReplayStore {
            answers: answers.into_iter(),
        }
    }

    fn answer<T>(
        &mut self,
        question: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        let line = self.answers.next().unwrap_or_default();
        let answer = line.strip_prefix(&format!("= {question} "));
        // What failed is the same to the core, whatever it was.
        answer.and_then(read).ok_or(StoreError::Io)
    }
}

impl UserStore for ReplayStore {
    fn user(&mut self, id: &str) -> Result<Option<User>, StoreError> {
        self.answer(&format!("user {}", quoted(id)), |text| match text {
            "none" => Some(None),
            text => read_user(id, text).map(Some),
        })
    }

    fn changed(&mut self, _: Instant) -> Result<Changes, StoreError> {
        self.answer("changed", read_changes)
    }

    fn check(&mut self) -> Result<(), StoreError> {
        self.answer("check", |text| (text == "true").then_some(()))
    }
}
