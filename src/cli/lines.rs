//! Standard input and files, line by line, whatever is in them.

use std::io::{self, BufRead, Read as _};

use zeroize::Zeroizing;

/// The next line, without its end (a line feed, or a carriage return and one); `None` at the
/// end of the input. Of a line longer than `bytes_max` only so much is kept as shows that it
/// is: one to three bytes too many. What is kept is wiped: it may be a password or a token.
///
/// # Errors
///
/// When the input cannot be read.
pub(super) fn read_line(
    input: &mut dyn BufRead,
    bytes_max: usize,
) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    // Room for one byte too many, and for the line's end. It never grows, for that would
    // leave a copy behind.
    let room = bytes_max + 1 + "\r\n".len();
    let mut line = Zeroizing::new(Vec::with_capacity(room));
    let read = (&mut *input)
        .take(room as u64)
        .read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    match line.pop_if(|byte| *byte == b'\n') {
        Some(_) => _ = line.pop_if(|byte| *byte == b'\r'),
        None => _ = input.skip_until(b'\n')?,
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut input: &[u8], bytes_max: usize) -> Vec<String> {
        let mut next = || read_line(&mut input, bytes_max).unwrap();
        std::iter::from_fn(|| next().map(|line| String::from_utf8(line.to_vec()).unwrap()))
            .collect()
    }

    #[test]
    fn a_line_comes_without_its_end() {
        assert_eq!(lines(b"a\nb\r\n\n\r\nc\rd", 9), ["a", "b", "", "", "c\rd"]);
        assert!(lines(b"", 9).is_empty());
    }

    #[test]
    fn a_line_at_the_bound_is_whole_and_one_past_it_seen_to_be_too_long() {
        for end in ["", "\n", "\r\n"] {
            let input = format!("1234{end}");
            assert_eq!(lines(input.as_bytes(), 4), ["1234"]);
            let [line] = lines(input.as_bytes(), 3).try_into().unwrap();
            assert!(line.len() > 3);
        }
    }

    #[test]
    fn a_line_that_is_too_long_does_not_spill_into_the_next() {
        let input = format!("{}\nnext\n", "x".repeat(100));
        let lines = lines(input.as_bytes(), 4);
        assert_eq!(lines.len(), 2);
        assert!((5..=7).contains(&lines[0].len()));
        assert_eq!(lines[1], "next");
    }
}
