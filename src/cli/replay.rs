//! `framegate replay`: a recording of `serve --record`, run again.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::error::CliError;
use super::new_files::NewFiles;
use super::{Argument, Arguments, Context, help};
use crate::export::{Capture, RawExchanges};
use crate::limits::RECORDING_BYTES_MAX;
use crate::record::{ReplayError, Replayed, replay};

/// The port of the server in a capture: a recording does not say which one a client called, and
/// readers of captures take HTTP to be here.
const CAPTURED_PORT: u16 = 80;

/// What else is made of a recording.
#[derive(Clone, Copy)]
enum Export {
    /// A file for each connection, of what its client sent.
    Raw,
    /// A capture of packets.
    Pcap,
}

pub(super) fn run(mut arguments: Arguments, context: &mut Context<'_>) -> Result<(), CliError> {
    let (mut path, mut export) = (None, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Help => return help::replay(context.output),
            Argument::Option(option) if option == "export" && export.is_none() => {
                let kind = match &*arguments.value()? {
                    "raw" => Export::Raw,
                    "pcap" => Export::Pcap,
                    _ => return Err(CliError::ExportKind),
                };
                export = Some((kind, PathBuf::from(arguments.value()?)));
            }
            Argument::Value(value) if path.is_none() => path = Some(PathBuf::from(value)),
            argument => return Err(arguments.unexpected(argument, &["export"])),
        }
    }
    let path = path.ok_or(CliError::MissingValue {
        what: "replay needs the file of a recording: replay FILE",
    })?;
    let file = read(&path).map_err(|error| CliError::RecordingUnreadable { path, error })?;
    let replayed = match export {
        None => replay(&file, &mut |_, _, _| {}).map_err(CliError::Replay)?,
        Some((kind, folder)) => exported(&file, kind, folder)?,
    };
    tell(&replayed, context)
}

/// Replays a recording, and writes what it was into files of `folder`.
fn exported(file: &[u8], kind: Export, folder: PathBuf) -> Result<Replayed, CliError> {
    let made = match kind {
        Export::Raw => export_raw(file, &folder),
        Export::Pcap => export_pcap(file, &folder),
    };
    made.map_err(|error| CliError::ExportNotMade { folder, error })?
        .map_err(CliError::Replay)
}

type Outcome = io::Result<Result<Replayed, ReplayError>>;

/// A file `SERIAL.raw` for each connection.
fn export_raw(file: &[u8], folder: &Path) -> Outcome {
    let mut exchanges = RawExchanges::default();
    let replayed = replay(file, &mut |_, id, seen| exchanges.see(id, &seen));
    if replayed.is_ok() {
        let mut files = NewFiles::begin(folder)?;
        for (serial, bytes) in exchanges.all() {
            files.file(&format!("{serial}.raw"))?.write_all(bytes)?;
        }
        files.keep()?;
    }
    Ok(replayed)
}

/// A file `session.pcap`.
fn export_pcap(file: &[u8], folder: &Path) -> Outcome {
    let mut files = NewFiles::begin(folder)?;
    let out = BufWriter::new(files.file("session.pcap")?);
    let mut capture = Capture::begin(out, CAPTURED_PORT)?;
    let mut written = Ok(());
    let replayed = replay(file, &mut |now, id, seen| {
        if written.is_ok() {
            written = capture.see(now, id, &seen);
        }
    });
    written.and_then(|()| capture.end())?;
    if replayed.is_ok() {
        files.keep()?;
    }
    Ok(replayed)
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
