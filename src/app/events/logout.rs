//! `logout`: voids every token the user has, and ends the connection.

use crate::app::{Fault, Host, Outcome};
use crate::gate::Admitted;

pub(in crate::app) fn handle(
    host: &mut dyn Host,
    frame: &Admitted<'_>,
    answer: &mut Vec<u8>,
) -> Result<Outcome, Fault> {
    host.revoke(frame.pass())?;
    answer.extend_from_slice(b"{}");
    Ok(Outcome::Goodbye)
}
