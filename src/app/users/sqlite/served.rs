//! The store of a server: given up when its files are gone, and opened anew when there is a sound
//! database at its path again.

use std::path::PathBuf;

use super::place::{self, ReadMarks, Stamp};
use super::{Mode, SqliteStore};
use crate::app::users::{Changes, StoreError, User, UserStore};
use crate::limits::{DATABASE_REOPEN_INTERVAL, DATABASE_WAIT_SERVING};
use crate::time::Instant;

/// A SQLite store for as long as there is one at the path. While there is none, whatever it is
/// asked fails.
///
/// What lies at the path is opened when it has not changed for [`DATABASE_REOPEN_INTERVAL`], so
/// that a copy has come to its end, and when it passes what a start asks of it.
pub struct ServedStore {
    path: PathBuf,
    store: Result<SqliteStore, StoreError>,
    /// Kept when the store is closed: to close it gives up the locks of the writer thread.
    marks: Option<ReadMarks>,
    /// True from when it was found busy until the next look: so a turn waits for it once, however
    /// many users are asked for.
    is_busy: bool,
    /// When the path was last looked at, since the store was given up.
    looked_at: Option<Instant>,
    /// What lay there then.
    found: Option<Stamp>,
}

impl ServedStore {
    /// A store that was opened to serve.
    pub fn new(store: SqliteStore) -> ServedStore {
        ServedStore {
            path: store.path.clone(),
            store: Ok(store),
            marks: None,
            is_busy: false,
            looked_at: None,
            found: None,
        }
    }

    /// What `ask` learns of the store, unless it was found busy since the last look.
    fn ask<T>(
        &mut self,
        ask: impl FnOnce(&mut SqliteStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.is_busy {
            return Err(StoreError::Busy);
        }
        let told = self.store().and_then(ask);
        self.is_busy = matches!(told, Err(StoreError::Busy));
        told
    }

    /// The store, once it can be read from.
    fn store(&mut self) -> Result<&mut SqliteStore, StoreError> {
        let store = self.store.as_mut().map_err(|error| error.clone())?;
        let marks = match &mut self.marks {
            Some(marks) => marks,
            marks => marks.insert(ReadMarks::of(&self.path, None).map_err(|_| store.moved())?),
        };
        match marks.wait(DATABASE_WAIT_SERVING) {
            Ok(true) => Ok(store),
            Ok(false) => Err(StoreError::Busy),
            Err(_) => Err(StoreError::Io),
        }
    }

    fn reopen(&mut self, now: Instant) -> Result<Changes, StoreError> {
        let is_early = |at| now.since(at) < DATABASE_REOPEN_INTERVAL;
        if self.looked_at.is_some_and(is_early) {
            return self.store().map(|_| Changes::None);
        }
        self.is_busy = false;
        self.looked_at = Some(now);
        let found = Stamp::at(&self.path);
        let is_settled = found.is_some() && found == self.found;
        self.found = found;
        if !is_settled {
            return self.store().map(|_| Changes::None);
        }
        self.store = self.open_anew();
        self.store()?;
        self.looked_at = None;
        Ok(Changes::All)
    }

    fn open_anew(&mut self) -> Result<SqliteStore, StoreError> {
        // Where there is no `-shm` nobody holds a mark of it.
        if place::no_file_beside(&self.path).is_ok_and(|other| other.is_none()) {
            self.marks = ReadMarks::of(&self.path, self.marks.take()).ok();
        }
        if let Some(marks) = &self.marks
            && !matches!(marks.wait(DATABASE_WAIT_SERVING), Ok(true))
        {
            return Err(StoreError::Busy);
        }
        let store = SqliteStore::open(&self.path, Mode::Serve)?;
        self.marks = ReadMarks::of(&self.path, self.marks.take()).ok();
        Ok(store)
    }
}

impl UserStore for ServedStore {
    fn user(&mut self, id: &str) -> Result<Option<User>, StoreError> {
        self.ask(|store| store.user(id))
    }

    fn changed(&mut self, now: Instant) -> Result<Changes, StoreError> {
        if self.store.is_err() {
            return self.reopen(now);
        }
        self.is_busy = false;
        let changed = self.ask(|store| store.changed(now));
        if let Err(error) = &changed
            && !error.may_pass()
        {
            // Its descriptors and its locks go with it.
            self.store = Err(error.clone());
            self.found = Stamp::at(&self.path);
            self.looked_at = Some(now);
        }
        changed
    }

    fn check(&mut self) -> Result<(), StoreError> {
        self.ask(SqliteStore::check)
    }
}

#[cfg(test)]
mod tests;
