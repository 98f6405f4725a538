//! Signatures are masked wherever a token stands.

use crate::record::mask::mask;

fn masked(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    mask(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn signatures_are_masked_and_nothing_else() {
    for (text, wanted) in [
        (
            r#"{"a":"eyJh.eyJi.abc-_","b":1}"#,
            r#"{"a":"eyJh.eyJi.xxxxx","b":1}"#,
        ),
        ("eyJh.eyJi.ab=.cd ef", "eyJh.eyJi.xxx.xx ef"),
        ("eyeyJ..s", "eyeyJ..x"),
        ("eyJh.eyJi", "eyJh.eyJi"),
        ("eyJh eyJi.a.b", "eyJh eyJi.a.x"),
        ("hello.dear.world", "hello.dear.world"),
    ] {
        assert_eq!(masked(text), wanted);
        assert_eq!(masked(wanted), wanted);
    }
}

#[test]
fn what_stands_before_a_token_never_unmasks_it() {
    let token = "eyJh.eyJi.signature";
    for before in [
        "", "e", "ey", "eyJ", "eyJ.", "eyJ..", "eyJa.b.c", "x.", "\u{81}e",
    ] {
        let seen = masked(&format!("{before}{token}"));
        assert!(!seen.contains("signature"), "{before}: {seen}");
        // Masked twice is masked once, also where only a part of it was seen before.
        let mixed = format!("{before}{}", masked(token));
        assert_eq!(masked(&mixed), seen, "{before}");
    }
}
