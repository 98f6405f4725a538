//! Nothing: a manifest is read only when it has something to build.
