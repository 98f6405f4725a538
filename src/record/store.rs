//! The user store's part in a recording: what it was asked and what it answered.
//!
//! ```text
//! = user "alice" 1795490001 false 0 1 Alice A.     see `read_user`; `none` for nobody
//! = changed of alice bob                           who; `none`, or `all` for anybody
//! = check fails
//! ```

use std::cell::RefCell;
use std::rc::Rc;

use super::lines::{escaped, text};
use super::recorder::Recorder;
use crate::app::password::PasswordHash;
use crate::app::users::{Changes, StoreError, User, UserStore};
use crate::time::{Instant, UnixSeconds};

/// A store whose answers are recorded.
pub(super) struct RecordingStore {
    pub(super) store: Box<dyn UserStore>,
    pub(super) recorder: Rc<RefCell<Recorder>>,
}

impl UserStore for RecordingStore {
    fn user(&mut self, id: &str) -> Result<Option<User>, StoreError> {
        let user = self.store.user(id);
        let mut recorder = self.recorder.borrow_mut();
        let answer = match &user {
            Ok(Some(user)) => show_user(user, &mut recorder),
            Ok(None) => "none".to_owned(),
            Err(_) => "fails".to_owned(),
        };
        recorder.line(format_args!("= user {id:?} {answer}"));
        user
    }

    fn changed(&mut self, now: Instant) -> Result<Changes, StoreError> {
        let changes = self.store.changed(now);
        let answer = match &changes {
            Ok(Changes::None) => "none",
            // No id has a blank.
            Ok(Changes::Of(ids)) => &format!("of {}", ids.join(" ")),
            Ok(Changes::All) => "all",
            Err(_) => "fails",
        };
        let mut recorder = self.recorder.borrow_mut();
        recorder.line(format_args!("= changed {answer}"));
        changes
    }

    fn check(&mut self) -> Result<(), StoreError> {
        let checked = self.store.check();
        let answer = checked.as_ref().map_or("fails", |()| "well");
        let mut recorder = self.recorder.borrow_mut();
        recorder.line(format_args!("= check {answer}"));
        checked
    }
}

fn show_user(user: &User, recorder: &mut Recorder) -> String {
    let (created_at, disabled, name) = (user.created_at.0, user.disabled, &user.name);
    let valid_from = user.tokens_valid_from.unwrap_or_default().0;
    let hash = recorder.number(user.password_hash.as_ref());
    format!("{created_at} {disabled} {valid_from} {hash} {name}")
}

/// Since when, whether disabled, from when on tokens are valid, the number of the password hash, and
/// the name; 0 for none.
fn read_user(id: &str, text: &str) -> Option<User> {
    let mut words = text.splitn(5, ' ');
    let created_at = UnixSeconds(words.next()?.parse().ok()?);
    let disabled = words.next()?.parse().ok()?;
    let valid_from = UnixSeconds(words.next()?.parse().ok()?);
    // All that the core does with a hash is to compare it with others.
    let hash = words.next().filter(|hash| *hash != "0");
    Some(User {
        id: id.into(),
        name: words.next()?.into(),
        password_hash: hash.map(|hash| PasswordHash::from_store(hash.into())),
        created_at,
        disabled,
        tokens_valid_from: Some(valid_from).filter(|from| *from > UnixSeconds(0)),
    })
}

/// The user in a line, where that is the answer to a question for one who is there.
pub fn answered_user(line: &str) -> Option<User> {
    let answer = text(line.strip_prefix("= user \"")?)?;
    let (id, answer) = answer.split_once("\" ")?;
    read_user(id, answer)
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

    /// The next answer in the recording; empty where that is to another question.
    fn answer(&mut self, question: &str) -> String {
        let line = self.answers.next().unwrap_or_default();
        let answer = line.strip_prefix(&*escaped(format!("= {question} ").as_bytes()));
        answer.and_then(text).unwrap_or_default()
    }
}

/// What failed is the same to the core, whatever it was.
impl UserStore for ReplayStore {
    fn user(&mut self, id: &str) -> Result<Option<User>, StoreError> {
        match &*self.answer(&format!("user {id:?}")) {
            "none" => Ok(None),
            user => read_user(id, user).map(Some).ok_or(StoreError::Io),
        }
    }

    fn changed(&mut self, _: Instant) -> Result<Changes, StoreError> {
        let answer = self.answer("changed");
        let mut words = answer.split_whitespace();
        match words.next() {
            Some("all") => Ok(Changes::All),
            Some("none") => Ok(Changes::None),
            Some("of") => Ok(Changes::Of(words.map(Box::from).collect())),
            _ => Err(StoreError::Io),
        }
    }

    fn check(&mut self) -> Result<(), StoreError> {
        let is_well = self.answer("check") == "well";
        is_well.then_some(()).ok_or(StoreError::Io)
    }
}
