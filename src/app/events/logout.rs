//! `logout`: voids every token the user has, and ends the connection.

use crate::app::{Fault, Host, Outcome};
use crate::gate::Admitted;

pub(in crate::app) fn handle(
    host: &mut dyn Host,
    frame: &Admitted<'_>,
    _: &mut Vec<u8>,
) -> Result<Outcome, Fault> {
    host.revoke(frame.pass())?;
    Ok(Outcome::Silent)
}
