//! What the program is for: its users, and what their passwords must withstand.

pub mod password;
pub mod users;
