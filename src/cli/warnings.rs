//! What is no error and yet not as it should be. Here is the one place where it is looked for, so
//! that `serve`, which logs it, and `check`, which prints it, tell the same.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::config::{Config, Origin, Secrets};
use crate::driver::logger::quoted;

/// The warnings, a line each.
pub(super) fn of(config: &Config, secrets: &Secrets) -> Vec<String> {
    let mut warnings: Vec<String> = files_of(secrets)
        .iter()
        .filter_map(|path| exposed(path))
        .collect();
    // SQLite gives what it keeps beside a database the mode of that: told once.
    let database = files_of_database(&config.database);
    warnings.extend(database.iter().find_map(|path| exposed(path)));
    warnings
}

/// The `.env` file, where a secret stands in it.
fn files_of(secrets: &Secrets) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for given in [&secrets.current, &secrets.previous].into_iter().flatten() {
        if let Origin::EnvFile { path, .. } = &given.origin
            && !files.contains(path)
        {
            files.push(path.clone());
        }
    }
    files
}

/// The database, and what SQLite keeps beside it while it is open: a lock that another user takes on
/// `-shm` keeps ours from writing.
fn files_of_database(database: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut path = database.as_os_str().to_owned();
        path.push(suffix);
        PathBuf::from(path)
    })
}

/// The warning of a file that others can read or write.
fn exposed(path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        let path = path.to_string_lossy();
        let path = quoted(&path);
        format!("file_exposed file={path} mode={mode:03o}: others may use it; chmod 600")
    })
}
