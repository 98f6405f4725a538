//! The program's own events, a file each. A further one is a file here and a line in
//! [`Events::builtin`](super::Events::builtin).

pub(super) mod get_user;
pub(super) mod login;
pub(super) mod logout;
pub(super) mod message;
pub(super) mod refresh;
