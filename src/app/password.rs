//! The policy of passwords: Argon2id, kept as PHC strings, and a check that takes as long for
//! a user there is not as for a wrong password.

use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

use crate::limits::{
    PASSWORD_BYTES_MAX, PASSWORD_LANES, PASSWORD_LANES_MAX, PASSWORD_MEMORY_KIB_MAX,
    PASSWORD_MEMORY_KIB_MIN, PASSWORD_PASSES, PASSWORD_PASSES_MAX, PASSWORD_SALT_BYTES,
};

/// Whether `password` is one that a user may have, or try.
///
/// # Errors
///
/// When it is empty, longer than [`PASSWORD_BYTES_MAX`], or holds a NUL.
pub fn check_password(password: &str) -> Result<(), PasswordError> {
    match password.len() {
        0 => Err(PasswordError::Empty),
        1..=PASSWORD_BYTES_MAX if password.contains('\0') => Err(PasswordError::Nul),
        1..=PASSWORD_BYTES_MAX => Ok(()),
        _ => Err(PasswordError::TooLong),
    }
}

/// Hashes `password` with the cost of our policy, `memory_kib` of memory being part of it.
///
/// # Errors
///
/// When [`check_password`] refuses the password, or that memory cannot be had.
pub fn hash(
    password: &str,
    salt: [u8; PASSWORD_SALT_BYTES],
    memory_kib: u32,
) -> Result<PasswordHash, PasswordError> {
    check_password(password)?;
    let params = our_params(memory_kib)?;
    let salt = Salt::new(&salt).map_err(|_| PasswordError::Malformed)?;
    let hash = argon2::PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        hash: Some(compute(&params, &salt, password, AddressSpace::Limited)?),
        params: ParamsString::try_from(&params).map_err(|_| PasswordError::Malformed)?,
        salt: Some(salt),
    };
    Ok(PasswordHash(hash.to_string().into()))
}

/// Whether `password` is the one of `expected`.
///
/// With `None` – an unknown id, a user who has no password or is disabled – a hash of
/// `memory_kib` is computed all the same, so that the answer takes as long as "no" would for
/// a user whose password was hashed at that setting. A user's hash from before a change of
/// the setting, or imported with another cost, takes its own time; setting the password anew
/// evens that out. A hash whose cost is out of bounds is never computed: it counts as none.
pub fn verify(
    expected: Option<&PasswordHash>,
    password: &str,
    memory_kib: u32,
    space: AddressSpace,
) -> Verdict {
    if check_password(password).is_err() {
        return Verdict::Wrong;
    }
    let target = expected.and_then(|hash| Target::parse(&hash.0).ok());
    let known = target.is_some();
    let Ok(target) = target.map_or_else(|| Target::nobody(memory_kib), Ok) else {
        return Verdict::Wrong;
    };
    match compute(&target.params, &target.salt, password, space) {
        // `Output` compares in constant time.
        Ok(output) if (output == target.output) & known => Verdict::Right,
        Err(PasswordError::OutOfMemory) => Verdict::NoMemory,
        Ok(_) | Err(_) => Verdict::Wrong,
    }
}

/// Whether the process may map as much as it likes (`ulimit -v`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressSpace {
    /// It may not: a hash maps what it touches.
    Limited,
    /// It may: a hash maps so much that all of it goes back to the system.
    Unlimited,
}

/// What a check of a password came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the user's.
    Right,
    /// It is not, or the user cannot log in.
    Wrong,
    /// It was not checked: there was no memory for its hash.
    NoMemory,
    /// It was not checked: the check broke off, which is a fault of ours.
    Failed,
}

/// A PHC string, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. Its `Debug` keeps it to itself.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<str>);

impl PasswordHash {
    /// Takes a PHC string from outside.
    ///
    /// # Errors
    ///
    /// When [`verify`] would not compute it: another algorithm than Argon2id, version 19, a
    /// part missing, or a cost out of bounds.
    pub fn parse(phc: &str) -> Result<PasswordHash, PasswordError> {
        Target::parse(phc).map(|_| PasswordHash(phc.into()))
    }

    /// Takes what a store holds. Whether it is worth anything is seen when it is verified.
    pub fn from_store(phc: Box<str>) -> PasswordHash {
        PasswordHash(phc)
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// One check of a password, as the helper thread is given it.
pub struct HashJob {
    /// What the outcome is told apart by.
    pub ticket: u64,
    /// What the peer says the password is.
    pub password: Zeroizing<String>,
    /// What it must match; `None` where nothing will do.
    pub expected: Option<PasswordHash>,
    /// The cost of a hash of ours.
    pub memory_kib: u32,
}

impl HashJob {
    /// Does the work: some tens of milliseconds, and `memory_kib` of memory.
    pub fn run(self, space: AddressSpace) -> HashOutcome {
        HashOutcome {
            ticket: self.ticket,
            verdict: verify(
                self.expected.as_ref(),
                &self.password,
                self.memory_kib,
                space,
            ),
        }
    }
}

impl fmt::Debug for HashJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("HashJob");
        out.field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

/// What became of a [`HashJob`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashOutcome {
    /// The job's ticket.
    pub ticket: u64,
    /// What the check came to.
    pub verdict: Verdict,
}

/// Why a password or a hash is refused. It names neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordError {
    // The person's.
    /// No password at all.
    Empty,
    /// Longer than [`PASSWORD_BYTES_MAX`].
    TooLong,
    /// A NUL in it.
    Nul,
    /// Other than UTF-8.
    NotUtf8,

    // The one who made the hash.
    /// Not a PHC string with all its parts.
    Malformed,
    /// Another algorithm than Argon2id, or another version of it than 19.
    Algorithm,
    /// A cost beyond its bound, `name` being the parameter.
    Cost {
        /// `m`, `t` or `p`.
        name: &'static str,
        /// The bound.
        max: u32,
    },

    // The machine's.
    /// No memory for the hash.
    OutOfMemory,
    /// Less memory set for hashes than Argon2 works with.
    TooLittleMemory,
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PasswordError::Empty => f.write_str("the password is empty"),
            PasswordError::TooLong => write!(
                f,
                "the password is longer than {PASSWORD_BYTES_MAX} bytes"
            ),
            PasswordError::Nul => f.write_str("the password holds a NUL byte"),
            PasswordError::NotUtf8 => f.write_str("the password is not UTF-8"),
            PasswordError::Malformed => f.write_str(
                "the password hash is not a PHC string like $argon2id$v=19$m=19456,t=2,p=1$salt$hash",
            ),
            PasswordError::Algorithm => {
                f.write_str("the password hash is not of Argon2id, version 19 ($argon2id$v=19$…)")
            }
            PasswordError::Cost { name, max } => write!(
                f,
                "the password hash asks for more than {name}={max}; lower its cost"
            ),
            PasswordError::OutOfMemory => f.write_str(
                "there is not enough memory to hash a password; lower PASSWORD_MEMORY",
            ),
            PasswordError::TooLittleMemory => write!(
                f,
                "PASSWORD_MEMORY is below Argon2's least, {PASSWORD_MEMORY_KIB_MIN} KiB"
            ),
        }
    }
}

impl std::error::Error for PasswordError {}

/// What a password must come out as, and how to get there.
struct Target {
    params: Params,
    salt: Salt,
    output: Output,
}

impl Target {
    fn parse(phc: &str) -> Result<Target, PasswordError> {
        let hash = argon2::PasswordHash::new(phc).map_err(|_| PasswordError::Malformed)?;
        if (hash.algorithm, hash.version) != (ARGON2ID_IDENT, Some(Version::V0x13.into())) {
            return Err(PasswordError::Algorithm);
        }
        // Three there are, and each of these is there: so none is twice, and no other is.
        if hash.params.iter().count() != 3 {
            return Err(PasswordError::Malformed);
        }
        let memory_kib = bounded(&hash.params, "m", PASSWORD_MEMORY_KIB_MAX)?;
        let passes = bounded(&hash.params, "t", PASSWORD_PASSES_MAX)?;
        let lanes = bounded(&hash.params, "p", PASSWORD_LANES_MAX)?;
        let (Some(salt), Some(output)) = (hash.salt, hash.hash) else {
            return Err(PasswordError::Malformed);
        };
        let params = Params::new(memory_kib, passes, lanes, Some(output.len()))
            .map_err(|_| PasswordError::Malformed)?;
        Ok(Target {
            params,
            salt,
            output,
        })
    }

    /// What is computed for nobody.
    fn nobody(memory_kib: u32) -> Result<Target, PasswordError> {
        Ok(Target {
            params: our_params(memory_kib)?,
            salt: Salt::new(&[0; PASSWORD_SALT_BYTES]).map_err(|_| PasswordError::Malformed)?,
            output: Output::new(&[0; Params::DEFAULT_OUTPUT_LEN])
                .map_err(|_| PasswordError::Malformed)?,
        })
    }
}

/// The parameter `name` of a hash.
fn bounded(params: &ParamsString, name: &'static str, max: u32) -> Result<u32, PasswordError> {
    match params.get_decimal(name) {
        Some(value) if value > max => Err(PasswordError::Cost { name, max }),
        Some(value) => Ok(value),
        None => Err(PasswordError::Malformed),
    }
}

fn our_params(memory_kib: u32) -> Result<Params, PasswordError> {
    Params::new(memory_kib, PASSWORD_PASSES, PASSWORD_LANES, None)
        .map_err(|_| PasswordError::TooLittleMemory)
}

fn compute(
    params: &Params,
    salt: &Salt,
    password: &str,
    space: AddressSpace,
) -> Result<Output, PasswordError> {
    let mut bytes = [0; Output::MAX_LENGTH];
    let len = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let output = bytes.get_mut(..len).ok_or(PasswordError::Malformed)?;
    let memory = memory(params.block_count(), space)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(password.as_bytes(), salt, output, memory)
        .map_err(|_| PasswordError::Malformed)?;
    Output::new(output).map_err(|_| PasswordError::Malformed)
}

/// What a hash is computed in; a block is one KiB. Never more than `blocks` is touched.
///
/// Where the address space has no limit, more than 32 MiB of it is mapped: glibc unmaps that when
/// it is freed. Less it keeps once it has seen as much freed (mallopt(3), M_MMAP_THRESHOLD): after
/// three hashes of 19 MiB an idle server held 38 MiB.
fn memory(blocks: usize, space: AddressSpace) -> Result<Vec<Block>, PasswordError> {
    const RETURNED_BLOCKS_MIN: usize = 32 * 1024 + 1;
    let mut memory = Vec::new();
    let mapped = match space {
        AddressSpace::Limited => blocks,
        AddressSpace::Unlimited => blocks.max(RETURNED_BLOCKS_MIN),
    };
    memory
        .try_reserve_exact(mapped)
        .or_else(|_| memory.try_reserve_exact(blocks))
        .map_err(|_| PasswordError::OutOfMemory)?;
    memory.resize(blocks, Block::default());
    Ok(memory)
}

#[cfg(test)]
mod tests;
