//! The lines of a recording, as they are written and read.

use std::cell::RefCell;
use std::io;
use std::io::Write;
use std::rc::Rc;

use crate::record::lines::{FileSink, escaped, read_lines, text_bytes};

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written(lines: &[&str], bytes_max: u64) -> Vec<u8> {
    let file = Shared::default();
    let mut sink = FileSink::new(Box::new(file.clone()), bytes_max);
    let lines: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
    sink.write(&lines.concat());
    file.0.take()
}

#[test]
fn every_byte_has_a_text_of_its_own() {
    let bytes: Vec<u8> = (0..=255).collect();
    let text = escaped(&bytes);
    assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    assert_eq!(text_bytes(&text).unwrap(), bytes);
    for bad in ["\\", "\\q", "\\x", "\\x1", "\\xg0", "\\xé"] {
        assert_eq!(text_bytes(bad), None, "{bad}");
    }
}

#[test]
fn any_byte_that_is_edited_is_found_with_its_line() {
    let lines = ["one", "two two", "", "four"];
    let file = written(&lines, 1_000);
    let read = read_lines(&file).ok().unwrap();
    assert!(read.iter().map(|line| &**line).eq(lines));
    let mut line = 1;
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut edited = file.clone();
            edited[at] ^= 1 << bit;
            let changed = read_lines(&edited).err();
            // A line feed that appears within a line cuts that line short.
            assert_eq!(changed, Some(line), "byte {at}, bit {bit}");
        }
        line += usize::from(file[at] == b'\n');
    }
}

#[test]
fn a_file_that_is_cut_off_is_read_to_its_last_whole_line() {
    let file = written(&["one", "two"], 1_000);
    for end in 0..file.len() {
        let read = read_lines(&file[..end]).ok().unwrap();
        assert_eq!(
            read.len(),
            file[..end].iter().filter(|b| **b == b'\n').count()
        );
    }
}

#[test]
fn a_file_that_fails_ends_the_recording_and_nothing_else() {
    let mut sink = FileSink::new(Box::new(io::Cursor::new([0_u8; 30])), 1_000);
    let taken = [(); 3].map(|()| sink.write("a line of 21 letters\n"));
    assert_eq!(taken, [true, false, false]);
}

#[test]
fn a_file_does_not_grow_past_its_bound_and_says_that_it_ends() {
    let many = ["a line of a recording"; 100];
    let file = written(&many, 500);
    assert!(file.len() <= 500 && file.len() > 400, "{}", file.len());
    let read = read_lines(&file).ok().unwrap();
    assert_eq!(read.last().unwrap().as_ref(), "end full");
}
