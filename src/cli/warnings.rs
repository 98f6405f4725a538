//! What is no error and yet not as it should be. Here is the one place where it is looked for, so
//! that `serve`, which logs it, and `check`, which prints it, tell the same.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::error::CliError;
use crate::config::{Config, Origin, Secrets, show_size};
use crate::driver::{self, logger::quoted};
use crate::limits::ADDRESS_SPACE_BYTES_BESIDE_MEMORY;

/// The warnings, a line each. `config` is made what the server can keep of it.
///
/// # Errors
///
/// When there is no room for a single connection.
pub(super) fn of(config: &mut Config, secrets: &Secrets) -> Result<Vec<String>, CliError> {
    let mut warnings: Vec<String> = files_of(secrets)
        .iter()
        .filter_map(|path| exposed(path))
        .collect();
    // SQLite gives what it keeps beside a database the mode of that: told once.
    let database = files_of_database(&config.database);
    warnings.extend(database.iter().find_map(|path| exposed(path)));
    warnings.extend(lower_to_descriptors(
        config,
        driver::connections_possible(),
    )?);
    warnings.extend(lower_to_memory(config));
    warnings.extend(narrow(config, driver::address_space_limit()));
    Ok(warnings)
}

/// Memory that the system does not give ends the process.
fn narrow(config: &Config, limit: Option<u64>) -> Option<String> {
    let memory = config.memory_bytes_max as u64;
    let needed = memory + ADDRESS_SPACE_BYTES_BESIDE_MEMORY;
    limit.filter(|limit| *limit < needed).map(|limit| {
        let [limit, memory, needed] = [limit, memory, needed].map(show_size);
        format!(
            "the address space has a limit of {limit} (ulimit -v), and MEMORY of {memory} may need \
             {needed}: the process would end when memory runs out; raise the limit, or lower MEMORY"
        )
    })
}

/// No more connections than there are descriptors for, less those that everything else needs.
fn lower_to_descriptors(config: &mut Config, possible: usize) -> Result<Option<String>, CliError> {
    if possible == 0 {
        return Err(CliError::NoDescriptors);
    }
    Ok(lower(config, possible).map(|wanted| {
        format!(
            "the descriptor limit has room for {possible} connections, not {wanted}; raise it \
             (ulimit -n), or lower MAX_CONNECTIONS"
        )
    }))
}

/// No more connections than `MEMORY` has room for.
fn lower_to_memory(config: &mut Config) -> Option<String> {
    let possible = config.connections_within_memory();
    lower(config, possible).map(|wanted| {
        format!(
            "MEMORY has room for {possible} connections, not {wanted}; raise it, or lower \
             MAX_CONNECTIONS, MAX_OUTBOX or MAX_MESSAGE"
        )
    })
}

/// Lowers the cap of connections to what is possible; the cap there was, where that is less.
fn lower(config: &mut Config, possible: usize) -> Option<usize> {
    let wanted = config.connections_max;
    config.connections_max = wanted.min(possible);
    config.pending_max = config.pending_max.min(possible);
    (possible < wanted).then_some(wanted)
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
