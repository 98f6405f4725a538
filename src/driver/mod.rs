//! All the input and output: the loop, the sockets, the clocks, the log.

pub mod logger;
