//! What a client's frame says around its data.

use std::borrow::Cow;
use std::{fmt, iter};

use crate::json::{self, JsonError, Value};
use crate::limits::{
    EVENT_BYTES_MAX, FRAME_ID_BYTES_MAX, JSON_DEPTH_MAX, JSON_MEMBERS_MAX, SUBJECT_BYTES_MAX,
};

/// What is read of an event that is longer than [`EVENT_BYTES_MAX`]: it is not decoded.
const TOO_LONG: &str = "(longer than 64 bytes)";

/// A client's frame, taken apart; everything in it is still the peer's word. It has no
/// `Debug`, for it holds the token.
pub struct Envelope<'f> {
    /// `token`, unverified.
    pub token: Option<Cow<'f, str>>,
    /// `event`; a remark, which is the name of none, where it is longer than [`EVENT_BYTES_MAX`].
    pub event: Cow<'f, str>,
    /// `id`, as it was written: what is echoed.
    pub id: Option<&'f str>,
    /// `to`: the user the event is for.
    pub to: Option<Cow<'f, str>>,
    /// `data`, as it was written.
    pub data: Option<&'f str>,
}

impl<'f> Envelope<'f> {
    /// Reads the text of one frame.
    ///
    /// # Errors
    ///
    /// When it is not a strict JSON object, a member is of the wrong type, or `event` is
    /// missing. Unknown members are none of our business.
    pub fn parse(text: &'f str) -> Result<Envelope<'f>, FrameError> {
        let (mut token, mut event, mut id, mut to, mut data) = (None, None, None, None, None);
        json::members::<FrameError>(text, |name, value| {
            match name {
                "token" => token = Some(value.string().ok_or(FrameError::Token)?),
                "event" => event = Some(named(value).ok_or(FrameError::Event)?),
                // JavaScript makes `null` of what is not there.
                "id" | "to" if value.is_null() => {}
                "id" => id = Some(echo(value).ok_or(FrameError::Id)?),
                "to" => to = Some(recipient(value).ok_or(FrameError::To)?),
                "data" => data = Some(value.raw()),
                _ => {}
            }
            Ok(())
        })?;
        let event = event.ok_or(FrameError::Event)?;
        Ok(Envelope {
            token,
            event,
            id,
            to,
            data,
        })
    }
}

/// An `id` we can echo: a number or a string, of bounded size either way.
fn echo(value: Value<'_>) -> Option<&str> {
    let is_short = match value.is_number() {
        true => value.raw().len() <= FRAME_ID_BYTES_MAX,
        false => value.short_string(FRAME_ID_BYTES_MAX).is_some(),
    };
    is_short.then_some(value.raw())
}

/// An `event`; what stands for one that is too long to be known.
fn named(value: Value<'_>) -> Option<Cow<'_, str>> {
    let named = value.short_string(EVENT_BYTES_MAX);
    named.or_else(|| value.inside().map(|_| Cow::Borrowed(TOO_LONG)))
}

fn recipient(value: Value<'_>) -> Option<Cow<'_, str>> {
    let to = value.short_string(SUBJECT_BYTES_MAX);
    to.filter(|to| !to.is_empty())
}

/// What is wrong with a frame's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Not a strict JSON object.
    Json(JsonError),
    /// `token` is of the wrong type.
    Token,
    /// `event` is missing or of the wrong type.
    Event,
    /// `id` is of the wrong type or too long.
    Id,
    /// `to` is of the wrong type, empty or too long.
    To,
}

impl FrameError {
    /// A text that is refused for this reason, as short as any but the empty one: it can stand for
    /// every other in a recording.
    pub fn shortest_text(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            FrameError::Json(JsonError::Syntax) => "x",
            FrameError::Json(JsonError::NotAnObject) => "0",
            FrameError::Json(JsonError::RepeatedMember) => r#"{"":0,"":0}"#,
            FrameError::Json(JsonError::TooManyMembers) => return Cow::Owned(too_many_members()),
            FrameError::Json(JsonError::TooDeep) => return Cow::Owned("[".repeat(JSON_DEPTH_MAX)),
            FrameError::Json(JsonError::LoneSurrogate) => r#""\ud800"#,
            FrameError::Token => r#"{"token":0}"#,
            FrameError::Event => "{}",
            FrameError::Id => r#"{"id":[]}"#,
            FrameError::To => r#"{"to":0}"#,
        })
    }
}

/// An object with one member too many, whose names are a byte long, and one of them empty.
fn too_many_members() -> String {
    let letters = ('#'..='~').filter(|letter| *letter != '\\');
    let names = iter::once(String::new()).chain(letters.map(String::from));
    let members = names.map(|name| format!(r#""{name}":0"#));
    let members: Vec<String> = members.take(JSON_MEMBERS_MAX + 1).collect();
    format!("{{{}}}", members.join(","))
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Json(error) => write!(f, "the frame is {error}"),
            FrameError::Token => f.write_str("`token` must be a string"),
            FrameError::Event => f.write_str("`event` is needed, and must be a string"),
            FrameError::Id => write!(
                f,
                "`id` must be a number or a string of at most {FRAME_ID_BYTES_MAX} bytes"
            ),
            FrameError::To => {
                write!(f, "`to` must be a string of 1 to {SUBJECT_BYTES_MAX} bytes")
            }
        }
    }
}

impl std::error::Error for FrameError {}

impl From<JsonError> for FrameError {
    fn from(error: JsonError) -> FrameError {
        FrameError::Json(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> FrameError {
        match Envelope::parse(text) {
            Ok(_) => panic!("taken: {text}"),
            Err(error) => error,
        }
    }

    fn id(raw: &str) -> Result<Option<String>, FrameError> {
        let text = format!(r#"{{"event":"x","id":{raw}}}"#);
        Envelope::parse(&text).map(|envelope| envelope.id.map(str::to_owned))
    }

    #[test]
    fn a_full_frame_is_lent_from_its_text() {
        let text = r#"{"token":"t","event":"message","id":1,"to":"bob","data":[ 1 ],"new":{}}"#;
        let envelope = Envelope::parse(text).ok().unwrap();
        assert!(matches!(envelope.token, Some(Cow::Borrowed("t"))));
        assert!(matches!(envelope.event, Cow::Borrowed("message")));
        assert_eq!(envelope.id, Some("1"));
        assert!(matches!(envelope.to, Some(Cow::Borrowed("bob"))));
        assert_eq!(envelope.data, Some("[ 1 ]"));
    }

    #[test]
    fn all_but_the_event_may_be_missing() {
        let envelope = Envelope::parse(r#"{"event":""}"#).ok().unwrap();
        assert!(envelope.token.is_none() && envelope.to.is_none());
        assert_eq!((envelope.id, envelope.data), (None, None));
        assert_eq!(error("{}"), FrameError::Event);
        assert_eq!(error(r#"{"data":{"event":"x"}}"#), FrameError::Event);
    }

    #[test]
    fn data_of_null_is_data() {
        let envelope = Envelope::parse(r#"{"event":"x","data":null}"#)
            .ok()
            .unwrap();
        assert_eq!(envelope.data, Some("null"));
    }

    #[test]
    fn a_member_of_the_wrong_type_is_refused_by_name() {
        for value in ["null", "1", "true", "[]", "{}", r#"["x"]"#] {
            let frame = |name: &str| format!(r#"{{"event":"x","{name}":{value}}}"#);
            assert_eq!(error(&frame("token")), FrameError::Token, "{value}");
            if value != "null" {
                assert_eq!(error(&frame("to")), FrameError::To, "{value}");
            }
            assert_eq!(
                error(&format!(r#"{{"event":{value}}}"#)),
                FrameError::Event,
                "{value}"
            );
        }
        for value in ["true", "[]", "{}", "[1]"] {
            assert_eq!(id(value), Err(FrameError::Id), "{value}");
        }
    }

    #[test]
    fn null_is_as_absent_for_an_id_and_a_recipient() {
        let text = r#"{"event":"x","id":null,"to":null}"#;
        let envelope = Envelope::parse(text).ok().unwrap();
        assert!(envelope.id.is_none() && envelope.to.is_none());
        for text in [
            r#"{"event":"x","id":null,"id":1}"#,
            r#"{"event":"x","to":"bob","to":null}"#,
        ] {
            let repeated = FrameError::Json(JsonError::RepeatedMember);
            assert_eq!(error(text), repeated, "{text}");
        }
    }

    /// Whatever it says, it is unknown; the work of decoding it is saved.
    #[test]
    fn an_event_at_the_limit_is_decoded_and_a_longer_one_is_told_to_be_that() {
        let event = |escapes: usize| {
            let text = format!(r#"{{"event":"{}"}}"#, r"\u0061".repeat(escapes));
            Envelope::parse(&text).ok().unwrap().event.into_owned()
        };
        assert_eq!(event(EVENT_BYTES_MAX), "a".repeat(EVENT_BYTES_MAX));
        let remark = format!("(longer than {EVENT_BYTES_MAX} bytes)");
        assert_eq!(event(EVENT_BYTES_MAX + 1), remark);
    }

    #[test]
    fn an_id_at_the_limit_is_echoed_as_written_and_a_longer_one_refused() {
        let string = |bytes: usize| format!("\"{}\"", "x".repeat(bytes));
        let escaped = |count: usize| format!("\"{}\"", r"\u00e9".repeat(count));
        let number = |digits: usize| "1".repeat(digits);
        let good = [
            string(0),
            string(FRAME_ID_BYTES_MAX),
            escaped(FRAME_ID_BYTES_MAX / 2),
            number(FRAME_ID_BYTES_MAX),
            "-0.5e+7".to_owned(),
        ];
        for raw in good {
            assert_eq!(id(&raw), Ok(Some(raw)));
        }
        let bad = [
            string(FRAME_ID_BYTES_MAX + 1),
            escaped(FRAME_ID_BYTES_MAX / 2 + 1),
            number(FRAME_ID_BYTES_MAX + 1),
        ];
        for raw in bad {
            assert_eq!(id(&raw), Err(FrameError::Id), "{raw}");
        }
    }

    #[test]
    fn a_recipient_at_the_limit_is_taken_and_a_longer_or_empty_one_refused() {
        let to = |bytes: usize| format!(r#"{{"event":"x","to":"{}"}}"#, "x".repeat(bytes));
        assert!(Envelope::parse(&to(1)).is_ok());
        assert!(Envelope::parse(&to(SUBJECT_BYTES_MAX)).is_ok());
        assert_eq!(error(&to(0)), FrameError::To);
        assert_eq!(error(&to(SUBJECT_BYTES_MAX + 1)), FrameError::To);
    }

    #[test]
    fn a_frame_that_is_no_strict_object_is_refused() {
        let rows = [
            ("", JsonError::Syntax),
            ("hello", JsonError::Syntax),
            (r#"["t","x"]"#, JsonError::NotAnObject),
            (r#"{"event":"x"} {"event":"y"}"#, JsonError::Syntax),
            (r#"{"event":"x","event":"x"}"#, JsonError::RepeatedMember),
            (
                r#"{"event":"x","\u0065vent":"y"}"#,
                JsonError::RepeatedMember,
            ),
            (r#"{"event":"x","a":1,"a":1}"#, JsonError::RepeatedMember),
            (r#"{"event":"x","data":"\ud800"}"#, JsonError::LoneSurrogate),
        ];
        for (text, wanted) in rows {
            assert_eq!(error(text), FrameError::Json(wanted), "{text}");
        }
    }

    #[test]
    fn an_error_says_in_one_line_what_would_be_right() {
        assert_eq!(
            FrameError::Id.to_string(),
            "`id` must be a number or a string of at most 64 bytes"
        );
        assert_eq!(
            FrameError::Json(JsonError::NotAnObject).to_string(),
            "the frame is JSON, but not an object"
        );
    }
}
