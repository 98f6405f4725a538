//! `login`: an id and a password for a token. The one event that needs no token; over HTTP it is
//! `POST /login`.

use std::fmt;

use zeroize::Zeroizing;

use crate::app::password::check_password;
use crate::app::{Fault, Host, Outcome, push_integer};
use crate::gate::{LoginFrame, Minted};
use crate::json::{self, JsonError};
use crate::limits::SUBJECT_BYTES_MAX;

const EXPECTED: Fault = Fault::BadData("a login takes {\"id\":\"…\",\"password\":\"…\"}");
/// In a frame it is a member's value; `POST /login` takes it as its body.
const EXPECTED_IN_FRAME: Fault =
    Fault::BadData("a login takes `data` {\"id\":\"…\",\"password\":\"…\"}");
const PASSWORD: Fault = Fault::BadData("a password has 1 to 1024 bytes, and no NUL");

/// Who somebody says they are, and their proof. Wiped when dropped, never printed.
pub struct Credentials {
    /// The user's id, as it was given.
    pub id: Box<str>,
    /// The password, as it was given; of an allowed length.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads `{"id","password"}`.
    ///
    /// # Errors
    /// [`Fault::BadData`] when it is anything else, or a password no user can have. A password
    /// is refused here before anything is spent on it.
    pub fn parse(text: &str) -> Result<Credentials, Fault> {
        let (mut id, mut password) = (None, None);
        json::members_seldom::<JsonError>(text, |name, value| {
            match name {
                "id" => id = value.short_string(SUBJECT_BYTES_MAX),
                "password" => password = value.secret_string(),
                _ => {}
            }
            Ok(())
        })
        .map_err(|_| EXPECTED)?;
        let id = id.ok_or(EXPECTED)?;
        let password = password.ok_or(EXPECTED)?;
        check_password(&password).map_err(|_| PASSWORD)?;
        Ok(Credentials {
            id: id.into(),
            password,
        })
    }
}

pub(in crate::app) fn begin(host: &mut dyn Host, frame: &LoginFrame<'_>) -> Result<Outcome, Fault> {
    let credentials = Credentials::parse(frame.data().unwrap_or_default());
    host.check_password(credentials.map_err(|fault| match fault {
        EXPECTED => EXPECTED_IN_FRAME,
        fault => fault,
    })?)?;
    Ok(Outcome::Silent)
}

/// Writes `{"token","expiresIn"}`: what a login and a refresh answer.
pub fn write_session(out: &mut Vec<u8>, minted: &Minted) {
    out.extend_from_slice(b"{\"token\":");
    json::push_string(out, &minted.token);
    out.extend_from_slice(b",\"expiresIn\":");
    push_integer(out, minted.expires_in_seconds);
    out.push(b'}');
}
