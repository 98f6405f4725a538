//! What goes in: records of a connection, a pause and bytes; or plain bytes, as one connection.

use std::time::Duration;

/// What a script of records begins with. All other input is plain bytes.
pub const MAGIC: &[u8] = b"FGX1";
/// Peers that a script may name. Each has an address of its own, and connects anew when it sends after
/// its connection has ended.
pub const PEERS: u8 = 8;
/// Records of a script that are played; what comes after them is left out.
const RECORDS_MAX: usize = 256;
/// Bytes of a record ahead of what is sent.
const RECORD_HEAD_BYTES: usize = 6;
/// The lowest bits of a record's first byte: which peer.
const PEER_BITS: u8 = PEERS - 1;
/// In a record's second byte: our end is closed after the bytes.
const FINISHES: u8 = 1;
/// In a record's second byte: the connection is reset after the bytes.
const RESETS: u8 = 2;

/// In a record's second byte: the peer takes nothing any more of what is written to it.
const DEAFENS: u8 = 4;
/// In a record's second byte: the peer takes all again.
const HEARS: u8 = 8;

/// In the second byte of a script's first record: its bytes say what the world is like.
const SETS: u8 = 128;

/// One record: time passes, and then a peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'s> {
    /// Which peer, below [`PEERS`].
    pub peer: u8,
    /// How long nothing is sent before.
    pub pause: Duration,
    /// What is sent; perhaps nothing.
    pub bytes: &'s [u8],
    /// Whether the peer takes what is written to it from now on; `None` leaves it as it was.
    pub hears: Option<bool>,
    /// How the peer leaves after it, if it does.
    pub leaving: Option<Leaving>,
}

/// How a peer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// With a FIN: it can still hear.
    Fin,
    /// With a reset.
    Reset,
}

/// The records of a script, the first first. Every input is a script: a record that is cut short sends
/// what is there.
///
/// ```text
/// "FGX1", and then any number of:   peer  flags  pause   length  bytes
///                                     1     1      2       2     length
/// ```
///
/// The pause is in milliseconds; both numbers are big-endian. Flags: 1 a FIN after the bytes, 2 a reset,
/// 4 the peer takes nothing of what is written to it any more, 8 it takes all again; 128 the bytes are no
/// peer's, but a [`setting`].
pub fn records(script: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let (plain, mut rest) = match script.strip_prefix(MAGIC) {
        Some(rest) => (None, rest),
        None => (Some(script), [].as_slice()),
    };
    let plain = plain.map(|bytes| Record {
        peer: 0,
        pause: Duration::ZERO,
        bytes,
        hears: None,
        leaving: None,
    });
    let next = move || {
        let ([peer, flags, pause @ ..], bytes) = loop {
            let (head, bytes) = next_record(&mut rest)?;
            if head[1] & SETS == 0 {
                break (head, bytes);
            }
        };
        Some(Record {
            peer: peer & PEER_BITS,
            pause: Duration::from_millis(u16::from_be_bytes(pause).into()),
            bytes,
            hears: match flags {
                flags if flags & DEAFENS != 0 => Some(false),
                flags if flags & HEARS != 0 => Some(true),
                _ => None,
            },
            leaving: match flags {
                flags if flags & RESETS != 0 => Some(Leaving::Reset),
                flags if flags & FINISHES != 0 => Some(Leaving::Fin),
                _ => None,
            },
        })
    };
    plain
        .into_iter()
        .chain(std::iter::from_fn(next))
        .take(RECORDS_MAX)
}

/// The next record of `rest`, taken from it: peer, flags and pause, and the bytes.
fn next_record<'s>(rest: &mut &'s [u8]) -> Option<([u8; 4], &'s [u8])> {
    let (head, after) = rest.split_first_chunk::<RECORD_HEAD_BYTES>()?;
    let [peer, flags, pause_high, pause_low, length_high, length_low] = *head;
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    let (bytes, after) = after.split_at(length.min(after.len()));
    *rest = after;
    Some(([peer, flags, pause_high, pause_low], bytes))
}

/// What the first record says of the world, if it is no peer's.
pub fn setting(script: &[u8]) -> Option<&[u8]> {
    let mut rest = script.strip_prefix(MAGIC)?;
    let (head, bytes) = next_record(&mut rest)?;
    (head[1] & SETS != 0).then_some(bytes)
}

/// Writes what [`setting`] reads.
pub fn write_setting(script: &mut Vec<u8>, setting: &[u8]) {
    let length = u16::try_from(setting.len()).unwrap_or(u16::MAX);
    script.extend([0, SETS, 0, 0]);
    script.extend(length.to_be_bytes());
    script.extend(&setting[..usize::from(length)]);
}

/// Writes a record down, as [`records`] reads it. Bytes past 65,535 are left out.
pub fn write_record(script: &mut Vec<u8>, record: &Record<'_>) {
    let pause = u16::try_from(record.pause.as_millis()).unwrap_or(u16::MAX);
    let length = u16::try_from(record.bytes.len()).unwrap_or(u16::MAX);
    let leaving = match record.leaving {
        None => 0,
        Some(Leaving::Fin) => FINISHES,
        Some(Leaving::Reset) => RESETS,
    };
    let hears = match record.hears {
        None => 0,
        Some(false) => DEAFENS,
        Some(true) => HEARS,
    };
    script.extend([record.peer, leaving | hears]);
    script.extend(pause.to_be_bytes());
    script.extend(length.to_be_bytes());
    script.extend(&record.bytes[..usize::from(length)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_bytes_are_one_record_of_the_first_peer() {
        let all: Vec<_> = records(b"GET / HTTP/1.1\r\n").collect();
        let expected = Record {
            peer: 0,
            pause: Duration::ZERO,
            bytes: b"GET / HTTP/1.1\r\n",
            hears: None,
            leaving: None,
        };
        assert_eq!(all, [expected]);
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let some = |peer, millis, bytes, hears, leaving| Record {
            peer,
            pause: Duration::from_millis(millis),
            bytes,
            hears,
            leaving,
        };
        let written = [
            some(3, 0, b"one".as_slice(), Some(true), None),
            some(0, 65_535, b"", None, Some(Leaving::Fin)),
            some(7, 256, b"two", Some(false), Some(Leaving::Reset)),
        ];
        let mut script = MAGIC.to_vec();
        for record in &written {
            write_record(&mut script, record);
        }
        assert_eq!(records(&script).collect::<Vec<_>>(), written);
    }

    #[test]
    fn a_setting_is_no_record_of_a_peer() {
        let mut script = MAGIC.to_vec();
        write_setting(&mut script, b"{}");
        script.extend(b"\x01\x00\x00\x00\x00\x01a");
        assert_eq!(setting(&script), Some(&b"{}"[..]));
        let all: Vec<_> = records(&script).map(|record| record.bytes).collect();
        assert_eq!(all, [b"a"]);
        for none in [&b""[..], b"GET", MAGIC, b"FGX1\x01\x00\x00\x00\x00\x01a"] {
            assert_eq!(setting(none), None);
        }
    }

    #[test]
    fn a_record_that_is_cut_short_sends_what_is_there() {
        let script = b"FGX1\x09\x00\x00\x00\x00\x09abc";
        let all: Vec<_> = records(script).collect();
        assert_eq!(
            (all.len(), all[0].peer, all[0].bytes),
            (1, 1, b"abc".as_slice())
        );
        assert_eq!(records(b"FGX1\x00\x00\x00").count(), 0);
    }
}
