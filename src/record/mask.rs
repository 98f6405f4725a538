//! Signatures of tokens in a stream of bytes, masked: what a replay signs differs from what was
//! recorded in them alone.

/// Passes bytes on, those that may be of a signature as `x`: what stands after two dots, each with
/// something of a token ahead of it. Where a token begins is not known, and need not be; what it knows
/// of the bytes before is all in here, so that a stream may be cut anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mask {
    /// True when the byte before may be of a token's part.
    has_part: bool,
    /// Dots so far, up to the one before a signature.
    dots: u8,
}

impl Mask {
    /// What is compared of the next byte.
    pub(super) fn pass(&mut self, byte: u8) -> u8 {
        let is_part = byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        self.dots = match byte {
            b'.' if self.has_part => 1.min(self.dots) + 1,
            _ if is_part => self.dots,
            _ => 0,
        };
        self.has_part = is_part;
        match self.dots == 2 && is_part {
            true => b'x',
            false => byte,
        }
    }
}
