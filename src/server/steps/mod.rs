//! The steps of the core. Each file is one verb over all parts: what the core does with one kind of
//! input, or with the end of a connection.
//!
//! A step decides and keeps no data of its own; a part keeps data and decides nothing. Steps refuse
//! to know the face above them (`server::Server`), and sockets, clocks and SQL.

pub(crate) mod accept;
pub(crate) mod end;
pub(crate) mod expire;
pub(crate) mod fan_out;
pub(crate) mod frame;
pub(crate) mod host;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod pages;
pub(crate) mod report;
pub(crate) mod request;
pub(crate) mod respond;
pub(crate) mod shed_memory;
pub(crate) mod tapped;
pub(crate) mod user_changes;
pub(crate) mod write;
