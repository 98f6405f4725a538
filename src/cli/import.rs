//! `framegate user import`: users out of JSON Lines, all of them or none.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};

use zeroize::Zeroizing;

use super::error::CliError;
use super::lines::read_line;
use super::user::void_tokens_of_former;
use super::{Context, secret};
use crate::app::password::{self, PasswordError, PasswordHash, check_password};
use crate::app::users::{SqliteStore, User, UserError, UserStore as _};
use crate::config::Config;
use crate::json::{self, JsonError};
use crate::limits::IMPORT_LINE_BYTES_MAX;
use crate::time::UnixSeconds;

/// Adds the users that `file` holds, one a line; `-` is standard input. How many they are.
///
/// # Errors
///
/// When one of them cannot be added, by the number of its line; then none is.
pub(super) fn run(
    file: &str,
    config: &Config,
    context: &mut Context<'_>,
    open: impl FnOnce(&mut Context<'_>) -> Result<SqliteStore, CliError>,
) -> Result<usize, CliError> {
    let now = (context.clock)();
    let entries = match file {
        "-" => read(context.input, now)?,
        path => {
            let unreadable = |error| CliError::ImportUnreadable {
                path: path.into(),
                error,
            };
            let file = File::open(path).map_err(unreadable)?;
            read(&mut BufReader::new(file), now).map_err(|error| match error {
                CliError::Streams(error) => unreadable(error),
                error => error,
            })?
        }
    };
    // Found now rather than after the passwords were hashed.
    let mut store = open(context)?;
    for entry in &entries {
        if store.user(&entry.user.id)?.is_some() {
            let id = entry.user.id.clone();
            return Err(entry.fault(LineError::Taken { id }));
        }
    }
    let lines: Vec<u64> = entries.iter().map(|entry| entry.line).collect();
    let mut users = hash_all(entries, config.password_memory_kib, context)?;
    // The input and the passwords may have been long in coming.
    let now = (context.clock)();
    for user in &mut users {
        user.created_at = now;
    }
    match store.add_all(&users)? {
        None => {
            let leeway_seconds = config.leeway.as_secs();
            for user in &users {
                void_tokens_of_former(&mut store, &user.id, &context.clock, leeway_seconds)?;
            }
            Ok(users.len())
        }
        Some(index) => Err(CliError::ImportLine {
            line: lines.get(index).copied().unwrap_or_default(),
            error: LineError::Taken {
                id: users
                    .get(index)
                    .map(|user| user.id.clone())
                    .unwrap_or_default(),
            },
        }),
    }
}

/// A line, read: a user, whose password may still have to be hashed. It has no `Debug`.
pub struct Entry {
    /// Counted from one.
    pub line: u64,
    pub user: User,
    pub password: Option<Zeroizing<String>>,
}

impl Entry {
    fn fault(&self, error: LineError) -> CliError {
        CliError::ImportLine {
            line: self.line,
            error,
        }
    }
}

/// Reads every line of `input`.
///
/// # Errors
///
/// The first line that makes no user, or what the input says.
pub fn read(input: &mut dyn BufRead, now: UnixSeconds) -> Result<Vec<Entry>, CliError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut lines_of_ids = BTreeMap::new();
    let mut line = 0;
    while let Some(bytes) = read_line(input, IMPORT_LINE_BYTES_MAX)? {
        line += 1;
        // Windows programs put a byte order mark in front of a file.
        let mark = bytes.strip_prefix("\u{feff}".as_bytes());
        let content = mark.filter(|_| line == 1).unwrap_or(&bytes);
        // An editor leaves an empty line at the end now and then. Of a line that is too long
        // not all was kept: it may hold a user after its spaces.
        if bytes.len() <= IMPORT_LINE_BYTES_MAX && content.trim_ascii().is_empty() {
            continue;
        }
        if bytes.len() > IMPORT_LINE_BYTES_MAX {
            let error = LineError::TooLong;
            return Err(CliError::ImportLine { line, error });
        }
        let entry = parse(content, now).and_then(|(user, password)| {
            match lines_of_ids.insert(user.id.clone(), line) {
                Some(earlier) => Err(LineError::Repeated { earlier }),
                None => Ok(Entry {
                    line,
                    user,
                    password,
                }),
            }
        });
        entries.push(entry.map_err(|error| CliError::ImportLine { line, error })?);
    }
    Ok(entries)
}

/// Reads `{"id","name"?,"password"?,"passwordHash"?}`.
fn parse(bytes: &[u8], now: UnixSeconds) -> Result<(User, Option<Zeroizing<String>>), LineError> {
    let text = std::str::from_utf8(bytes).map_err(|_| LineError::NotUtf8)?;
    let (mut id, mut name, mut password, mut hash) = (None, None, None, None);
    json::members_seldom::<LineError>(text, |member, value| {
        let (slot, member) = match member {
            "id" => (&mut id, "id"),
            "name" => (&mut name, "name"),
            "password" => (&mut password, "password"),
            "passwordHash" => (&mut hash, "passwordHash"),
            _ => return Err(LineError::Unknown),
        };
        let string = value.string().ok_or(LineError::NotAString { member })?;
        *slot = Some(Zeroizing::new(string.into_owned()));
        Ok(())
    })?;
    let id = id.ok_or(LineError::Missing { member: "id" })?;
    let name = name.as_ref().unwrap_or(&id);
    if let Some(password) = &password {
        check_password(password)?;
        if hash.is_some() {
            return Err(LineError::TwoPasswords);
        }
    }
    let hash = hash.map(|hash| PasswordHash::parse(&hash)).transpose()?;
    Ok((User::new(&id, name, hash, now)?, password))
}

/// Hashes the passwords, and says on a terminal how far it has come: each takes some tens of
/// milliseconds.
fn hash_all(
    entries: Vec<Entry>,
    memory_kib: u32,
    context: &mut Context<'_>,
) -> Result<Vec<User>, CliError> {
    let total = entries
        .iter()
        .filter(|entry| entry.password.is_some())
        .count();
    let mut users = Vec::with_capacity(entries.len());
    let mut hashed = 0;
    for mut entry in entries {
        if let Some(password) = entry.password.take() {
            let hash = password::hash(&password, *secret::random()?, memory_kib)?;
            entry.user.password_hash = Some(hash);
            hashed += 1;
            if let Some(progress) = &mut context.progress {
                let end = if hashed == total { "\n" } else { "" };
                write!(progress, "\rhashed {hashed} of {total}{end}")?;
                progress.flush()?;
            }
        }
        users.push(entry.user);
    }
    Ok(users)
}

/// Why a line is not imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineError {
    /// Longer than [`IMPORT_LINE_BYTES_MAX`].
    TooLong,
    /// Not UTF-8.
    NotUtf8,
    /// Not a strict JSON object.
    Json(JsonError),
    /// A member that means nothing. What it is called is not shown: where quotes got lost, it may be
    /// a password.
    Unknown,
    /// A member that is not a string.
    NotAString {
        /// Its name.
        member: &'static str,
    },
    /// A member that must be there.
    Missing {
        /// Its name.
        member: &'static str,
    },
    /// Both a password and a hash.
    TwoPasswords,
    /// The id or the name is none.
    User(UserError),
    /// The password or the hash is none.
    Password(PasswordError),
    /// The id of a line before.
    Repeated {
        /// The number of that line.
        earlier: u64,
    },
    /// The id of a user who is there already.
    Taken {
        /// The id.
        id: Box<str>,
    },
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineError::TooLong => write!(f, "it is longer than {IMPORT_LINE_BYTES_MAX} bytes"),
            LineError::NotUtf8 => f.write_str("it is not UTF-8"),
            LineError::Json(error) => write!(
                f,
                "it is {error}; a line reads like {{\"id\":\"alice\",\"name\":\"Alice\"}}"
            ),
            LineError::Unknown => {
                f.write_str("a member is none of id, name, password and passwordHash")
            }
            LineError::NotAString { member } => write!(f, "{member} is not a string"),
            LineError::Missing { member } => write!(f, "{member} is missing"),
            LineError::TwoPasswords => {
                f.write_str("it has both a password and a passwordHash; leave one out")
            }
            LineError::User(error) => error.fmt(f),
            LineError::Password(error) => error.fmt(f),
            LineError::Repeated { earlier } => {
                write!(f, "its id stands in line {earlier} already")
            }
            LineError::Taken { id } => write!(
                f,
                "there is a user \"{}\" already; take the line out, or remove the user first \
                 (`framegate user rm`)",
                id.escape_debug()
            ),
        }
    }
}

impl std::error::Error for LineError {}

impl From<JsonError> for LineError {
    fn from(error: JsonError) -> LineError {
        LineError::Json(error)
    }
}

impl From<UserError> for LineError {
    fn from(error: UserError) -> LineError {
        LineError::User(error)
    }
}

impl From<PasswordError> for LineError {
    fn from(error: PasswordError) -> LineError {
        LineError::Password(error)
    }
}

#[cfg(test)]
mod tests;
