//! Text that comes from outside: a client's frame, the settings, a file of users. Each is read
//! twice, by the program and by a slow model that shares none of its code, and both must say
//! the same.

mod config;
mod envelope;
mod json;
mod secret;
mod user_import;

pub use config::config;
pub use envelope::envelope;
pub use user_import::user_import;
