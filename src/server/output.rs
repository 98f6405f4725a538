//! What the core has for the outside.

use crate::app::password::HashJob;
use crate::server::answers::report::Report;
use crate::server::parts::counters::Summary;
use crate::server::parts::revocations::StoreJob;
use crate::server::parts::store_reporter::StoreNews;

/// Something that the core has for the outside, of [`Server::poll`](crate::server::Server::poll).
/// Bytes of connections, and their ends, are calls of their own: a turn has a place for each.
#[derive(Debug)]
pub enum Output {
    /// A password for the helper thread to check. [`Input::Hashed`](crate::server::Input::Hashed)
    /// brings what came of it.
    Hash(HashJob),
    /// Something for the helper thread to write to the user store.
    /// [`Input::Kept`](crate::server::Input::Kept) brings what came of a revocation.
    Store(StoreJob),
    /// What was refused in the last minute, once a minute while anything was.
    Summary(Summary),
    /// What became of the user store since the last of these.
    StoreNews(StoreNews),
    /// Something for the log.
    Report(Report),
}
