//! What goes in: records of a connection, a pause and bytes; or plain bytes, as one connection.

use std::time::Duration;

/// What a script of records begins with. All other input is plain bytes.
pub const MAGIC: &[u8] = b"FGX1";
/// Peers that a script may name. Each has an address of its own, unless the setting says otherwise, and comes
/// anew when it sends after its connection has ended.
pub const PEERS: u8 = 8;
/// Records of a script that a fuzzer plays, and changes: an execution is to be short.
pub const RECORDS_MAX: usize = 256;
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
/// In a record's second byte: it is a pause, and no peer's.
const PAUSES: u8 = 16;
/// In the second byte of the records that a script begins with: their bytes say what the world is like.
const SETS: u8 = 128;

/// The longest pause that one record says.
const PAUSE_MAX: Duration = Duration::from_millis(u16::MAX as u64);
/// The most bytes that one record has.
const BYTES_MAX: usize = u16::MAX as usize;

/// One record: time passes, and then a peer sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// True where time passes and that is all: the peer does not come for it.
    pub is_pause: bool,
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
/// 4 the peer takes nothing of what is written to it any more, 8 it takes all again, 16 there is the pause
/// alone; 128 the bytes are no peer's, but a [`setting`].
pub fn records(script: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let (plain, mut rest) = match script.strip_prefix(MAGIC) {
        Some(rest) => (None, rest),
        None => (Some(script), [].as_slice()),
    };
    let plain = plain.map(|bytes| Record {
        bytes,
        ..Record::default()
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
            is_pause: flags & PAUSES != 0,
        })
    };
    plain.into_iter().chain(std::iter::from_fn(next))
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

/// What the records say of the world that a script begins with and that are no peer's, if there are any.
pub fn setting(script: &[u8]) -> Option<Vec<u8>> {
    let mut rest = script.strip_prefix(MAGIC)?;
    let mut setting = None;
    while let Some((head, bytes)) = next_record(&mut rest)
        && head[1] & SETS != 0
    {
        setting.get_or_insert_with(Vec::new).extend(bytes);
    }
    setting
}

/// How many bytes at the end of a script are too few for a record.
pub(super) fn bytes_left(script: &[u8]) -> usize {
    let mut rest = script.strip_prefix(MAGIC).unwrap_or_default();
    while next_record(&mut rest).is_some() {}
    rest.len()
}

/// Writes what [`setting`] reads, as so many records as it takes.
pub fn write_setting(script: &mut Vec<u8>, setting: &[u8]) {
    for piece in setting.chunks(BYTES_MAX) {
        write_one(script, [0, SETS], Duration::ZERO, piece);
    }
}

/// Writes a record down, as [`records`] reads it. One that has a longer pause or more bytes than a record
/// may is written as several, that come to the same.
pub fn write_record(script: &mut Vec<u8>, record: &Record<'_>) {
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
    let pauses = if record.is_pause { PAUSES } else { 0 };
    let mut pause = record.pause;
    while pause > PAUSE_MAX {
        write_one(script, [record.peer, PAUSES], PAUSE_MAX, &[]);
        pause -= PAUSE_MAX;
    }
    let (mut bytes, mut flags) = (record.bytes, hears | pauses);
    while let Some((piece, rest)) = bytes.split_at_checked(BYTES_MAX)
        && !rest.is_empty()
    {
        write_one(script, [record.peer, flags], pause, piece);
        (bytes, flags, pause) = (rest, pauses, Duration::ZERO);
    }
    write_one(script, [record.peer, flags | leaving], pause, bytes);
}

/// Writes one record, whose pause and bytes are no more than one has.
fn write_one(script: &mut Vec<u8>, [peer, flags]: [u8; 2], pause: Duration, bytes: &[u8]) {
    script.extend([peer, flags]);
    script.extend((pause.as_millis() as u16).to_be_bytes());
    script.extend((bytes.len() as u16).to_be_bytes());
    script.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_bytes_are_one_record_of_the_first_peer() {
        let all: Vec<_> = records(b"GET / HTTP/1.1\r\n").collect();
        let expected = Record {
            bytes: b"GET / HTTP/1.1\r\n",
            ..Record::default()
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
            is_pause: false,
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
    fn what_is_longer_than_a_record_is_written_as_several() {
        let long = [b'x'; 2 * BYTES_MAX + 1];
        let record = Record {
            peer: 3,
            pause: 2 * PAUSE_MAX + Duration::from_millis(1),
            bytes: &long,
            hears: Some(true),
            leaving: Some(Leaving::Fin),
            is_pause: false,
        };
        let mut script = MAGIC.to_vec();
        write_record(&mut script, &record);
        let all: Vec<_> = records(&script).collect();
        let pauses: Duration = all.iter().map(|record| record.pause).sum();
        let bytes: Vec<u8> = all
            .iter()
            .flat_map(|record| record.bytes)
            .copied()
            .collect();
        assert_eq!((pauses, bytes), (record.pause, long.to_vec()));
        let told = |record: &Record<'_>| (record.is_pause, record.hears, record.leaving);
        assert_eq!(
            all.iter().map(told).collect::<Vec<_>>(),
            [
                (true, None, None),
                (true, None, None),
                (false, Some(true), None),
                (false, None, None),
                (false, None, Some(Leaving::Fin)),
            ]
        );
        for bytes in [0, 1, BYTES_MAX, BYTES_MAX + 1, 3 * BYTES_MAX] {
            let mut script = MAGIC.to_vec();
            write_setting(&mut script, &vec![b'x'; bytes]);
            let read = setting(&script).map_or(0, |setting| setting.len());
            assert_eq!((read, records(&script).count()), (bytes, 0));
        }
    }

    #[test]
    fn a_setting_is_no_record_of_a_peer() {
        let mut script = MAGIC.to_vec();
        write_setting(&mut script, b"{}");
        script.extend(b"\x01\x00\x00\x00\x00\x01a");
        assert_eq!(setting(&script), Some(b"{}".to_vec()));
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
