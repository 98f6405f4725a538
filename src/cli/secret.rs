//! `framegate secret`; and secrets and passwords in general: made here, judged here.

use std::path::{self, Path};

use rustix::rand::{GetRandomFlags, getrandom};
use zeroize::Zeroizing;

use super::error::CliError;
use super::{Argument, Arguments, Context, help};
use crate::config::{GivenSecret, Secrets};
use crate::gate::{Keys, Secret};

/// What a password that we make is written with: no character is like another.
const PASSWORD_ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// The groups of such a password. Each of its characters carries five bits: 100 in all.
const PASSWORD_GROUPS: usize = 4;
const PASSWORD_GROUP_CHARACTERS: usize = 5;

pub(super) fn run(mut arguments: Arguments, context: &mut Context<'_>) -> Result<(), CliError> {
    match arguments.next()? {
        None => {}
        Some(Argument::Help) => return help::secret(context.output),
        Some(argument) => return Err(arguments.unexpected(argument, &[])),
    }
    writeln!(context.output, "{}", *fresh_secret()?)?;
    Ok(())
}

/// A secret of 32 random bytes, as a `.env` file holds it.
pub(super) fn fresh_secret() -> Result<Zeroizing<String>, CliError> {
    Ok(Secret::text_of_random(*random()?))
}

/// A random password that a person can type.
pub(super) fn fresh_password() -> Result<Zeroizing<String>, CliError> {
    const CHARACTERS: usize = PASSWORD_GROUPS * PASSWORD_GROUP_CHARACTERS;
    let bytes = random::<CHARACTERS>()?;
    let mut password = Zeroizing::new(String::with_capacity(CHARACTERS + PASSWORD_GROUPS));
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 && index % PASSWORD_GROUP_CHARACTERS == 0 {
            password.push('-');
        }
        // 256 is a multiple of the alphabet's length: every character is as likely.
        let letter = usize::from(*byte) % PASSWORD_ALPHABET.len();
        password.push(char::from(PASSWORD_ALPHABET[letter]));
    }
    Ok(password)
}

/// Random bytes of the system.
pub(super) fn random<const BYTES: usize>() -> Result<Zeroizing<[u8; BYTES]>, CliError> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    let mut filled = 0;
    while filled < BYTES {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(CliError::Random(error.into())),
        }
    }
    Ok(bytes)
}

/// The keys, of secrets that must be there.
pub(super) fn keys(secrets: &Secrets, env_file: &Path) -> Result<Keys, CliError> {
    match secrets.current {
        Some(ref current) => keys_of(current, secrets.previous.as_ref()),
        None => Err(CliError::SecretMissing {
            // A folder that is gone has no path; then the file's own says what it can.
            env_file: path::absolute(env_file).unwrap_or_else(|_| env_file.to_owned()),
            env_file_exists: env_file.exists(),
        }),
    }
}

fn keys_of(current: &GivenSecret, previous: Option<&GivenSecret>) -> Result<Keys, CliError> {
    let secret = judge(current)?;
    let Some(previous) = previous else {
        return Ok(Keys::new(&secret, None));
    };
    let former = judge(previous)?;
    match previous.text == current.text {
        true => Err(CliError::SameSecrets {
            place: previous.origin.locate(previous.name),
        }),
        false => Ok(Keys::new(&secret, Some(&former))),
    }
}

fn judge(given: &GivenSecret) -> Result<Secret, CliError> {
    Secret::parse(&given.text).map_err(|error| CliError::Secret {
        place: given.origin.locate(given.name),
        error,
    })
}
