//! Rows.
use crate::arena::Row;
pub(crate) const ROWS: &[Row] = &[];
