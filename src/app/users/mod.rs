//! The users: what is known of each, and where it is kept.
//!
//! A running server needs little of a store, the trait [`UserStore`]; administering users is
//! the SQLite store's own. [`Users`] stands in front, so that a frame costs no SQL.

mod cache;
mod memory;
mod revocation;
mod sqlite;

pub use cache::{CachedUser, Users};
pub use memory::MemoryStore;
pub use revocation::{Dated, Revocation, UserWriter, outrun};
pub use sqlite::{Mode, ServedStore, SqliteStore, SqliteWriter};

use std::fmt;
use std::path::PathBuf;

use super::password::PasswordHash;
use crate::gate::is_subject;
use crate::limits::{SUBJECT_BYTES_MAX, USER_NAME_BYTES_MAX};
use crate::time::{Instant, UnixSeconds};

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// What tokens call the user: a subject.
    pub id: Box<str>,
    /// What people call the user.
    pub name: Box<str>,
    /// `None` for a user who cannot log in, whose tokens come from elsewhere.
    pub password_hash: Option<PasswordHash>,
    /// When the user was added.
    pub created_at: UnixSeconds,
    /// A disabled user is refused whatever token comes.
    pub disabled: bool,
    /// Tokens issued before this second are void.
    pub tokens_valid_from: Option<UnixSeconds>,
}

impl User {
    /// A new user, who may come in.
    ///
    /// # Errors
    ///
    /// When the id or the name is not one a user can have.
    pub fn new(
        id: &str,
        name: &str,
        password_hash: Option<PasswordHash>,
        created_at: UnixSeconds,
    ) -> Result<User, UserError> {
        if !is_subject(id) {
            return Err(UserError::Id);
        }
        if !is_name(name) {
            return Err(UserError::Name);
        }
        Ok(User {
            id: id.into(),
            name: name.into(),
            password_hash,
            created_at,
            disabled: false,
            tokens_valid_from: None,
        })
    }

    /// What a password must match for this user to log in; `None` when none will do.
    pub fn login_hash(&self) -> Option<&PasswordHash> {
        match self.disabled {
            true => None,
            false => self.password_hash.as_ref(),
        }
    }
}

/// Whether `text` can be a name: 1 to [`USER_NAME_BYTES_MAX`] bytes that are shown as they stand, on
/// one line, and of which something is seen.
fn is_name(text: &str) -> bool {
    (1..=USER_NAME_BYTES_MAX).contains(&text.len())
        && !text.chars().any(is_disruptive)
        && text.chars().any(|c| !c.is_whitespace() && !is_joiner(c))
}

/// Whether `character` controls a terminal, breaks a line, turns the direction of what stands around
/// it (Unicode Standard Annex 9 §2), or takes a place and is not seen, so that a name could pose as
/// another.
pub(crate) fn is_disruptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Format characters (general category Cf) but the joiners.
            '\u{AD}' | '\u{600}'..='\u{605}' | '\u{61C}' | '\u{6DD}' | '\u{70F}' | '\u{180E}'
            | '\u{200B}' | '\u{200E}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E007F}'
            // Letters and marks that are blank by design.
            | '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{2800}'
            | '\u{3164}' | '\u{FFA0}')
}

/// What Persian, the scripts of India, and pictures of two people are written with: not seen by
/// itself, and needed between others.
fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}')
}

/// What a running server needs of a user store, and no more.
pub trait UserStore {
    /// The user called `id`.
    ///
    /// # Errors
    ///
    /// When the store cannot tell; then nobody is let in.
    fn user(&mut self, id: &str) -> Result<Option<User>, StoreError>;

    /// Whose users anyone else – another process, another connection – has changed since this was
    /// asked last, or since the store was opened. Cheap. A store that failed and can tell again
    /// answers with all.
    ///
    /// # Errors
    ///
    /// When the store cannot tell; then what was read of it earlier is worth nothing.
    fn changed(&mut self, now: Instant) -> Result<Changes, StoreError>;

    /// Whether the store is fit to serve.
    ///
    /// # Errors
    ///
    /// When it is not.
    fn check(&mut self) -> Result<(), StoreError>;
}

/// Which users have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// None of them.
    None,
    /// These, at most [`USER_CHANGES_MAX`](crate::limits::USER_CHANGES_MAX); at least one.
    Of(Vec<Box<str>>),
    /// Any of them.
    All,
}

/// Why an id or a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserError {
    /// Not an id.
    Id,
    /// Not a name.
    Name,
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserError::Id => write!(
                f,
                "an id is 1 to {SUBJECT_BYTES_MAX} printable ASCII characters without spaces"
            ),
            UserError::Name => write!(
                f,
                "a name is 1 to {USER_NAME_BYTES_MAX} bytes of text that is seen, on one line, without \
                 characters that hide or turn it"
            ),
        }
    }
}

impl std::error::Error for UserError {}

/// Why a store does not do what it is asked. Whatever it is, it denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    // The moment's: it may pass.
    /// Another process holds the database for longer than we wait.
    Busy,

    // The machine's.
    /// No space left on the disk.
    Full,
    /// Reading or writing failed.
    Io,
    /// No memory left.
    OutOfMemory,

    // The one who keeps the file.
    /// There is no file.
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is there, or should be made, and cannot be opened.
    CannotOpen {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: Box<str>,
    },
    /// The file, or its directory, cannot be written to.
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else than a database of ours.
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The database was made by a newer framegate.
    TooNew {
        /// The file.
        path: PathBuf,
        /// The version of its schema.
        version: i64,
    },
    /// The schema is not ours to the letter.
    Altered {
        /// The file.
        path: PathBuf,
        /// What of the schema is missing, another, or too many.
        object: Box<str>,
    },
    /// The database is of an older framegate, and holds a user that none ever made.
    NotMigrated {
        /// The file.
        path: PathBuf,
        /// The user.
        id: Box<str>,
    },
    /// The database is damaged, or somebody wrote to it what we would not.
    Corrupt {
        /// The file.
        path: PathBuf,
    },
    /// The file was removed or replaced while it was in use.
    Moved {
        /// Where it was.
        path: PathBuf,
    },

    /// Another process uses the database, but not the files beside it that lie there now.
    InUse {
        /// The file.
        path: PathBuf,
    },

    // Ours.
    /// Something that should not happen.
    Unexpected {
        /// What the database says.
        reason: Box<str>,
    },
}

impl StoreError {
    /// Whether the same store may do the same a moment later.
    pub fn may_pass(&self) -> bool {
        matches!(self, StoreError::Busy | StoreError::OutOfMemory)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Busy => {
                f.write_str("the user database is locked by another process; try again")
            }
            StoreError::Full => f.write_str("the disk of the user database is full"),
            StoreError::Io => {
                f.write_str("the user database cannot be read or written; look at its disk")
            }
            StoreError::OutOfMemory => f.write_str("no memory is left for the user database"),
            StoreError::Missing { path } => write!(
                f,
                "there is no user database {}; restore it, or make one with `framegate serve --init` or `framegate user add`",
                path.display()
            ),
            StoreError::CannotOpen { path, reason } => {
                write!(
                    f,
                    "cannot open the user database {}: {reason}",
                    path.display()
                )
            }
            StoreError::ReadOnly { path } => write!(
                f,
                "cannot write to the user database {}; make the file and its directory writable",
                path.display()
            ),
            StoreError::NotOurs { path } => {
                write!(
                    f,
                    "{} is not a framegate database; name another file",
                    path.display()
                )
            }
            StoreError::TooNew { path, version } => write!(
                f,
                "{} was made by a newer framegate (schema version {version}); update this one",
                path.display()
            ),
            StoreError::Altered { path, object } => write!(
                f,
                "the schema of {} was altered at \"{}\"; undo that with sqlite3, or restore a backup",
                path.display(),
                shortened(object)
            ),
            StoreError::NotMigrated { path, id } => write!(
                f,
                "{} holds a user \"{}\" that framegate did not make; remove it with sqlite3",
                path.display(),
                shortened(id)
            ),
            StoreError::Corrupt { path } => write!(
                f,
                "the user database {} is damaged; restore it from a backup",
                path.display()
            ),
            StoreError::Moved { path } => write!(
                f,
                "the user database {}, or a file beside it, was removed or replaced while in use",
                path.display()
            ),
            StoreError::InUse { path } => write!(
                f,
                "a server uses files of {} that were removed; nothing was done, try again",
                path.display()
            ),
            StoreError::Unexpected { reason } => {
                write!(f, "the user database failed: {reason}")
            }
        }
    }
}

impl std::error::Error for StoreError {}

/// What another program wrote, as a line may have it.
fn shortened(text: &str) -> String {
    text.escape_debug().take(64).collect()
}

#[cfg(test)]
pub(crate) mod tests;
