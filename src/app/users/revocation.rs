//! Revocations: from which second on a user's tokens are good, and the care that none signed
//! before a revocation is seen outlives it.

use super::StoreError;
use crate::limits::{CLOCK_AHEAD_SECONDS_MIN, REVOCATION_TRIES_MAX};
use crate::time::UnixSeconds;

/// What is to be made void: every token of a user that was issued until now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The user.
    pub id: Box<str>,
    /// A token that was issued is dated so late, whatever the clock says.
    pub issued_until: UnixSeconds,
    /// `LEEWAY`: a token dated so far ahead of the clock is taken.
    pub leeway_seconds: u64,
}

/// What is known of a user's tokens when they are made void.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dated {
    /// `tokensValidFrom`, as it stands.
    pub tokens_valid_from: Option<UnixSeconds>,
    /// When the user was added.
    pub created_at: UnixSeconds,
    /// The latest second the store has seen, by whatever clock.
    pub seen: UnixSeconds,
    /// [`Revocation::issued_until`].
    pub issued_until: UnixSeconds,
}

impl Dated {
    /// From which second on tokens are good, when all issued until `now` are made void.
    ///
    /// That is the first second that no token bears yet: the gate takes tokens dated up to
    /// `leeway_seconds` and one ahead. A clock that shows less than what the store has seen
    /// does not count: the second is later than anything seen, so that no token from before
    /// survives. But what lies more than [`CLOCK_AHEAD_SECONDS_MIN`] ahead of a clock that is not
    /// before the user's own beginning was written by a clock that was ahead and put right since:
    /// it does not count, or nobody could log in until then. Tokens signed by that clock are
    /// refused for their date until that second comes.
    pub fn valid_from(&self, now: UnixSeconds, leeway_seconds: u64) -> UnixSeconds {
        let next = next(now, leeway_seconds);
        let counts = |second: &UnixSeconds| self.counts(*second, now, leeway_seconds);
        // Each for itself: one that does not count takes no other with it.
        let seen = [self.seen, self.created_at, self.issued_until];
        let seen = seen.into_iter().filter(counts).max();
        let stored = self.tokens_valid_from.filter(counts);
        // A login may have been dated at the very second the last revocation set. A later one
        // than the gate takes it has handed to nobody.
        let stored = stored.map(|from| from.plus(u64::from(from <= next)));
        let seen = seen.map(|seen| seen.plus(1));
        [Some(next), seen, stored]
            .into_iter()
            .flatten()
            .max()
            .unwrap_or(next)
    }

    /// Whether this second can have been set by a clock that was right.
    pub fn counts(&self, second: UnixSeconds, now: UnixSeconds, leeway_seconds: u64) -> bool {
        let is_clock_slow = now < self.created_at;
        is_clock_slow || second <= next(now, leeway_seconds).plus(CLOCK_AHEAD_SECONDS_MIN)
    }
}

/// The first second of which the gate takes no token yet.
fn next(now: UnixSeconds, leeway_seconds: u64) -> UnixSeconds {
    now.plus(leeway_seconds.saturating_add(1))
}

/// Runs `set` until the second it sets lies ahead of the clock when it has committed.
///
/// Until others see the commit they sign tokens, dated by the clock: one that ran past the second
/// that was set, while a lock or a disk was waited for, may have dated one that is good. `set` is
/// given how many seconds to add to the clock it reads inside its transaction, more from the third
/// try on: else a disk that takes more than a second for a commit would never be done.
///
/// # Errors
///
/// What `set` fails with.
pub fn outrun<T>(
    clock: &dyn Fn() -> UnixSeconds,
    valid_from: impl Fn(&T) -> Option<UnixSeconds>,
    mut set: impl FnMut(u64) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut ahead_seconds = 0;
    let mut done = set(0)?;
    for _ in 0..REVOCATION_TRIES_MAX {
        if valid_from(&done).is_none_or(|from| clock() < from) {
            break;
        }
        done = set(ahead_seconds)?;
        ahead_seconds = ahead_seconds * 2 + 1;
    }
    Ok(done)
}

/// What a server writes to its user store, by a thread of its own.
pub trait UserWriter: Send {
    /// Makes all of them void in one commit, and keeps in mind that `seen` was seen. A user there
    /// is not is passed over. `clock` is read when nobody else can write.
    ///
    /// # Errors
    ///
    /// When that is not done for good.
    fn write(
        &mut self,
        revocations: &[Revocation],
        seen: Option<UnixSeconds>,
        clock: &dyn Fn() -> UnixSeconds,
    ) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests;
