//! Signatures of tokens in a stream of bytes, masked: what a replay signs differs from what was
//! recorded in them alone.

/// Bytes of a token that stay in any case. No token signed by HS256 is as short, and neither the
/// header nor the claims of one let anybody in; but the name of a user or of a host that looks like
/// a token may be.
const CLEAR_BYTES: u8 = 32;

/// Passes bytes on, those of a signature as `x`. A token is found by its form, `eyJ….….…`,
/// wherever it begins; what it knows of the bytes before is all in here, so that a stream may be
/// cut anywhere.
///
/// No byte leads from more bytes and dots to fewer than it would from fewer. So whatever stands
/// before a token, all of its signature is masked that would be if the token stood alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mask {
    /// How much of a token has come, up to one more than [`CLEAR_BYTES`].
    bytes: u8,
    /// Its dots, up to the one before the signature.
    dots: u8,
}

impl Mask {
    /// What is to be seen of the next byte.
    pub(super) fn pass(&mut self, byte: u8) -> u8 {
        let is_part = byte.is_ascii_alphanumeric() || b"-_+/=".contains(&byte);
        let bytes = CLEAR_BYTES.min(self.bytes) + 1;
        (self.bytes, self.dots) = match (self.bytes, byte) {
            (3.., b'.') => (bytes, 1.min(self.dots) + 1),
            (3.., _) if is_part => (bytes, self.dots),
            (2, b'J') | (1, b'y') => (bytes, 0),
            (_, b'e') => (1, 0),
            _ => (0, 0),
        };
        match self.dots == 2 && self.bytes > CLEAR_BYTES && is_part {
            true => b'x',
            false => byte,
        }
    }
}

/// Masks a piece that stands alone.
pub(super) fn mask(bytes: &mut [u8]) {
    let mut state = Mask::default();
    for byte in bytes {
        *byte = state.pass(*byte);
    }
}
