//! What a decoder lends of the bytes it reads, in their order, to one who is to see them all.

/// Some of the bytes that a peer sent. A part may come in pieces.
#[derive(Clone, Copy)]
pub enum Part<'a> {
    /// Of a frame's header, as it came; the last so many of its bytes are the mask's.
    Header(&'a [u8], usize),
    /// What stands around the content of a chunked body.
    Framing(&'a [u8]),
    /// Of that, the extensions of chunks and the values of trailers, which nobody reads.
    Unread(&'a [u8]),
    /// Content: of a body, or of a data frame, unmasked.
    Content(&'a [u8]),
    /// Of a control frame's payload, unmasked.
    Control(&'a [u8]),
}

impl<'a> Part<'a> {
    /// The content in it.
    pub const fn content(self) -> &'a [u8] {
        match self {
            Part::Content(content) => content,
            _ => &[],
        }
    }
}
