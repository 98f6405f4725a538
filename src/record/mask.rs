//! Signatures of tokens in a stream of bytes, masked: what a replay signs differs from what was
//! recorded in them alone.

/// Passes bytes on, those of a signature as `x`. A token is found by its form, `eyJ….….…`,
/// wherever it begins; what it knows of the bytes before is all in here, so that a stream may be
/// cut anywhere.
///
/// The states are in an order, and a byte never leads from a later one to an earlier than it
/// would from an earlier one. So whatever stands before a token, all of its signature is masked
/// that would be if the token stood alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mask {
    #[default]
    Outside,
    /// After `e`.
    One,
    /// After `ey`.
    Two,
    Header,
    Claims,
    Signature,
}

impl Mask {
    /// What is to be seen of the next byte.
    pub(super) fn pass(&mut self, byte: u8) -> u8 {
        let is_part = byte.is_ascii_alphanumeric() || b"-_+/=".contains(&byte);
        *self = match (*self, byte) {
            (Mask::Header, b'.') => Mask::Claims,
            (Mask::Claims | Mask::Signature, b'.') => Mask::Signature,
            (Mask::Header | Mask::Claims | Mask::Signature, _) if is_part => *self,
            (Mask::Two, b'J') => Mask::Header,
            (Mask::One, b'y') => Mask::Two,
            (_, b'e') => Mask::One,
            _ => Mask::Outside,
        };
        match (*self, is_part) {
            (Mask::Signature, true) => b'x',
            _ => byte,
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
