//! The `.env` file on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::CliError;
use crate::config::{CURRENT_SECRET, EnvFile};
use crate::limits::ENV_FILE_BYTES_MAX;

/// Where it lies when nobody says otherwise: in the working directory.
pub(super) const DEFAULT_PATH: &str = ".env";

/// Reads the file at `path`, which must be there; without a path the one in the working
/// directory, if there is one.
pub(super) fn read(path: Option<&Path>) -> Result<Option<EnvFile>, CliError> {
    let default = Path::new(DEFAULT_PATH);
    match (path, read_text(path.unwrap_or(default))) {
        (None, Err(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
        (_, Ok(text)) => Ok(Some(EnvFile {
            path: path.unwrap_or(default).to_owned(),
            text,
        })),
        (_, Err(error)) => Err(CliError::EnvFileUnreadable {
            path: path.unwrap_or(default).to_owned(),
            error,
        }),
    }
}

fn read_text(path: &Path) -> io::Result<Zeroizing<String>> {
    let file = File::open(path)?;
    // Room for all of it at once: a string that grows leaves copies of the secret behind.
    let mut text = Zeroizing::new(String::with_capacity(ENV_FILE_BYTES_MAX + 1));
    file.take(ENV_FILE_BYTES_MAX as u64 + 1)
        .read_to_string(&mut text)?;
    match text.len() <= ENV_FILE_BYTES_MAX {
        true => Ok(text),
        false => Err(io::Error::new(
            ErrorKind::FileTooLarge,
            format!("it is larger than {ENV_FILE_BYTES_MAX} bytes"),
        )),
    }
}

/// Makes a file that holds `secret` and that only its owner can read. It is there whole or
/// not at all, and takes no other's place.
pub(super) fn make(path: &Path, secret: &str) -> Result<(), CliError> {
    let draft = draft_of(path);
    let made = write_draft(&draft, secret).and_then(|()| fs::hard_link(&draft, path));
    // The draft's name goes, whatever came of it.
    let removed = fs::remove_file(&draft);
    made.and(removed).map_err(|error| CliError::EnvFileNotMade {
        path: path.to_owned(),
        error,
    })
}

/// Beside the file, so that a link to it can be made.
fn draft_of(path: &Path) -> PathBuf {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.draft", std::process::id()));
    PathBuf::from(draft)
}

fn write_draft(path: &Path, secret: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let line = Zeroizing::new(format!("{CURRENT_SECRET}={secret}\n"));
    file.write_all(line.as_bytes())?;
    file.sync_all()
}
