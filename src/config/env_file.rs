//! The form of a `.env` file: `NAME=value` lines, with blank lines and comments between them.
//!
//! `export` may stand in front of a name. A value in single or double quotes is what stands
//! between them, nothing in it means anything else; any other ends where a space and a `#`
//! begin a comment. A value does not go on on the next line. Only lines that name something of ours
//! are read: the file may be shared with other programs.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::error::{ConfigError, EnvFileFault};
use super::settings::PREFIX;

/// What names of ours begin with. Lines of others are passed over, however they look.
const OURS: [&str; 2] = [PREFIX, "LOCAL_JWT_"];

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

/// The assignment of a line, if it is one of ours. A file may be shared with other programs: what
/// their lines look like is theirs to say.
fn assignment(line: &str) -> Result<Option<(&str, &str)>, EnvFileFault> {
    let line = line.trim();
    if line.contains('\r') && names_us(line) {
        return Err(EnvFileFault::CarriageReturn);
    }
    if line.starts_with('#') {
        return Ok(None);
    }
    let (name, value) = match line.split_once('=') {
        Some((name, value)) => (without_export(name.trim()), Some(value)),
        None => (line, None),
    };
    match value {
        Some(value) if is_name(name) => match is_ours(name) {
            true => Ok(Some((name, own(value)?))),
            false => Ok(None),
        },
        _ if names_us(name) => Err(EnvFileFault::Form),
        _ => Ok(None),
    }
}

fn without_export(name: &str) -> &str {
    match name.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => name,
    }
}

/// The value of a name of ours.
fn own(value: &str) -> Result<&str, EnvFileFault> {
    let value = unquoted(value)?;
    match swallows_a_line(value) {
        true => Err(EnvFileFault::Swallowed),
        false => Ok(value),
    }
}

/// True when another assignment to a name of ours stands in the value: a line feed got lost.
fn swallows_a_line(value: &str) -> bool {
    let mut names = OURS.iter().flat_map(|start| value.match_indices(start));
    names.any(|(at, _)| {
        let rest = value[at..].trim_start_matches(is_word);
        rest.trim_start().starts_with('=')
    })
}

/// True when a name of ours stands anywhere in the text.
fn names_us(text: &str) -> bool {
    OURS.iter().any(|start| text.contains(start))
}

fn is_ours(name: &str) -> bool {
    OURS.iter().any(|start| name.starts_with(start))
}

/// POSIX.1-2017 §3.235: letters, digits and underscores, no digit first.
fn is_name(text: &str) -> bool {
    text.chars().all(is_word) && text.starts_with(|first: char| !first.is_ascii_digit())
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
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
        read(&format!("FRAMEGATE_{text}")).unwrap()[0].1.clone()
    }

    #[test]
    fn assignments_stand_between_comments_and_blank_lines() {
        let text = "\u{feff}# first\r\n\r\n  FRAMEGATE_A=1\r\nexport FRAMEGATE_B_2 = two \n\t# last\n\
                    export\tLOCAL_JWT_C=";
        let pairs = read(text).unwrap();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("FRAMEGATE_A", "1"),
                ("FRAMEGATE_B_2", "two"),
                ("LOCAL_JWT_C", "")
            ]
        );
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
        let told = |text: &str| read(text).unwrap_err();
        for wrong in [
            "FRAMEGATE_A",
            "LOCAL_JWT_SECRET hush",
            "FRAMEGATE_A B=hush",
            "set FRAMEGATE_A=hush",
            "exportFRAMEGATE_A hush",
            "FRAMEGATE_A-B=hush",
            "FRAMEGATE_é=hush",
            "\"FRAMEGATE_A\"=hush",
            "LOCAL_JWT_SECRET: hush",
        ] {
            for (before, line) in [("", 1), ("A=1\n\n", 3)] {
                assert_eq!(
                    told(&format!("{before}{wrong}")),
                    format!(".env line {line}: not NAME=value, a comment or blank"),
                    "{wrong}"
                );
            }
        }
        assert_eq!(
            told("FRAMEGATE_A=\"hush\nhush\""),
            ".env line 1: the quote is not closed on the line"
        );
        assert_eq!(
            told("FRAMEGATE_A='hush'hush"),
            ".env line 1: only a comment may stand after the closing quote"
        );
    }

    #[test]
    fn lines_that_ran_together_are_told_and_never_shown() {
        for text in [
            "FRAMEGATE_A=1\rLOCAL_JWT_SECRET=hush",
            "# mine\rFRAMEGATE_A=1\rLOCAL_JWT_SECRET=hush\r",
            "A=1\rLOCAL_JWT_SECRET=hush\n",
        ] {
            assert_eq!(
                read(text).unwrap_err(),
                ".env line 1: a carriage return stands within the line; end lines with a line feed",
                "{text:?}"
            );
        }
        for text in [
            "FRAMEGATE_A=200LOCAL_JWT_SECRET=hush",
            "LOCAL_JWT_SECRET=hushFRAMEGATE_A=200",
            "FRAMEGATE_A='200 LOCAL_JWT_SECRET_PREVIOUS = hush'",
        ] {
            assert_eq!(
                read(text).unwrap_err(),
                ".env line 1: a second NAME= stands within the value; begin a new line before it",
                "{text:?}"
            );
        }
        assert_eq!(value("DB=/srv/FRAMEGATE_1/a=b"), "/srv/FRAMEGATE_1/a=b");
    }

    #[test]
    fn lines_of_other_programs_are_passed_over_however_they_look() {
        let text = "hush\n=hush\n9A=hush\nA B=hush\nexport\nA-B=hush\né=hush\nA='hush\nA='a'b\n\
                    A=1\nA=2\nif [ -f x ]; then\n. ./x\rfi\nFRAMEGATE_A=1\nexport B=\"$A\"; true\n\
                    MY_FRAMEGATE=x\nrun='FRAMEGATE_A=2 serve'";
        let ours = ("FRAMEGATE_A".to_owned(), "1".to_owned());
        assert_eq!(read(text), Ok(vec![ours]));
    }

    #[test]
    fn a_name_set_twice_is_refused_with_both_lines() {
        assert_eq!(
            read("FRAMEGATE_A=hush\nB=2\nexport FRAMEGATE_A=hush").unwrap_err(),
            ".env line 3: FRAMEGATE_A is set already on line 1; keep one of them"
        );
    }
}
