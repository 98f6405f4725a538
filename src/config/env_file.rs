//! The form of a `.env` file: `NAME=value` lines, with blank lines and comments between them.
//!
//! `export` may stand in front of a name. A value in single or double quotes is what stands
//! between them, nothing in it means anything else; any other ends where a space and a `#`
//! begin a comment. A value does not go on on the next line.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::error::{ConfigError, EnvFileFault};

/// A `.env` file as it was read.
pub struct EnvFile {
    /// Where it lies, as errors shall say it.
    pub path: PathBuf,
    /// What stands in it.
    pub text: Zeroizing<String>,
}

/// One assignment.
pub(super) struct Assignment<'t> {
    pub(super) line: usize,
    pub(super) name: &'t str,
    pub(super) value: &'t str,
}

impl EnvFile {
    /// The assignments, in order.
    pub(super) fn assignments(&self) -> Result<Vec<Assignment<'_>>, ConfigError> {
        let mut assignments: Vec<Assignment<'_>> = Vec::new();
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        for (index, text) in text.lines().enumerate() {
            let line = index + 1;
            let fail = |fault| ConfigError::EnvFile {
                path: self.path.clone(),
                line,
                fault,
            };
            let Some((name, value)) = assignment(text).map_err(fail)? else {
                continue;
            };
            if let Some(first) = assignments.iter().find(|first| first.name == name) {
                return Err(fail(EnvFileFault::Repeated {
                    name: name.to_owned(),
                    first_line: first.line,
                }));
            }
            assignments.push(Assignment { line, name, value });
        }
        Ok(assignments)
    }
}

fn assignment(line: &str) -> Result<Option<(&str, &str)>, EnvFileFault> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or(EnvFileFault::Form)?;
    let name = name.trim();
    match is_name(name) {
        true => Ok(Some((name, unquoted(value)?))),
        false => Err(EnvFileFault::Form),
    }
}

/// POSIX.1-2017 §3.235: letters, digits and underscores, no digit first.
fn is_name(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().all(is_word) && text.starts_with(|first: char| !first.is_ascii_digit())
}

fn unquoted(value: &str) -> Result<&str, EnvFileFault> {
    let opened = value.trim_start();
    let Some(quote) = opened.chars().next().filter(|first| "'\"".contains(*first)) else {
        return Ok(value[..comment_at(value)].trim());
    };
    let (value, behind) = opened[1..].split_once(quote).ok_or(EnvFileFault::Quote)?;
    let behind = behind.trim_start();
    match behind.is_empty() || behind.starts_with('#') {
        true => Ok(value),
        false => Err(EnvFileFault::Trailing),
    }
}

/// Where a `#` with white space in front of it stands, or the end.
fn comment_at(value: &str) -> usize {
    value
        .match_indices('#')
        .map(|(at, _)| at)
        .find(|at| value[..*at].ends_with([' ', '\t']))
        .unwrap_or(value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, String> {
        let file = EnvFile {
            path: ".env".into(),
            text: Zeroizing::new(text.to_owned()),
        };
        let assignments = file.assignments().map_err(|error| error.to_string())?;
        let pair = |each: &Assignment<'_>| (each.name.to_owned(), each.value.to_owned());
        Ok(assignments.iter().map(pair).collect())
    }

    fn value(text: &str) -> String {
        read(text).unwrap()[0].1.clone()
    }

    #[test]
    fn assignments_stand_between_comments_and_blank_lines() {
        let text = "\u{feff}# first\r\n\r\n  A=1\r\nexport B_2 = two \n\t# last\nc=";
        let pairs = read(text).unwrap();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(pairs, [("A", "1"), ("B_2", "two"), ("c", "")]);
    }

    #[test]
    fn a_value_ends_at_its_comment_or_its_quote() {
        assert_eq!(value("A=x y#z # comment"), "x y#z");
        assert_eq!(value("A=' x # y' # comment"), " x # y");
        assert_eq!(value("A=\"it's = here\""), "it's = here");
        assert_eq!(value("A=''"), "");
        assert_eq!(value(r#"A="\n$B""#), r"\n$B");
        assert_eq!(value("A=x'y"), "x'y");
        assert_eq!(value("A=b=c=="), "b=c==");
        assert_eq!(value("A=#x"), "#x");
        assert_eq!(value("A= # comment"), "");
        assert_eq!(value("A=x\t#c"), "x");
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_and_never_shown() {
        let form = |line| format!(".env line {line}: not NAME=value, a comment or blank");
        for wrong in [
            "hush", "=hush", "9A=hush", "A B=hush", "export", "A-B=hush", "é=hush",
        ] {
            assert_eq!(read(wrong).unwrap_err(), form(1), "{wrong}");
        }
        assert_eq!(read("A=1\n\nhush").unwrap_err(), form(3));
        assert_eq!(
            read("A=\"hush\nhush\"").unwrap_err(),
            ".env line 1: the quote is not closed on the line"
        );
        assert_eq!(
            read("A='hush'hush").unwrap_err(),
            ".env line 1: only a comment may stand behind the closing quote"
        );
    }

    #[test]
    fn a_name_set_twice_is_refused_with_both_lines() {
        assert_eq!(
            read("A=hush\nB=2\nexport A=hush").unwrap_err(),
            ".env line 3: A is set already on line 1; keep one of them"
        );
    }
}
