use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::*;

/// The members of `text` in its order, as `name=raw`.
fn read(text: &str) -> Result<Vec<String>, JsonError> {
    let mut read = Vec::new();
    members::<JsonError>(text, |name, value| {
        read.push(format!("{name}={}", value.raw()));
        Ok(())
    })?;
    Ok(read)
}

fn value(raw: &str) -> Value<'_> {
    Scanner::new(raw).value().unwrap()
}

#[test]
fn members_come_in_the_order_of_the_text_and_values_as_they_stand() {
    let text = " {\"b\" : [1, 2] ,\"\\u0061\":\"x\\n\",\t\"\": -1.5e3\n}\r\n";
    assert_eq!(read(text).unwrap(), ["b=[1, 2]", r#"a="x\n""#, "=-1.5e3"]);
    assert_eq!(read("{}").unwrap(), [""; 0]);
}

#[test]
fn what_is_not_one_object_is_refused() {
    for text in ["[]", "[{}]", "1", "\"{}\"", "null", " true "] {
        assert_eq!(read(text), Err(JsonError::NotAnObject), "{text}");
    }
    let rows = [
        "",
        " ",
        "{",
        "}",
        "{}}",
        "{}{}",
        "{} x",
        "{}\0",
        "\u{feff}{}",
        "\u{a0}{}",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":1 "b":2}"#,
        r#"{a:1}"#,
        r#"{1:1}"#,
        r#"{'a':1}"#,
        r#"{"a":01}"#,
        r#"{"a":+1}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":-}"#,
        r#"{"a":1e}"#,
        r#"{"a":tru}"#,
        r#"{"a":True}"#,
        r#"{"a":NaN}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[1}"#,
        r#"{"a":[}]"#,
        r#"{"a":"x}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u00g0"}"#,
        r#"{"a":"\u+061"}"#,
        r#"{"a":"\é"}"#,
        "{\"a\":\"\n\"}",
        "{\"a\n\":1}",
        "{\"a\":1} // no",
        "/**/{}",
    ];
    for text in rows {
        assert_eq!(read(text), Err(JsonError::Syntax), "{text}");
    }
}

#[test]
fn a_member_that_comes_twice_is_refused_wherever_it_stands() {
    let apart = |count: usize, again: &str| {
        let names: Vec<String> = (0..count).map(|name| format!(r#""n{name}":0"#)).collect();
        format!("{{{},\"{again}\":1}}", names.join(","))
    };
    for count in [1, 2, 7, 8, 9, 16, JSON_MEMBERS_MAX - 1] {
        for again in [
            "n0".to_owned(),
            format!("n{}", count - 1),
            r"\u006e0".to_owned(),
        ] {
            let text = apart(count, &again);
            assert_eq!(read(&text), Err(JsonError::RepeatedMember), "{text}");
        }
        assert_eq!(read(&apart(count, "other")).unwrap().len(), count + 1);
        assert_eq!(read(&apart(count, r"\u006f")).unwrap().len(), count + 1);
    }
    assert_eq!(
        read(r#"{"\u0061":1,"a":2}"#),
        Err(JsonError::RepeatedMember)
    );
    assert_eq!(
        read(r#"{"\u0061":1,"b":2,"\u0061":3}"#),
        Err(JsonError::RepeatedMember)
    );
    // Each level for itself, and names are compared as they are.
    assert!(read(r#"{"a":{"a":1},"A":2,"b":{"c":1,"c":2}}"#).is_ok());
}

#[test]
fn nesting_at_the_limit_is_read_and_one_deeper_is_refused() {
    let arrays = |depth: usize| {
        let inner = depth - 1;
        format!(r#"{{"a":{}{}}}"#, "[".repeat(inner), "]".repeat(inner))
    };
    let objects = |depth: usize| {
        format!(
            "{}{{}}{}",
            r#"{"a":"#.repeat(depth - 1),
            "}".repeat(depth - 1)
        )
    };
    assert!(read(&arrays(JSON_DEPTH_MAX)).is_ok());
    assert!(read(&objects(JSON_DEPTH_MAX)).is_ok());
    assert_eq!(read(&arrays(JSON_DEPTH_MAX + 1)), Err(JsonError::TooDeep));
    assert_eq!(read(&objects(JSON_DEPTH_MAX + 1)), Err(JsonError::TooDeep));
    assert_eq!(read(&"{\"a\":".repeat(10_000)), Err(JsonError::TooDeep));
}

#[test]
fn many_brackets_that_are_not_deep_are_no_depth() {
    let wide = format!(r#"{{"a":[{}0]}}"#, "[[]],".repeat(100));
    assert!(read(&wide).is_ok());
    let quoted = format!(
        r#"{{"a":"{}","b\\":"\"{}"}}"#,
        "[".repeat(100),
        "{".repeat(100)
    );
    assert!(read(&quoted).is_ok());
}

#[test]
fn half_a_surrogate_pair_is_refused_anywhere() {
    let rows = [
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\uDFFF"}"#,
        r#"{"a":"\ud800x"}"#,
        r#"{"a":"\ud800\n"}"#,
        r#"{"a":"\ud800\ud800"}"#,
        r#"{"a":"\ud800\u0061"}"#,
        r#"{"a":"\udc00\ud800"}"#,
        r#"{"a":"\\\ud800"}"#,
        r#"{"a":{"b":["\udead"]}}"#,
        r#"{"\ud800":1}"#,
        r#"{"a":{"\udc00":1}}"#,
    ];
    for text in rows {
        assert_eq!(read(text), Err(JsonError::LoneSurrogate), "{text}");
    }
    for text in [
        r#"{"a":"\ud83d\uDE00"}"#,
        r#"{"a":"\\ud800"}"#,
        r#"{"a":"\ue000\uD7FF"}"#,
    ] {
        assert!(read(text).is_ok(), "{text}");
    }
}

#[test]
fn the_first_error_of_the_caller_comes_back_unless_the_text_is_worse() {
    #[derive(Debug, PartialEq)]
    enum Error {
        Json(JsonError),
        Member(String),
    }
    impl From<JsonError> for Error {
        fn from(error: JsonError) -> Error {
            Error::Json(error)
        }
    }
    let fail = |text| members(text, |name, _| Err(Error::Member(name.to_owned())));
    assert_eq!(fail(r#"{"a":1,"b":2}"#), Err(Error::Member("a".into())));
    assert_eq!(fail(r#"{"a":1,"b"}"#), Err(Error::Json(JsonError::Syntax)));
    assert_eq!(
        fail(r#"{"a":1,"a":2}"#),
        Err(Error::Json(JsonError::RepeatedMember))
    );
}

#[test]
fn a_string_is_lent_where_it_has_no_escape_and_decoded_where_it_has() {
    assert!(matches!(
        value("\"aé😀\"").string(),
        Some(Cow::Borrowed("aé😀"))
    ));
    assert!(matches!(value("\"\"").string(), Some(Cow::Borrowed(""))));
    let decoded = value(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#).string();
    assert_eq!(decoded.as_deref(), Some("\"\\/\u{8}\u{c}\n\r\té😀"));
    for other in ["1", "null", "[]", "[\"a\"]", "{\"a\":\"b\"}"] {
        assert_eq!(value(other).string(), None, "{other}");
    }
}

#[test]
fn an_integer_is_written_in_digits_alone() {
    assert_eq!(value("0").integer(), Some(0));
    assert_eq!(value("18446744073709551615").integer(), Some(u64::MAX));
    for other in [
        "18446744073709551616",
        "-0",
        "-1",
        "1.0",
        "1e0",
        "\"1\"",
        "null",
        "[1]",
    ] {
        assert_eq!(value(other).integer(), None, "{other}");
    }
}

/// Digits are read eight at a time where there are so many.
#[test]
fn an_integer_of_any_length_is_what_rust_reads() {
    for digits in 1..=20 {
        for first in 1..=9 {
            let text: String = (0..digits)
                .map(|at| ((first + 3 * at) % 10).to_string())
                .collect();
            if !text.starts_with('0') || digits == 1 {
                assert_eq!(value(&text).integer(), text.parse().ok(), "{text}");
            }
        }
    }
}

/// Any character in any place among digits, read as a number and as the end of one.
#[test]
fn no_other_character_is_taken_for_a_digit() {
    for at in 0..10 {
        for character in '\0'..='\u{7FF}' {
            let (before, behind) = "987654321".split_at(at);
            let text = format!("{before}{character}{behind}");
            let alone = format!("{{\"a\":{text}}}");
            let taken = members::<JsonError>(&alone, |_, _| Ok(())).is_ok();
            let theirs = serde_json::from_str::<BTreeMap<&str, &RawValue>>(&alone).is_ok();
            assert_eq!(taken, theirs, "{alone}");
            if taken {
                let text = text.trim();
                assert_eq!(value(text).integer(), text.parse().ok(), "{text}");
            }
        }
    }
}

#[test]
fn a_number_is_told_from_all_else() {
    assert!(
        ["0", "-1", "9e9"]
            .into_iter()
            .all(|raw| value(raw).is_number())
    );
    for raw in ["null", "true", "false", "\"1\"", "[1]", "{}"] {
        assert!(!value(raw).is_number(), "{raw}");
    }
}

#[test]
fn elements_are_those_of_an_array_alone() {
    let elements = |raw| {
        let mut elements = Vec::new();
        value(raw)
            .elements(|element| elements.push(element.raw()))
            .then_some(elements)
    };
    assert_eq!(
        elements(r#"[1 , "a", [2]]"#).unwrap(),
        ["1", "\"a\"", "[2]"]
    );
    assert_eq!(elements("[ ]").unwrap(), [""; 0]);
    assert_eq!(elements("{}"), None);
    assert_eq!(elements("\"[]\""), None);
}

#[test]
fn a_pushed_string_reads_as_what_it_was() {
    let text = "\"\\/\u{0}\u{1b}\n\u{7f}é\u{2028}\u{202e}😀";
    let mut json = b"{\"a\":".to_vec();
    push_string(&mut json, text);
    json.push(b'}');
    let json = String::from_utf8(json).unwrap();
    assert!(json.bytes().all(|byte| byte >= 0x20));
    let mut back = None;
    members::<JsonError>(&json, |_, value| {
        back = value.string();
        Ok(())
    })
    .unwrap();
    assert_eq!(back.as_deref(), Some(text));
}

/// What serde_json reads, which knows nothing of our bounds: sorted, the last of a name.
fn read_by_serde(text: &str) -> Option<Vec<String>> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    Some(
        members
            .iter()
            .map(|(name, value)| format!("{name}={}", value.get()))
            .collect(),
    )
}

#[test]
fn what_is_json_is_what_serde_json_takes_however_a_text_is_spoiled() {
    let seeds = [
        r#"{"a":[1,-0.5e+10,true,false,null,"x\\\"\u00e9"],"b":{"c":{},"d":[[],[{}]]}}"#,
        r#" { "id" : 0 , "event" : "getUser" , "data" : { "id" : "alice é 😀 and so on" } } "#,
        r#"{"":-0,"e":1E-2,"f":1.0,"g":10,"h":"\ud83d\ude00\b\f\n\r\t\/","i":[ ]}"#,
    ];
    let alphabet = b"{}[]:,\"\\ \n\x00-+.eE019utrfalsn/bx";
    let mut state = 1_u64;
    let mut random = |below: usize| {
        // Knuth's MMIX generator; the upper bits are the good ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut taken, mut refused) = (0, 0);
    for round in 0..60_000 {
        let mut bytes = seeds[round % seeds.len()].as_bytes().to_vec();
        for _ in 0..=random(3) {
            let (at, byte) = (random(bytes.len()), alphabet[random(alphabet.len())]);
            match random(3) {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => _ = bytes.remove(at),
            }
        }
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        match read(&text) {
            Ok(mut ours) => {
                ours.sort();
                let mut theirs = read_by_serde(&text).expect(&text);
                theirs.sort();
                assert_eq!(ours, theirs, "{text}");
                taken += 1;
            }
            Err(JsonError::RepeatedMember) => assert!(read_by_serde(&text).is_some(), "{text}"),
            Err(JsonError::LoneSurrogate) => {}
            Err(_) => {
                assert_eq!(read_by_serde(&text), None, "{text}");
                refused += 1;
            }
        }
    }
    assert!(taken > 1_000 && refused > 1_000, "{taken} {refused}");
}

#[test]
fn each_byte_of_a_string_is_judged_at_each_place_of_a_word() {
    for code in (0..=0xFF).chain([0x2028, 0x1F600]) {
        let character = char::from_u32(code).unwrap();
        for before in 0..20 {
            for after in [0, 1, 7, 8, 9] {
                let (before, after) = ("x".repeat(before), "é".repeat(after));
                let text = format!("{{\"a\":\"{before}{character}{after}\"}}");
                let wanted = serde_json::from_str::<BTreeMap<&str, &RawValue>>(&text).is_ok();
                assert_eq!(read(&text).is_ok(), wanted, "{text:?}");
            }
        }
    }
}

#[test]
fn an_object_of_as_many_members_as_are_taken_is_read_and_one_of_one_more_is_refused() {
    for spelled in ["n", r"\u006e"] {
        let object = |members: usize| {
            let members = (0..members).map(|number| format!("\"{spelled}{number}\":{number}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        };
        let read_at_the_limit = read(&object(JSON_MEMBERS_MAX)).unwrap();
        assert_eq!(read_at_the_limit.len(), JSON_MEMBERS_MAX);
        assert_eq!(read_at_the_limit[63], "n63=63");
        let longer = object(JSON_MEMBERS_MAX + 1);
        assert_eq!(read(&longer), Err(JsonError::TooManyMembers));
        // What is nested is not ours, and a text that is no JSON is told as that.
        assert!(read(&format!("{{\"a\":{longer}}}")).is_ok());
        let spoiled = longer.replace("64}", "64");
        assert_eq!(read(&spoiled), Err(JsonError::Syntax));
    }
}

/// Wherever the two stand, and however they are spelled.
#[test]
fn a_repeated_name_among_as_many_as_are_taken_is_found() {
    let spellings = ["é", r"\u00e9", r"\u00E9"];
    for (one, other) in [(0, 1), (0, 63), (7, 8), (8, 9), (31, 32), (62, 63)] {
        for first in spellings {
            for second in spellings {
                for tail in [0, 29, 30, 31, 62, 63, 64, 65, 200] {
                    let tail = "x".repeat(tail);
                    let members = (0..JSON_MEMBERS_MAX).map(|number| match number {
                        _ if number == one => format!("\"{first}{tail}\":1"),
                        _ if number == other => format!("\"{second}{tail}\":1"),
                        _ => format!("\"{first}{tail}{number}\":1"),
                    });
                    let text = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
                    assert_eq!(read(&text), Err(JsonError::RepeatedMember), "{text}");
                    let apart = text.replacen(&format!("{second}{tail}\""), "other\"", 1);
                    assert!(read(&apart).is_ok(), "{apart}");
                }
            }
        }
    }
}

/// A name of ours is known however it is spelled; a longer one is none, and comes as it is written.
#[test]
fn a_name_with_escapes_is_decoded_up_to_the_longest_of_ours() {
    let spelled = r#"\u0022\\\/\b\f\n\r\t\u00e9\uD83D\uDE00"#;
    let text = format!("{{\"{spelled}\":1}}");
    assert_eq!(read(&text).unwrap(), ["\"\\/\u{8}\u{c}\n\r\té😀=1"]);
    for (bytes, wanted) in [
        (31, "n".repeat(32)),
        (32, format!("{}{}", r"\u006e", "n".repeat(32))),
    ] {
        let text = format!("{{\"\\u006e{}\":1}}", "n".repeat(bytes));
        assert_eq!(read(&text).unwrap(), [format!("{wanted}=1")]);
    }
}

#[test]
fn a_short_string_is_of_so_many_bytes_however_it_is_written() {
    for (raw, bytes) in [
        (r#""abc""#, 3),
        (r#""\u0061\u0062\u0063""#, 3),
        (r#""\n""#, 1),
        (r#""\ud83d\ude00""#, 4),
        (r#""""#, 0),
    ] {
        let string = value(raw).string();
        assert_eq!(value(raw).short_string(bytes), string, "{raw}");
        if bytes > 0 {
            assert_eq!(value(raw).short_string(bytes - 1), None, "{raw}");
        }
    }
    assert_eq!(value("12").short_string(10), None);
}

#[test]
fn a_secret_string_is_what_the_string_is() {
    let spelled = r#""a\u00e9\"\\\/\b\f\n\r\t\ud83d\ude00é""#;
    for raw in [spelled, r#""""#, r#""abc""#, r#""\u0000""#] {
        let secret = value(raw).secret_string().unwrap();
        assert_eq!(secret.as_str(), value(raw).string().unwrap(), "{raw}");
        assert!(secret.capacity() <= raw.len(), "it was not moved");
    }
    assert!(value("12").secret_string().is_none());
}

#[test]
fn an_object_read_again_gives_what_it_gave_before() {
    let deep = format!("{}{}", "[".repeat(31), "]".repeat(31));
    for data in [
        "{}".to_owned(),
        r#"{ "id" : "alice", "a":[1,"]}\"",{"b":[]}] , "c":{"}":"{"},"d":-1.5e3,"e":null }"#
            .to_owned(),
        format!(
            r#"{{"a":{deep},"id":"x","b":[{}]}}"#,
            r#""Y_y","",12,true,"#.repeat(20) + "0"
        ),
    ] {
        let mut again = Vec::new();
        members_again::<JsonError>(&data, |name, value| {
            again.push(format!("{name}={}", value.raw()));
            Ok(())
        })
        .unwrap();
        assert_eq!(again, read(&data).unwrap(), "{data}");
    }
    // Never a panic, whatever it is given after all.
    for text in [
        "",
        "{",
        r#"{"a":["#,
        r#"{"a":[}"#,
        r#"{"a":["x]}"#,
        r#"{"a":]}"#,
    ] {
        let read = members_again::<JsonError>(text, |_, _| Ok(()));
        assert!(read.is_err(), "{text}");
    }
}
