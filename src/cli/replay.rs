//! `framegate replay`: a recording of `serve --record`, run again.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::error::CliError;
use super::{Argument, Arguments, Context, help};
use crate::limits::RECORDING_BYTES_MAX;
use crate::record::{Replayed, replay};

pub(super) fn run(mut arguments: Arguments, context: &mut Context<'_>) -> Result<(), CliError> {
    let mut path = None;
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Help => return help::replay(context.output),
            Argument::Value(value) if path.is_none() => path = Some(PathBuf::from(value)),
            argument => return Err(arguments.unexpected(argument, &[])),
        }
    }
    let path = path.ok_or(CliError::MissingValue {
        what: "replay needs the file of a recording: replay FILE",
    })?;
    let file = read(&path).map_err(|error| CliError::RecordingUnreadable { path, error })?;
    let replayed = replay(&file).map_err(CliError::Replay)?;
    tell(&replayed, context)
}

fn tell(replayed: &Replayed, context: &mut Context<'_>) -> Result<(), CliError> {
    let Replayed {
        inputs,
        lasted,
        is_cut,
        recorded_by,
    } = replayed;
    let this = env!("CARGO_PKG_VERSION");
    if recorded_by != this {
        writeln!(
            context.output,
            "recorded by {recorded_by}, replayed by {this}"
        )?;
    }
    if *is_cut {
        writeln!(
            context.output,
            "the recording is cut off: its server did not come to an end"
        )?;
    }
    writeln!(
        context.output,
        "replayed {inputs} inputs over {}.{} s: the outputs are the same",
        lasted.as_secs(),
        lasted.subsec_millis() / 100
    )?;
    Ok(())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(RECORDING_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    match bytes.len() as u64 <= RECORDING_BYTES_MAX {
        true => Ok(bytes),
        false => Err(ErrorKind::FileTooLarge.into()),
    }
}
