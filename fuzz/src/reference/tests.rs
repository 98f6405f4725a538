use super::*;

const KEY: &[u8] = &[b'k'; 32];
const NOW: u64 = 1_700_000_000;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sign(header: &str, claims: &str) -> String {
    let message = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(claims.as_bytes())
    );
    let tag = encode(&hmac_sha256(KEY, message.as_bytes()));
    format!("{message}.{tag}")
}

fn of(header: &str, claims: &str) -> Verdict {
    let rules = ClaimRules {
        leeway_seconds: 10,
        ..ClaimRules::default()
    };
    verdict(&sign(header, claims), &[KEY], &rules, NOW)
}

fn is_accepted(header: &str, claims: &str) -> bool {
    matches!(of(header, claims), Verdict::Accepted { .. })
}

/// RFC 4231 §4.2 to §4.8; the fifth shows 128 bits.
#[test]
fn hmac_is_that_of_rfc_4231() {
    let counted: Vec<u8> = (1..=25).collect();
    let large = [0xaa; 131];
    let rows: [(&[u8], &[u8], &str); 7] = [
        (
            &[0x0b; 20],
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            &[0xaa; 20],
            &[0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            &counted,
            &[0xcd; 50],
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
        (
            &[0x0c; 20],
            b"Test With Truncation",
            "a3b6167473100ee06e0c796c2955552b",
        ),
        (
            &large,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            &large,
            b"This is a test using a larger than block-size key and a larger than \
                block-size data. The key needs to be hashed before being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ];
    for (key, message, tag) in rows {
        assert!(hex(&hmac_sha256(key, message)).starts_with(tag), "{tag}");
    }
}

/// Every length of padding, against another's HMAC.
#[test]
fn hmac_agrees_with_the_hmac_crate_at_every_length() {
    use hmac::{Hmac, KeyInit, Mac};
    let bytes: Vec<u8> = (0..=255).collect();
    for length in 0..=200 {
        let (key, message) = (&bytes[..length], &bytes[..length]);
        let theirs = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
        let theirs = theirs.chain_update(message).finalize().into_bytes();
        assert_eq!(hmac_sha256(key, message)[..], theirs[..], "{length}");
    }
}

#[test]
fn base64url_is_that_of_rfc_4648() {
    let rows = [
        ("", ""),
        ("f", "Zg"),
        ("fo", "Zm8"),
        ("foo", "Zm9v"),
        ("foobar", "Zm9vYmFy"),
    ];
    for (plain, coded) in rows {
        assert_eq!(encode(plain.as_bytes()), coded);
        assert_eq!(decode(coded).unwrap(), plain.as_bytes());
    }
    assert_eq!(decode("-_8").unwrap(), [0xfb, 0xff]);
    for bad in [
        "Z", "Zh", "Zm9", "Zg==", "Zg=", "+/8", "Zm9v\n", " Zm9v", "é", "Zm9vY",
    ] {
        assert_eq!(decode(bad), None, "{bad}");
    }
}

/// RFC 7515 appendix A.1, which has no `sub`: its MAC is right, and it is refused.
#[test]
fn the_example_of_rfc_7515_has_the_tag_it_shows() {
    let key = decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    )
    .unwrap();
    let header = "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}";
    let claims =
        "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
    let message = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(claims.as_bytes())
    );
    let tag = encode(&hmac_sha256(&key, message.as_bytes()));
    assert_eq!(tag, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");

    let token = format!("{message}.{tag}");
    assert!(signed_claims(&token, &[&key]).is_some());
    let rules = ClaimRules::default();
    let before_its_end = 1_300_819_379;
    assert_eq!(
        verdict(&token, &[&key], &rules, before_its_end),
        Verdict::Refused
    );
}

#[test]
fn json_is_read_as_it_is_meant() {
    let text =
        " {\"a\" : [1, -0.5e+3, \"x\\u00e9\\ud83d\\ude00\\n\"],\"b\":{\"b\":null,\"b\":true}}\r\n";
    let Json::Array(elements) = &object(text).unwrap()[0].1 else {
        panic!("no array");
    };
    assert_eq!(elements[1], Json::Number("-0.5e+3".into()));
    assert_eq!(elements[2], Json::Text("xé😀\n".into()));
    assert_eq!(object("{}").unwrap(), []);
    let nested = |depth| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(object(&nested(31)).is_some());
    assert!(object(&nested(32)).is_none());
}

#[test]
fn what_is_no_json_object_is_refused() {
    let rows = [
        "",
        "[]",
        "1",
        "null",
        "\"{}\"",
        "{",
        "{}}",
        "{}x",
        "\u{feff}{}",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":01}"#,
        r#"{"a":+1}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":1e}"#,
        r#"{"a":-}"#,
        r#"{"a":1-1}"#,
        r#"{"a":tru}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[}]"#,
        r#"{"a":"x}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u00g0"}"#,
        r#"{"a":"\u+061"}"#,
        "{\"a\":\"\n\"}",
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\udc00"}"#,
        r#"{"a":"\ud800\u0041"}"#,
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"\u0061":1}"#,
        r#"{"":1,"":1}"#,
        "{'a':1}",
        "{\u{a0}}",
    ];
    for text in rows {
        assert_eq!(object(text), None, "{text}");
    }
}

#[test]
fn headers_are_held_to_the_contract() {
    let claims = r#"{"sub":"alice","exp":1700000001}"#;
    let accepted = [
        r#"{"alg":"HS256"}"#,
        r#"{"typ":"jWt","alg":"HS256"}"#,
        r#"{"alg":"\u0048S256","kid":["../"],"x":1e400}"#,
    ];
    for header in accepted {
        assert!(is_accepted(header, claims), "{header}");
    }
    let refused = [
        "{}",
        r#"["HS256"]"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"none"}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":"HS256","typ":null}"#,
        r#"{"alg":"HS256","typ":"JWS"}"#,
        r#"{"alg":"HS256","crit":null}"#,
        r#"{"alg":"HS256","b64":true}"#,
        r#"{"alg":"HS256","zip":0}"#,
        r#"{"alg":"HS256","enc":""}"#,
        r#"{"alg":"HS256","c\u0074y":[]}"#,
    ];
    for header in refused {
        assert_eq!(of(header, claims), Verdict::Refused, "{header}");
    }
}

/// With a leeway of ten seconds.
#[test]
fn claims_are_held_to_the_contract() {
    let claims = |rest: &str| of(r#"{"alg":"HS256"}"#, &format!(r#"{{"sub":"alice"{rest}}}"#));
    let accepted = Verdict::Accepted {
        subject: "alice".into(),
        issued_at: 1_700_000_011,
        expires_at: 1_699_999_991,
    };
    let rows = [
        (
            r#","exp":1699999991,"nbf":1700000010,"iat":1700000011"#,
            accepted,
        ),
        (r#","exp":1699999990"#, Verdict::Expired),
        (r#","exp":1699999990,"nbf":1700000011"#, Verdict::Refused),
        (r#","exp":1700000001,"nbf":1700000011"#, Verdict::Refused),
        (r#","exp":1700000001,"iat":1700000012"#, Verdict::Refused),
        (r#","exp":1700000001,"iat":null"#, Verdict::Refused),
        (r#","exp":1700000001,"nbf":0"#, Verdict::Refused),
        (r#","exp":1700000001.0"#, Verdict::Refused),
        (r#","exp":17e8"#, Verdict::Refused),
        (r#","exp":-0"#, Verdict::Refused),
        (r#","exp":"1700000001""#, Verdict::Refused),
        (r#","exp":253402300800"#, Verdict::Refused),
        (r#","exp":1700000001,"aud":"us""#, Verdict::Refused),
        (r#","exp":1700000001,"iss":7"#, Verdict::Refused),
        ("", Verdict::Refused),
    ];
    for (rest, wanted) in rows {
        assert_eq!(claims(rest), wanted, "{rest}");
    }
}

#[test]
fn any_of_the_keys_and_no_other_signs() {
    let token = sign(r#"{"alg":"HS256"}"#, r#"{"sub":"alice","exp":1700000001}"#);
    let judged = |keys: &[&[u8]]| verdict(&token, keys, &ClaimRules::default(), NOW);
    assert_ne!(judged(&[b"other", KEY]), Verdict::Refused);
    assert_eq!(judged(&[b"other"]), Verdict::Refused);
    assert_eq!(judged(&[]), Verdict::Refused);
    let short = &token[..token.len() - 1];
    assert_eq!(
        verdict(short, &[KEY], &ClaimRules::default(), NOW),
        Verdict::Refused
    );
}
