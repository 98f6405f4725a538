//! Every bound that is fixed, in one place, and the relations between them, asserted when
//! the program is compiled. Bounds that a person may set are in [`crate::config`], with the
//! defaults from here.

/// A request head, from its first byte to the blank line, in bytes.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Header fields in a request head.
pub const HEAD_FIELDS_MAX: usize = 64;

/// A PROXY protocol header of version 1, in bytes, its CR LF included (PROXY protocol §2.1).
pub const PROXY_LINE_BYTES_MAX: usize = 107;
/// A PROXY protocol header of version 2, in bytes: what fits the smallest TCP segment every
/// host must take, for which the header was designed (PROXY protocol §2).
pub const PROXY_HEADER_BYTES_MAX: usize = 536;
/// Hops that `Forwarded` or `X-Forwarded-For` may name; each is looked up among the trusted.
pub const FORWARDED_HOPS_MAX: usize = 32;
/// Networks in one list. A look-up passes over them all.
pub const NETWORKS_MAX: usize = 256;
/// Leading bits of an IPv6 address that caps and bans count by: the subnet one subscriber has
/// at the least (RFC 6177 §2), within which an address costs nothing.
pub const ADDRESS_KEY_IPV6_BITS: u8 = 64;

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
/// A part of a token, decoded, in bytes: four characters of base64url are three bytes.
pub const TOKEN_PART_DECODED_BYTES_MAX: usize = TOKEN_BYTES_MAX / 4 * 3;
/// A subject, and so a user's id, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 128;
/// The latest second a claim may name: 9999-12-31T23:59:59Z.
pub const CLAIM_SECONDS_MAX: u64 = 253_402_300_799;
/// A secret, in bytes, at the least (RFC 7518 §3.2: as long as the hash's output).
pub const SECRET_BYTES_MIN: usize = 32;

/// Objects and arrays inside one another in a client's JSON.
pub const JSON_DEPTH_MAX: usize = 32;
/// A frame's `id`, when it is a string: its characters as UTF-8, in bytes.
pub const FRAME_ID_BYTES_MAX: usize = 64;

/// A password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
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
/// Wrong passwords on one connection before it is closed.
pub const LOGIN_FAILURES_MAX: u8 = 3;

/// User records held in memory.
pub const USER_CACHE_ENTRIES_MAX: usize = 1_024;

/// Connections whose FIN is sent and whose peer's is awaited; the next is reset at once.
pub const LINGERING_MAX: usize = 256;

/// A line of the log, in bytes, without its line feed.
pub const LOG_LINE_BYTES_MAX: usize = 512;

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
};
