//! The steps of the core: what it does with an input, or with the end of a connection. Each file is
//! one of them, over all parts.

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
