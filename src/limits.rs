//! Every bound that is fixed, in one place, and the relations between them, asserted when
//! the program is compiled. Bounds that a person may set are in [`crate::config`], with the
//! defaults from here.

use std::time::Duration;

/// A request head, from its first byte to the blank line, in bytes.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Header fields in a request head.
pub const HEAD_FIELDS_MAX: usize = 64;
/// What stands around the content of a chunked body, in bytes: sizes, line ends, extensions and
/// trailers. A login in chunks of one byte passes.
pub const CHUNK_FRAMING_BYTES_MAX: usize = 16 * 1024;

/// A PROXY protocol header of version 1, in bytes, its CR LF included (PROXY protocol §2.1).
pub const PROXY_LINE_BYTES_MAX: usize = 107;
/// A PROXY protocol header of version 2, in bytes. What stands in it after the addresses is
/// skipped, but may be long: a proxy that ended TLS passes certificates on (PROXY protocol §2.2.5).
pub const PROXY_HEADER_BYTES_MAX: usize = 4 * 1024;
/// Hops that `Forwarded` or `X-Forwarded-For` may name; each is looked up among the trusted.
pub const FORWARDED_HOPS_MAX: usize = 32;
/// Networks in one list. A look-up passes over them all.
pub const NETWORKS_MAX: usize = 256;
/// Leading bits of an IPv6 address that caps and bans count by: the subnet one subscriber has
/// at the least (RFC 6177 §2), within which an address costs nothing.
pub const ADDRESS_KEY_IPV6_BITS: u8 = 64;

/// Leading bits of an IPv6 address that name a site: the most one subscriber is commonly given
/// (RFC 6177 §1).
pub const SITE_IPV6_BITS: u8 = 48;
/// How long a connection may take to ask before age alone puts it out for a newcomer.
pub const PENDING_GRACE: Duration = Duration::from_secs(1);
/// How many times more than one address a whole site may have before it is taken for a crowd.
pub const SITE_ADDRESSES: usize = 16;
/// Pending connections from which on an address is a crowd: more than one page opens at once.
pub const CROWD_CONNECTIONS_MIN: usize = 5;
/// Deadlines dealt with in one turn: many connections may have the same.
pub const TURN_DEADLINES_MAX: usize = 256;
/// People looked up again in one turn after the user store changed.
pub const TURN_REVIEWS_MAX: usize = 32;

/// Frames that one message may be cut into (RFC 6455 §5.4 names no bound).
pub const FRAGMENTS_MAX: u32 = 64;
/// Payload of a control frame, in bytes (RFC 6455 §5.5).
pub const CONTROL_PAYLOAD_BYTES_MAX: usize = 125;
/// Reason of a Close frame, in bytes: what its code leaves of the payload (RFC 6455 §5.5.1).
pub const CLOSE_REASON_BYTES_MAX: usize = CONTROL_PAYLOAD_BYTES_MAX - 2;
/// Header of a client's frame, in bytes: two, eight of length and four of mask (RFC 6455 §5.2).
pub const FRAME_HEADER_BYTES_MAX: usize = 14;

/// A token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 4_096;
/// A subject, and so a user's id, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 128;
/// The latest second a claim may name: 9999-12-31T23:59:59Z.
pub const CLAIM_SECONDS_MAX: u64 = 253_402_300_799;
/// A secret, in bytes, at the least (RFC 7518 §3.2: as long as the hash's output).
pub const SECRET_BYTES_MIN: usize = 32;

/// Objects and arrays inside one another in a client's JSON.
pub const JSON_DEPTH_MAX: usize = 32;
/// Members of an object that the program reads: a frame, its data, a token's header or claims.
pub const JSON_MEMBERS_MAX: usize = 64;
/// A frame's `id`, when it is a string: its characters as UTF-8, in bytes.
pub const FRAME_ID_BYTES_MAX: usize = 64;
/// A frame's `event` that can be known; a longer one is unknown however it is written.
pub const EVENT_BYTES_MAX: usize = 64;

/// A password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// A password that is set with fewer characters is warned of (NIST SP 800-63B §5.1.1.2).
pub const PASSWORD_CHARACTERS_UNTOLD_MIN: usize = 8;
/// Memory an Argon2 hash of ours takes unless `PASSWORD_MEMORY` says otherwise, in KiB.
pub const PASSWORD_MEMORY_KIB_DEFAULT: u32 = 19 * 1_024;
/// The least memory it can be told to take, in KiB (RFC 9106 §3.1: eight blocks a lane).
pub const PASSWORD_MEMORY_KIB_MIN: u32 = 8 * PASSWORD_LANES;
/// Passes an Argon2 hash of ours makes over that memory.
pub const PASSWORD_PASSES: u32 = 2;
/// Lanes of such a hash.
pub const PASSWORD_LANES: u32 = 1;
/// The salt of such a hash, in bytes (RFC 9106 §3.1 recommends 16).
pub const PASSWORD_SALT_BYTES: usize = 16;
/// A user's name, in bytes.
pub const USER_NAME_BYTES_MAX: usize = 256;
/// Memory an Argon2 string from the store or an import may ask for, in KiB.
pub const PASSWORD_MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Passes over that memory such a string may ask for.
pub const PASSWORD_PASSES_MAX: u32 = 16;
/// Lanes such a string may ask for.
pub const PASSWORD_LANES_MAX: u32 = 16;
/// Passwords waiting for the helper thread, the one it is at included.
pub const HASHES_PENDING_MAX: usize = 16;
/// Of these, those that one address may have.
pub const HASHES_PER_ADDRESS_MAX: usize = 2;
/// How far each try of a login moves the turn of its network and of its id back.
pub const LOGIN_TURN: Duration = Duration::from_secs(60);
/// How many turns a network or an id can be moved back.
pub const LOGIN_TURNS_MAX: u32 = 60;
/// How long an address comes first from which somebody logged in.
pub const LOGIN_KNOWN_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long a request waits for its password to be checked before it is given up.
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Wrong passwords on one connection before it is closed.
pub const LOGIN_FAILURES_MAX: u8 = 3;

/// User records held in memory: less than half a megabyte of them, as they commonly are.
pub const USER_CACHE_ENTRIES_MAX: usize = 1_536;
/// How often the user store is asked, at the most, whether another process changed it. The
/// contract has a user refused from 50 ms after the commit; the turn itself takes the rest.
pub const USER_CACHE_CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// How long after it was asked it is asked again while nothing waits for it, so that a frame seldom
/// has to.
pub const USER_CACHE_CHECK_AHEAD: Duration = Duration::from_millis(10);
/// How long the server waits for another process that holds the database: its loop stands
/// still meanwhile.
pub const DATABASE_WAIT_SERVING: Duration = Duration::from_millis(20);
/// How long a command waits for it.
pub const DATABASE_WAIT_ADMINISTERING: Duration = Duration::from_secs(5);
/// How long the helper thread waits for it before it says that it failed.
pub const DATABASE_WAIT_WRITING: Duration = Duration::from_secs(1);
/// How long a logout waits for its commit before its connection is told `unavailable`.
pub const LOGOUT_TIMEOUT: Duration = Duration::from_secs(10);
/// Users whose logout is not yet on the disk; the next logout is told `unavailable`.
pub const REVOCATIONS_PENDING_MAX: usize = 1_024;
/// Writes that one commit may hold.
pub const REVOCATIONS_PER_COMMIT_MAX: usize = 256;
/// How long after a write that failed it is tried again.
pub const REVOCATION_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How often a revocation is set again whose commit outlasted the second it set; each time it is
/// set further ahead, twice as far as the time before.
pub const REVOCATION_TRIES_MAX: u32 = 12;
/// How far ahead of the clock a date in the database must lie to be of a clock that was ahead.
pub const CLOCK_AHEAD_SECONDS_MIN: u64 = 24 * 3_600;
/// How long a user's tokens may be void yet without a word about the clock: each of several
/// revocations in one second sets a second that is one later.
pub const VOID_SECONDS_UNTOLD: u64 = 60;
/// How often, at the most, the user store is told which second was seen, logins apart.
pub const SEEN_INTERVAL_SECONDS: u64 = 60;
/// Pages of the database held in memory, in KiB.
pub const DATABASE_CACHE_KIB: u32 = 256;
/// A database that is larger is not looked through for damage when a server opens it.
pub const DATABASE_CHECKED_BYTES_MAX: i64 = 32 * 1_024 * 1_024;
/// Steps of SQLite's virtual machine that a query of a server may take. The longest of ours is a
/// look-up of some dozens, and a million takes tens of milliseconds.
pub const DATABASE_STEPS_MAX: i32 = 1_000_000;
/// How long the file at the path must not have changed before it is opened anew by a server whose
/// database was gone, and how often it is looked for.
pub const DATABASE_REOPEN_INTERVAL: Duration = Duration::from_millis(250);
/// How long a command that has committed waits for readers before it leaves in the write-ahead log
/// what it would carry into the database.
pub const DATABASE_WAIT_CARRYING: Duration = Duration::from_millis(250);
/// Users whose change is told one by one; when more changed at once, all are looked at.
pub const USER_CHANGES_MAX: usize = 1_000;
/// A value or a row of the database, in bytes.
pub const DATABASE_VALUE_BYTES_MAX: i32 = 8 * 1_024;
/// Tries to switch a fresh database to its write-ahead log, while others do.
pub const DATABASE_SWITCHES_MAX: usize = 16;
/// A line of a file of users to import, in bytes, without its line feed.
pub const IMPORT_LINE_BYTES_MAX: usize = 8 * 1024;

/// Time for the first valid token while pending connections fill more than half their budget.
pub const AUTH_TIMEOUT_CROWDED: Duration = Duration::from_secs(2);
/// Bytes a second that a reader takes at the least for whom a Ping is not late yet: what its
/// socket took lies before the Ping, and where it has come in that, nobody can see.
pub const READ_BYTES_PER_SECOND_MIN: u64 = 16 * 1_024;
/// The longest ban.
pub const BAN_MAX: Duration = Duration::from_secs(3_600);

/// How long a stopping server waits for requests on the connections it has, and for passwords.
pub const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Connections whose FIN is sent and whose peer's is awaited. The next one's descriptor is closed
/// once its last byte is written; with a reset, if it failed for a hostile cause.
pub const LINGERING_MAX: usize = 256;
/// What of them one address may have.
pub const LINGERING_PER_ADDRESS_MAX: usize = 16;

/// What `MEMORY` must have for each connection there may be: its session, and the queue of an outbox
/// that holds a frame. In bytes.
pub const CONNECTION_BYTES: usize = 384;
/// One in so many parts of `MEMORY` is kept free, for what queues may grow by within one decision.
pub const MEMORY_RESERVE_PARTS: usize = 8;
/// One in so many parts of `MEMORY` may be queues that are kept for the next outbox that needs one.
pub const MEMORY_SPARE_PARTS: usize = 64;
/// Which part of `MAX_OUTBOX` may wait for one peer without having been offered to its socket, and as
/// much again of broadcasts that it has yet to be given. Past it nothing more is decided until some
/// was.
pub const CROWDED_PARTS: usize = 8;
/// Frames of broadcasts, counted once for each recipient, that may wait without having been offered
/// to their sockets. Past it nothing more is decided until some were: it bounds the work of a turn.
pub const UNOFFERED_FRAMES_MAX: usize = 32 * 1_024;
/// Bytes that one turn reads of logged-in connections, and so decides on before it answers.
pub const TURN_MEMBER_BYTES_MAX: usize = 192 * 1_024;
/// Bytes that one turn reads of connections not yet logged in.
pub const TURN_PENDING_BYTES_MAX: usize = 16 * 1_024;

/// A line of the log, in bytes, without its line feed.
pub const LOG_LINE_BYTES_MAX: usize = 512;
/// A value in a line of the log, in bytes, before it is quoted and escaped.
pub const LOG_VALUE_BYTES_MAX: usize = 128;
/// Lines of the log that may wait for standard error to take them; the next is dropped.
pub const LOG_LINES_PENDING_MAX: usize = 512;
/// How long a process that ends waits for standard error to take the last lines.
pub const LOG_DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// A recording, in bytes: what a file of it may grow to, and what is read of one.
pub const RECORDING_BYTES_MAX: u64 = 256 * 1_024 * 1_024;
/// What of a recording may wait for its disk, in bytes; past it the recording stops.
pub const RECORDING_PENDING_BYTES_MAX: usize = 32 * 1_024 * 1_024;
/// How long a server that ends waits for a disk to take the rest of its recording.
pub const RECORDING_DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// What stands around a message's data when it is passed on: the frame's header, `event`,
/// and `from`, `to` and `id` with every character escaped. In bytes.
pub const MESSAGE_OVERHEAD_BYTES_MAX: usize = 1_024;

// What a person may set a setting to. Durations are in milliseconds.

/// `LISTEN`: addresses.
pub const LISTENERS_MAX: usize = 16;
/// `LISTEN`: the path of a Unix socket, in bytes (man 7 unix: 108 with the zero after it).
pub const UNIX_PATH_BYTES_MAX: usize = 107;
/// `ORIGINS`: origins.
pub const ORIGINS_MAX: usize = 64;
/// `ISSUER` and `AUDIENCE`, in bytes.
pub const ISSUER_BYTES_MAX: usize = 256;
/// `TOKEN_TTL`, at the least: claims count in seconds.
pub const TOKEN_TTL_MS_MIN: u64 = 1_000;
/// `TOKEN_TTL`, at the most: a year.
pub const TOKEN_TTL_MS_MAX: u64 = 365 * 24 * 3_600_000;
/// `LEEWAY`.
pub const LEEWAY_MS_MAX: u64 = 600_000;
/// `MAX_CONNECTIONS`, `MAX_PENDING` and what of them one address may have.
pub const CONNECTIONS_MAX: u64 = 1_000_000;
/// `MEMORY`, at the least.
pub const MEMORY_BYTES_MIN: u64 = 64 * 1_024;
/// `MEMORY`, at the most.
pub const MEMORY_BYTES_MAX: u64 = 64 * 1_024 * 1_024 * 1_024;
/// `MAX_MESSAGE`, before login too, at the least.
pub const MESSAGE_BYTES_MIN: u64 = 1_024;
/// `MAX_MESSAGE`, before login too, at the most.
pub const MESSAGE_BYTES_MAX: u64 = 16 * 1_024 * 1_024;
/// `MAX_OUTBOX`, at the least.
pub const OUTBOX_BYTES_MIN: u64 = 2_048;
/// `MAX_OUTBOX`, at the most.
pub const OUTBOX_BYTES_MAX: u64 = 1_024 * 1_024 * 1_024;
/// A timeout, at the least: none can be turned off.
pub const TIMEOUT_MS_MIN: u64 = 10;
/// A timeout, at the most.
pub const TIMEOUT_MS_MAX: u64 = 3_600_000;
/// `LINGER`, at the most.
pub const LINGER_MS_MAX: u64 = 60_000;
/// `RATE`, `LOGIN_RATE`, `LOG_RATE`, `DELIVERY_RATE`, their bursts, and `BAN_AFTER`.
pub const RATE_COUNT_MAX: u64 = 1_000_000;
/// `BROADCAST_RATE` and `BROADCAST_BURST`, in bytes.
pub const BYTE_RATE_MAX: u64 = 1_024 * 1_024 * 1_024;
/// `BAN_FOR`, at the least.
pub const BAN_MS_MIN: u64 = 1_000;
/// `BAN_FOR`, at the most, and what a ban that doubles stops at.
pub const BAN_MS_MAX: u64 = 3_600_000;

/// Address space that a process takes beside `MEMORY`: the program, its libraries, its threads and
/// the database.
pub const ADDRESS_SPACE_BYTES_BESIDE_MEMORY: u64 = 24 * 1_024 * 1_024;

/// A `.env` file, in bytes.
pub const ENV_FILE_BYTES_MAX: usize = 64 * 1_024;

const _: () = {
    // A head's scanner counts in a few bytes, one beyond the bound included.
    assert!(HEAD_BYTES_MAX <= u16::MAX as usize && HEAD_FIELDS_MAX < u8::MAX as usize);
    // Either version of a PROXY header fits the bound told for both, and so does the longest
    // block of addresses, that of AF_UNIX (PROXY protocol §2.2).
    assert!(PROXY_LINE_BYTES_MAX <= PROXY_HEADER_BYTES_MAX);
    assert!(16 + 216 <= PROXY_HEADER_BYTES_MAX);
    // A handshake must be able to carry the largest token and the fields beside it.
    assert!(TOKEN_BYTES_MAX + 2_048 <= HEAD_BYTES_MAX);
    assert!(SUBJECT_BYTES_MAX < TOKEN_BYTES_MAX);
    // A user's id is never cut in the log.
    assert!(SUBJECT_BYTES_MAX <= LOG_VALUE_BYTES_MAX);
    assert!(2 * LOG_VALUE_BYTES_MAX < LOG_LINE_BYTES_MAX);
    // The smallest outbox takes the smallest message.
    assert!(MESSAGE_BYTES_MIN + MESSAGE_OVERHEAD_BYTES_MAX as u64 <= OUTBOX_BYTES_MIN);
    // RFC 7519 §4.1: a token of ours with every claim at its longest is one we take. A base64
    // character carries six bits, JSON may double a character, and 512 are for all the rest.
    assert!((2 * (SUBJECT_BYTES_MAX + 2 * ISSUER_BYTES_MAX) + 512) * 4 / 3 <= TOKEN_BYTES_MAX);
    // What we hash ourselves, we must be willing to check.
    assert!(PASSWORD_MEMORY_KIB_MIN <= PASSWORD_MEMORY_KIB_DEFAULT);
    assert!(PASSWORD_MEMORY_KIB_DEFAULT <= PASSWORD_MEMORY_KIB_MAX);
    assert!(PASSWORD_PASSES <= PASSWORD_PASSES_MAX);
    assert!(PASSWORD_LANES <= PASSWORD_LANES_MAX);
    // Two asks, and the wait for the database, fit into the contract's 50 ms.
    assert!(USER_CACHE_CHECK_AHEAD.as_millis() < USER_CACHE_CHECK_INTERVAL.as_millis());
    assert!(USER_CACHE_CHECK_INTERVAL.as_millis() + DATABASE_WAIT_SERVING.as_millis() < 50);
    // The longest id, name and password fit a line, though each byte of them be escaped.
    assert!(
        2 * (SUBJECT_BYTES_MAX + USER_NAME_BYTES_MAX + PASSWORD_BYTES_MAX) < IMPORT_LINE_BYTES_MAX
    );
};
