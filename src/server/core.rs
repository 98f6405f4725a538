//! The core's state: one of each part, and the little that belongs to no part.
//!
//! Promises that all the core does follows from what lies here and from its inputs (contract §5.8):
//! it holds no clock, no socket and no source of chance. Decides nothing; the steps do.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use crate::app::Events;
use crate::app::users::Users;
use crate::config::Config;
use crate::gate::{Gate, Signer};
use crate::limits::{CROWDED_PARTS, MEMORY_SPARE_PARTS};
use crate::server::connection::{ConnectionId, Ending};
use crate::server::parts::bans::Bans;
use crate::server::parts::broadcasts::Broadcasts;
use crate::server::parts::counters::Counters;
use crate::server::parts::login_queue::LoginQueue;
use crate::server::parts::members::Members;
use crate::server::parts::quotas::Quotas;
use crate::server::parts::rate_limits::Meters;
use crate::server::parts::reports::Reports;
use crate::server::parts::revocations::Revocations;
use crate::server::parts::sessions::Sessions;
use crate::server::parts::store_reporter::StoreReporter;
use crate::server::parts::timer_wheel::TimerWheel;
use crate::server::parts::write_queue::WriteQueue;
use crate::server::policy::Policy;
use crate::server::tap::Tap;

/// What a frame goes through. It lies apart from the [`Core`] and is lent to it for each call,
/// since gate and events ask the core in turn.
pub(crate) struct Handlers {
    pub(crate) gate: Gate,
    pub(crate) events: Events,
}

/// One of each part. The steps may use them all; each part keeps its own invariants.
pub(crate) struct Core {
    pub(crate) policy: Policy,
    pub(crate) signer: Signer,
    pub(crate) users: Users,
    /// Every connection with its state and its outbox, and the ledger of what they hold.
    pub(crate) sessions: Sessions,
    /// Which connections are logged in, as which user, and until when.
    pub(crate) members: Members,
    /// How many connections each address has, and which are pending.
    pub(crate) quotas: Quotas,
    /// When each session is looked at for a deadline.
    pub(crate) timer_wheel: TimerWheel,
    /// Which outbox is written next.
    pub(crate) write_queue: WriteQueue,
    /// Frames that not every member was given yet.
    pub(crate) broadcasts: Broadcasts,
    /// What was read of one connection and is not decided on yet, since too much waits to be
    /// written.
    pub(crate) undecided: Option<Undecided>,
    /// Descriptors that the turn is to shut, close or reset, the oldest first.
    pub(crate) endings: VecDeque<(ConnectionId, Ending)>,
    pub(crate) reports: Reports,
    pub(crate) counters: Counters,
    /// Logins whose password is being checked, or waits for that.
    pub(crate) logins: LoginQueue,
    /// Logouts that are not in the store yet.
    pub(crate) revocations: Revocations,
    pub(crate) connects_by_address: Meters,
    pub(crate) logins_by_address: Meters,
    pub(crate) logins_by_id: Meters,
    pub(crate) bans: Bans,
    /// What the log is to be told of the store.
    pub(crate) store_news: StoreReporter,
    /// True when memory was short and no connection held anything that it could give up.
    pub(crate) is_shedding_vain: bool,
    /// True once the server was told to stop.
    pub(crate) stopping: bool,
    /// Is told what peers send, for a recording; `None` in a server that makes none.
    pub(crate) tap: Option<Box<dyn Tap>>,
    /// Where a handler writes its answer, so that answers allocate nothing.
    pub(crate) answer_scratch: Vec<u8>,
    /// Where a broadcast is encoded, before it is copied once for all its recipients.
    pub(crate) broadcast_scratch: Vec<u8>,
}

/// Bytes of a connection that were read and are still to be decided on. While there are some,
/// nothing else is read.
pub(crate) struct Undecided {
    pub(crate) id: ConnectionId,
    /// Wiped when they are dropped: they may hold a token or a password.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

impl Core {
    /// A core without connections. `seed` is a secret number: peers choose ids and addresses, and
    /// must not be able to choose such as collide in the tables.
    pub(crate) fn new(config: Config, signer: Signer, users: Users, seed: u64) -> Core {
        Core {
            signer,
            users,
            // The only part that keeps a copy of settings: how much an outbox may hold and keep.
            sessions: Sessions::new(
                config.outbox_bytes_max / CROWDED_PARTS,
                config.memory_bytes_max / MEMORY_SPARE_PARTS,
            ),
            members: Members::new(seed.rotate_left(8)),
            quotas: Quotas::new(seed),
            timer_wheel: TimerWheel::new(),
            write_queue: WriteQueue::default(),
            broadcasts: Broadcasts::default(),
            undecided: None,
            endings: VecDeque::new(),
            reports: Reports::default(),
            counters: Counters::default(),
            logins: LoginQueue::new(seed),
            revocations: Revocations::default(),
            connects_by_address: Meters::new(seed.rotate_left(16)),
            logins_by_address: Meters::new(seed),
            logins_by_id: Meters::new(seed.rotate_left(32)),
            bans: Bans::new(seed.rotate_left(48)),
            store_news: StoreReporter::default(),
            is_shedding_vain: false,
            stopping: false,
            tap: None,
            answer_scratch: Vec::new(),
            broadcast_scratch: Vec::new(),
            policy: Policy::new(config),
        }
    }
}
