//! A frame's text, read by the gate and by serde_json.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ptr;

use serde_json::Value;

use super::json::{Member, members};
use crate::one_of_eight;
use crate::told::assert_told;
use framegate::internals::gate::{
    AccountStatus, Admission, ClaimRules, Denied, Directory, Envelope, FrameError, Gate,
    ReplayTokens, Unavailable,
};
use framegate::internals::json::{JsonError, members_again, push_string};
use framegate::internals::limits::{
    EVENT_BYTES_MAX, FRAME_ID_BYTES_MAX, JSON_DEPTH_MAX, JSON_MEMBERS_MAX, SUBJECT_BYTES_MAX,
};
use framegate::internals::time::UnixSeconds;

/// The gate takes a text exactly when serde_json and the contract's words about the members
/// do, and refuses it for the same reason; every value is what serde_json reads, and is lent
/// from the text. Serde_json reads back every string as we write it. The door does with the
/// frame as its envelope says.
pub fn envelope(input: &[u8]) {
    let text = &*String::from_utf8_lossy(input);
    let ours = Envelope::parse(text);
    match ours.as_ref().err() {
        Some(FrameError::Json(error)) => assert_told(error.word(), &FrameError::Json(*error)),
        Some(error) => assert_told("bad_frame", error),
        None => {}
    }
    if let Some(error) = ours.as_ref().err() {
        assert_shortest(text, error);
    }
    if one_of_eight(input) == 0 {
        assert_denied(text, ours.as_ref());
    }
    match serde_json::from_str(text) {
        Ok(value) => match (ours, model(text, &value)) {
            (Ok(envelope), Ok(members)) => {
                assert_same(&envelope, &members);
                assert_read_again(&envelope);
            }
            (ours, model) => assert_eq!(ours.err(), model.err(), "{text}"),
        },
        // A known difference: serde_json refuses a number that no f64 can hold. RFC 8259 §6 sets
        // no bound, and we pass numbers on as they were written.
        Err(error) if error.to_string().starts_with("number out of range") => {}
        Err(_) => assert!(is_malformed(ours.err()), "{text}"),
    }
}

/// What a recording writes in the place of a text that is refused is no longer, and is refused for
/// the same reason, filled up as it is.
fn assert_shortest(text: &str, error: &FrameError) {
    let mut recorded = error.shortest_text().into_owned();
    assert!(text.is_empty() || recorded.len() <= text.len(), "{text}");
    recorded.extend(std::iter::repeat_n(
        ' ',
        text.len().saturating_sub(recorded.len()),
    ));
    assert_eq!(Envelope::parse(&recorded).err(), Some(*error), "{text}");
}

/// No frame is acted on, for nobody has signed a token in it: it is a login, or it is told why
/// not, under the name and number it came with.
fn assert_denied(text: &str, envelope: Result<&Envelope<'_>, &FrameError>) {
    let mut gate = Gate::new(ReplayTokens::keys(), ClaimRules::default());
    let outcome = gate.admit(text, None, &mut Nobody, UnixSeconds(1));
    match (outcome, envelope) {
        (Ok(Admission::Login(login)), Ok(envelope)) => {
            assert_eq!(envelope.event, "login");
            assert_eq!((login.id(), login.data()), (envelope.id, envelope.data));
        }
        (Err(denial), Ok(envelope)) => {
            assert_told(denial.cause.word(), &denial.cause);
            match envelope.token {
                None => assert_eq!(denial.cause, Denied::TokenMissing),
                Some(_) => assert!(matches!(denial.cause, Denied::TokenRejected(_))),
            }
            assert_eq!(denial.event, Some(envelope.event.clone()));
            assert_eq!(denial.id, envelope.id);
        }
        (Err(denial), Err(error)) => {
            assert_told(denial.cause.word(), &denial.cause);
            assert_eq!(denial.cause, Denied::BadFrame(*error));
            assert_eq!((denial.event, denial.id), (None, None));
        }
        (outcome, _) => assert!(outcome.is_err(), "{text} is acted on"),
    }
}

/// A directory that is not asked.
struct Nobody;

impl Directory for Nobody {
    fn standing(&mut self, _: &str) -> Result<Option<AccountStatus>, Unavailable> {
        Err(Unavailable)
    }
}

fn is_malformed(error: Option<FrameError>) -> bool {
    use JsonError::{LoneSurrogate, Syntax, TooDeep};
    matches!(
        error,
        Some(FrameError::Json(Syntax | TooDeep | LoneSurrogate))
    )
}

/// What a text that is JSON must be to be a frame's.
fn model<'t>(text: &'t str, value: &Value) -> Result<Vec<Member<'t>>, FrameError> {
    // A text that is no object is measured as a member of one.
    if depth(value) + usize::from(!value.is_object()) > JSON_DEPTH_MAX {
        return Err(JsonError::TooDeep.into());
    }
    let Some(mut members) = members(text) else {
        return Err(JsonError::NotAnObject.into());
    };
    if members.len() > JSON_MEMBERS_MAX {
        return Err(JsonError::TooManyMembers.into());
    }
    // serde_json keeps one member of a name.
    if value.as_object().map(|object| object.len()) != Some(members.len()) {
        return Err(JsonError::RepeatedMember.into());
    }
    // `null` is as absent for these.
    members.retain(|member| !(matches!(&*member.name, "id" | "to") && member.value.is_null()));
    members.iter().try_for_each(check)?;
    match members.iter().any(|member| member.name == "event") {
        true => Ok(members),
        false => Err(FrameError::Event),
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

/// What the contract says of each member.
fn check(member: &Member<'_>) -> Result<(), FrameError> {
    let string_bytes = member.value.as_str().map(str::len);
    let (is_right, error) = match &*member.name {
        "token" => (string_bytes.is_some(), FrameError::Token),
        "event" => (string_bytes.is_some(), FrameError::Event),
        "id" => {
            let number_bytes = member.value.as_number().map(|_| member.raw.len());
            let bytes = string_bytes.or(number_bytes);
            let is_short = bytes.is_some_and(|bytes| bytes <= FRAME_ID_BYTES_MAX);
            (is_short, FrameError::Id)
        }
        "to" => {
            let is_subject = |bytes| (1..=SUBJECT_BYTES_MAX).contains(&bytes);
            (string_bytes.is_some_and(is_subject), FrameError::To)
        }
        _ => return Ok(()),
    };
    is_right.then_some(()).ok_or(error)
}

fn assert_same(envelope: &Envelope<'_>, members: &[Member<'_>]) {
    let member = |name: &str| members.iter().find(|member| member.name == name);
    assert_string(envelope.token.as_ref(), member("token"));
    match member("event").and_then(|member| member.value.as_str()) {
        // One that is too long to be known is not decoded, and shown nowhere.
        Some(event) if event.len() > EVENT_BYTES_MAX => {
            assert_eq!(
                envelope.event,
                format!("(longer than {EVENT_BYTES_MAX} bytes)")
            );
        }
        _ => assert_string(Some(&envelope.event), member("event")),
    }
    assert_string(envelope.to.as_ref(), member("to"));
    assert_raw(envelope.id, member("id"));
    assert_raw(envelope.data, member("data"));
}

/// What a handler reads of `data`, in which what is nested was read before, is what serde_json reads.
fn assert_read_again(envelope: &Envelope<'_>) {
    let Some(data) = envelope.data else { return };
    let mut read = Vec::new();
    let outcome = members_again(data, |name, value| {
        read.push((name.to_owned(), value.raw()));
        Ok::<(), JsonError>(())
    });
    let Some(members) = members(data) else {
        return assert_eq!(outcome, Err(JsonError::NotAnObject));
    };
    let names: BTreeSet<&str> = members.iter().map(|member| &*member.name).collect();
    match outcome {
        Err(JsonError::TooManyMembers) => assert!(members.len() > JSON_MEMBERS_MAX),
        Err(error) => {
            assert_eq!(error, JsonError::RepeatedMember);
            assert!(names.len() < members.len());
        }
        Ok(()) => {
            assert_eq!((names.len(), read.len()), (members.len(), members.len()));
            for ((name, raw), member) in read.iter().zip(&members) {
                assert!(ptr::eq(*raw, member.raw));
                // A long name with escapes is told as it is written.
                assert!(*name == member.name || name.contains('\\'));
            }
        }
    }
}

fn assert_string(ours: Option<&Cow<'_, str>>, member: Option<&Member<'_>>) {
    if let Some(text) = ours {
        let mut out = Vec::new();
        push_string(&mut out, text);
        assert_eq!(serde_json::from_slice(&out).ok(), Some(text.to_string()));
    }
    assert_eq!(
        ours.map(|text| &**text),
        member.and_then(|member| member.value.as_str())
    );
    if let (Some(ours), Some(member)) = (ours, member) {
        match ours {
            Cow::Borrowed(text) => {
                assert!(ptr::eq(*text, &member.raw[1..member.raw.len() - 1]));
            }
            Cow::Owned(_) => assert!(member.raw.contains('\\'), "copied without need"),
        }
    }
}

/// Not a byte of it is changed, or copied.
fn assert_raw(ours: Option<&str>, member: Option<&Member<'_>>) {
    match (ours, member) {
        (Some(ours), Some(member)) => assert!(ptr::eq(ours, member.raw)),
        (ours, member) => assert!(ours.is_none() && member.is_none()),
    }
}
