//! From text to trust: the envelope of a client's frame, its token, the claims in it, the
//! keys, and the one door, [`Gate::admit`]. What comes out is a value that only a verified
//! token can make, and that every handler asks for.
//!
//! ```text
//! text ─▶ envelope ─▶ jws (MAC) ─▶ token: header, claims ─▶ standing ─▶ Admitted
//!            │          └ what of its JSON is parsed is a type that only the right MAC makes
//!            └ json: the one strict way in which the program reads JSON
//! ```
//!
//! The gate knows no frames, no sockets, no clock, and no more of the user store than the
//! question it asks of it, [`Directory::standing`].

mod admit;
mod envelope;
mod jws;
mod key;
mod replay_tokens;
mod secret;
mod sign;
mod token;

pub use admit::{
    AccountStatus, Admission, Admitted, Bound, Denial, Denied, Directory, Forbidden, Gate, LOGIN,
    LoginFrame, Unavailable, VerifiedToken, check_account_status,
};
pub use envelope::{Envelope, FrameError};
pub use replay_tokens::{REPLAY_SECRET, ReplayTokens};
pub use secret::{Keys, OtherKey, Secret, SecretError};
pub use sign::{Minted, SignError, Signer};
pub use token::{ClaimRules, TokenError, Verified, Verifier, is_subject};
