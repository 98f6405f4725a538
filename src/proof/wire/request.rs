//! A request's fields, read by the program and as a list of lines.

use super::answer::{assert_answer, assert_framed};
use super::client::assert_client;
use super::handshake::assert_handshake;
use crate::proof::told::{assert_brief, assert_told};
use crate::wire::{Head, Request};

pub(super) fn request(head: Head<'_>) {
    let fields = Fields::of(head);
    match Request::parse(head) {
        Ok(request) => {
            assert!(fields.fault().is_none());
            assert!(request.path.starts_with('/') && !request.path.contains('?'));
            assert_brief(&request.authorization);
            if !request.behind_head.is_empty() {
                assert_framed(request.behind_head);
            }
            assert_client(&request, &fields);
            assert_handshake(&request, &fields);
        }
        Err(error) => {
            assert_eq!(fields.fault(), Some(error.word()));
            assert_told(error.word(), &error);
            assert_answer(|out| error.write(out), error.status().code());
        }
    }
}

/// A head taken apart, the slow way.
pub(super) struct Fields<'h> {
    pub(super) method: &'h [u8],
    pub(super) behind: &'h [u8],
    /// Names in lower case.
    fields: Vec<(String, &'h [u8])>,
}

impl<'h> Fields<'h> {
    fn of(head: Head<'h>) -> Fields<'h> {
        let mut lines = head.bytes().split(|byte| *byte == b'\n');
        let method = lines.next().unwrap_or_default();
        let method = method
            .split(|byte| *byte == b' ')
            .next()
            .unwrap_or_default();
        let field = |line: &'h [u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            Some((name, line[colon + 1..].trim_ascii()))
        };
        Fields {
            method,
            fields: lines.filter_map(field).collect(),
            behind: head.behind(),
        }
    }

    pub(super) fn all(&self, name: &str) -> Vec<&'h [u8]> {
        let named = self.fields.iter().filter(|(other, _)| other == name);
        named.map(|(_, value)| *value).collect()
    }

    pub(super) fn first(&self, name: &str) -> Option<&'h [u8]> {
        self.all(name).first().copied()
    }

    /// The elements of a list, over all lines of its field.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let lines: Vec<_> = self
            .all(name)
            .into_iter()
            .map(String::from_utf8_lossy)
            .collect();
        let elements = lines.iter().flat_map(|line| line.split(','));
        let elements = elements.map(|element| element.trim_matches([' ', '\t']).to_owned());
        elements.filter(|element| !element.is_empty()).collect()
    }

    /// The word of the error that the first field to be at fault makes; RFC 9112 §3.2, §6.3.
    fn fault(&self) -> Option<&'static str> {
        let single = [
            "host",
            "origin",
            "authorization",
            "content-length",
            "sec-websocket-key",
        ];
        for (index, (name, value)) in self.fields.iter().enumerate() {
            let earlier = &self.fields[..index];
            let is_repeated = earlier.iter().any(|(other, _)| other == name);
            match &**name {
                "host" if !is_repeated && !is_host(value) => return Some("host"),
                "content-length" if !is_length(value) => return Some("content_length"),
                name if is_repeated && single.contains(&name) => return Some("repeated_field"),
                _ => {}
            }
        }
        self.first("host").is_none().then_some("host")
    }
}

fn is_host(value: &[u8]) -> bool {
    let is_sound = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%:[]".contains(byte);
    !value.is_empty() && value[0] != b':' && value.iter().all(is_sound)
}

fn is_length(value: &[u8]) -> bool {
    let digits = str::from_utf8(value).unwrap_or_default();
    digits.chars().all(|digit| digit.is_ascii_digit()) && digits.parse::<u64>().is_ok()
}
