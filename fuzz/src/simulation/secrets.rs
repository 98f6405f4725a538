//! Secrets and passwords of the simulator: made once for all runs, since they take longer to make than
//! many steps.

use std::sync::LazyLock;

use framegate::internals::app::password::{PasswordHash, hash};
use framegate::internals::gate::{Keys, Secret};
use framegate::internals::limits::PASSWORD_MEMORY_KIB_MIN;

use super::people::{MARK, PEOPLE};

/// Of so many secrets the keys are made once for all runs.
const GENERATIONS_KEPT: u32 = 16;

pub(super) fn password_of(user: usize) -> String {
    format!("pass{MARK}word of {user}")
}

fn secret_of(generation: u32) -> Option<Secret> {
    let text = format!("secret {MARK} number {generation:08}, long enough");
    Secret::parse(&text).ok()
}

/// The keys of a generation, and of the one before it.
pub(super) fn keys_of(generation: u32) -> Option<Keys> {
    static KEYS: LazyLock<Vec<Option<Keys>>> =
        LazyLock::new(|| (0..GENERATIONS_KEPT).map(made_keys_of).collect());
    match KEYS.get(generation as usize) {
        Some(keys) => keys.clone(),
        None => made_keys_of(generation),
    }
}

fn made_keys_of(generation: u32) -> Option<Keys> {
    let previous = secret_of(generation.wrapping_sub(1));
    Some(Keys::new(&secret_of(generation)?, previous.as_ref()))
}

pub(super) fn password_hash_of(user: usize) -> Option<PasswordHash> {
    static HASHES: LazyLock<Vec<Option<PasswordHash>>> = LazyLock::new(|| {
        let salted = |user: usize| {
            let salt = [user as u8; 16];
            hash(&password_of(user), salt, PASSWORD_MEMORY_KIB_MIN).ok()
        };
        (0..PEOPLE).map(salted).collect()
    });
    HASHES.get(user).cloned().flatten()
}
