//! Bytes from the network. An input begins with a line that is the harness's: each byte of it
//! is the length of a piece, and the line is gone through over and over to cut what stands
//! after it. No cutting may change what the program sees.

mod answer;
mod body;
mod client;
mod endpoint;
mod frames;
mod handshake;
mod head;
mod http;
mod receiver;
mod request;
mod shown;

pub use endpoint::endpoint;
pub use frames::frames;
pub use http::http_head;

/// Splits an input into its first line and the rest; without a line feed, all is rest.
fn split_line(input: &[u8]) -> (&[u8], &[u8]) {
    let at = input.iter().position(|byte| *byte == b'\n');
    at.map_or((&[], input), |at| (&input[..at], &input[at + 1..]))
}

/// Where the pieces of `bytes` bytes end when they have these lengths. A length of zero is
/// one; without lengths, all comes in one piece.
fn ends(bytes: usize, lengths: &[u8]) -> impl Iterator<Item = usize> {
    let mut lengths = lengths.iter().cycle();
    let mut end = 0;
    std::iter::from_fn(move || {
        let length = lengths.next().map_or(bytes, |length| usize::from(*length));
        let start = end;
        end = bytes.min(start + length.max(1));
        (start < bytes).then_some(end)
    })
}
