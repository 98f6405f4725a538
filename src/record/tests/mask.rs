//! Signatures are masked wherever a token stands.

use crate::record::mask::mask;

fn masked(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    mask(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

const CLEAR: &str = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE";

#[test]
fn signatures_are_masked_and_nothing_else() {
    for (text, wanted) in [
        (
            r#"{"a":"CLEAR.abc-_","b":1}"#,
            r#"{"a":"CLEAR.xxxxx","b":1}"#,
        ),
        ("CLEAR.ab=.cd ef", "CLEAR.xxx.xx ef"),
        ("eyCLEAR.s", "eyCLEAR.x"),
        ("CLEAR", "CLEAR"),
        ("eyJh CLEAR.b", "eyJh CLEAR.x"),
        (
            "hello.dear.world.of.thirty.two.bytes",
            "hello.dear.world.of.thirty.two.bytes",
        ),
    ] {
        let [text, wanted] = [text, wanted].map(|text| text.replace("CLEAR", CLEAR));
        assert_eq!(masked(&text), wanted);
        assert_eq!(masked(&wanted), wanted);
    }
}

#[test]
fn what_is_too_short_for_a_token_stays() {
    let name = format!("eyJ..{}", "n".repeat(27));
    assert_eq!(masked(&name), name);
    assert_eq!(masked(&format!("{name}ame")), format!("{name}xxx"));
    assert_eq!(masked(&format!("{name} {name}")), format!("{name} {name}"));
}

#[test]
fn what_stands_before_a_token_never_unmasks_it() {
    let token = format!("{CLEAR}.signature");
    for before in [
        "", "e", "ey", "eyJ", "eyJ.", "eyJ..", "eyJa.b.c", "x.", "\u{81}e",
    ] {
        let seen = masked(&format!("{before}{token}"));
        assert!(!seen.contains("signature"), "{before}: {seen}");
        // Masked twice is masked once, also where only a part of it was seen before.
        let mixed = format!("{before}{}", masked(&token));
        assert_eq!(masked(&mixed), seen, "{before}");
    }
}
