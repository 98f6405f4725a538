//! `refresh`: a fresh token for a user who has a good one.

use crate::app::{Fault, Host, Outcome};
use crate::gate::Admitted;

use super::login::write_session;

pub(in crate::app) fn handle(
    host: &mut dyn Host,
    frame: &Admitted<'_>,
    answer: &mut Vec<u8>,
) -> Result<Outcome, Fault> {
    let minted = host.mint(frame.pass())?;
    write_session(answer, &minted);
    Ok(Outcome::Answer)
}
