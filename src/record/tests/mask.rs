//! Signatures are masked wherever a token stands.

use crate::record::mask::Mask;

fn masked(text: &str) -> String {
    let mut mask = Mask::default();
    let bytes = text.bytes().map(|byte| mask.pass(byte));
    String::from_utf8(bytes.collect()).unwrap()
}

#[test]
fn signatures_are_masked_and_nothing_before_them() {
    for (text, wanted) in [
        (
            r#"{"a":"eyJh.eyJi.abc-_","b":1}"#,
            r#"{"a":"eyJh.eyJi.xxxxx","b":1}"#,
        ),
        ("a.b.c.d e.f", "a.b.x.x e.f"),
        ("e..s", "e..s"),
        ("a..b.c.d", "a..b.c.x"),
        ("eyJh.eyJi", "eyJh.eyJi"),
        ("a b.c=d.e", "a b.c=d.e"),
    ] {
        assert_eq!(masked(text), wanted);
        assert_eq!(masked(wanted), wanted);
    }
}

#[test]
fn what_stands_before_a_token_never_unmasks_it() {
    let token = "eyJh.eyJi.signature";
    for before in ["", "e", ".", "x.", "x..", "a.b.c", "\u{81}e", "a.b."] {
        let seen = masked(&format!("{before}{token}"));
        assert!(!seen.contains("signature"), "{before}: {seen}");
    }
}
