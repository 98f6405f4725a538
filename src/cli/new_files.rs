//! Files that are made together: all of them whole, or none. Promises that what was made is removed where
//! one cannot be made; refuses to write over another's file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Files on their way into a folder. Until they are [kept](NewFiles::keep) each has the name of a draft, and
/// what is not kept is removed.
pub(super) struct NewFiles {
    folder: PathBuf,
    /// The folders that were made for it, the innermost last.
    folders: Vec<PathBuf>,
    /// Each file's draft, and what it is to be called.
    drafts: Vec<(PathBuf, PathBuf)>,
    /// The files that have their names.
    named: Vec<PathBuf>,
}

impl NewFiles {
    /// Begins in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn begin(folder: &Path) -> io::Result<NewFiles> {
        let mut files = NewFiles {
            folder: folder.to_owned(),
            folders: Vec::new(),
            drafts: Vec::new(),
            named: Vec::new(),
        };
        let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let missing: Vec<&Path> = folder.ancestors().take_while(is_missing).collect();
        for folder in missing.into_iter().rev() {
            match fs::create_dir(folder) {
                Ok(()) => files.folders.push(folder.to_owned()),
                // Another process was there first, and it stays.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    }

    /// Makes a file that is to be called `name`.
    ///
    /// # Errors
    /// When it cannot be made, or there is one of that name.
    pub(super) fn file(&mut self, name: &str) -> io::Result<File> {
        let path = self.folder.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let draft = self
            .folder
            .join(format!(".{name}.{}.draft", std::process::id()));
        let file = new_file(&draft)?;
        self.drafts.push((draft, path));
        Ok(file)
    }

    /// Gives the files their names.
    ///
    /// # Errors
    /// When one cannot have its name: then none is left.
    pub(super) fn keep(mut self) -> io::Result<()> {
        for (draft, path) in &self.drafts {
            // The name is taken by an empty file first: to rename would write over another's.
            new_file(path)?;
            self.named.push(path.clone());
            fs::rename(draft, path)?;
        }
        self.drafts.clear();
        self.named.clear();
        self.folders.clear();
        Ok(())
    }
}

impl Drop for NewFiles {
    fn drop(&mut self) {
        let drafts = self.drafts.iter().map(|(draft, _)| draft);
        // What cannot be removed stays; the first error is the one to tell.
        for file in drafts.chain(&self.named) {
            _ = fs::remove_file(file);
        }
        for folder in self.folders.iter().rev() {
            _ = fs::remove_dir(folder);
        }
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}
