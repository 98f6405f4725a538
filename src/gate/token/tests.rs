use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::gate::jws::{HEADER, TAG_CHARACTERS};
use crate::gate::{Secret, Signer};

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);
const GOOD_CLAIMS: &str = r#"{"sub":"alice","exp":1700000001}"#;

fn keys() -> Keys {
    Keys::new(&secret(b'k'), None)
}

fn secret(byte: u8) -> Secret {
    Secret::from_bytes(&[byte; 32]).unwrap()
}

fn verifier() -> Verifier {
    Verifier::new(keys(), ClaimRules::default())
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token whose MAC is right, whatever its parts are.
fn mac(signed: &str) -> String {
    format!(
        "{signed}.{}",
        encode(keys().current().tag(signed.as_bytes()).as_bytes())
    )
}

fn sign(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    mac(&format!("{}.{}", encode(header), encode(claims)))
}

fn good() -> String {
    mac(&format!("{HEADER}.{}", encode(GOOD_CLAIMS)))
}

/// The verdict in a word, at `NOW`.
fn verdict(token: &str) -> &'static str {
    verdict_under(&ClaimRules::default(), token)
}

fn verdict_under(rules: &ClaimRules, token: &str) -> &'static str {
    match Verifier::new(keys(), rules.clone()).verify(token, NOW) {
        Ok(_) => "ok",
        Err(error) => error.word(),
    }
}

fn of_header(header: &str) -> &'static str {
    verdict(&sign(header, GOOD_CLAIMS))
}

fn of_claims(claims: &str) -> &'static str {
    verdict(&sign(r#"{"alg":"HS256"}"#, claims))
}

fn assert_table(judge: impl Fn(&str) -> &'static str, wanted: &str, rows: &[&str]) {
    for row in rows {
        assert_eq!(judge(row), wanted, "{row}");
    }
}

#[test]
fn a_good_token_tells_whose_it_is_and_for_how_long() {
    let claims = r#"{"sub":"alice","iat":1699999999,"nbf":1700000000,"exp":1700000001}"#;
    let mut verifier = verifier();
    let token = sign(r#"{"alg":"HS256"}"#, claims);
    let verified = verifier.verify(&token, NOW).unwrap();
    assert_eq!(verified.subject(), "alice");
    assert_eq!(verified.issued_at(), UnixSeconds(1_699_999_999));
    assert_eq!(verified.expires_at(), UnixSeconds(1_700_000_001));
}

#[test]
fn a_token_without_iat_counts_as_issued_at_the_beginning_of_time() {
    let mut verifier = verifier();
    assert_eq!(
        verifier.verify(&good(), NOW).unwrap().issued_at(),
        UnixSeconds(0)
    );
}

#[test]
fn the_header_we_write_is_what_its_constant_says() {
    assert_eq!(HEADER, encode(r#"{"alg":"HS256","typ":"JWT"}"#));
}

/// RFC 7515 appendix A.1. It has no `sub`, so everything up to the claims is right in it.
#[test]
fn the_example_of_rfc_7515_has_a_good_signature() {
    let key =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\
        .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
        .dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let secret = Secret::from_bytes(&URL_SAFE_NO_PAD.decode(key).unwrap()).unwrap();
    let keys = Keys::new(&secret, None);
    let (message, signature) = token.rsplit_once('.').unwrap();
    assert_eq!(
        encode(keys.current().tag(message.as_bytes()).as_bytes()),
        signature
    );

    let mut verifier = Verifier::new(keys, ClaimRules::default());
    let before_its_end = UnixSeconds(1_300_819_379);
    assert_eq!(
        verifier.verify(token, before_its_end).unwrap_err(),
        TokenError::Subject
    );
    let forged = token.replace("dBjft", "dBjfu");
    assert_eq!(
        verifier.verify(&forged, before_its_end).unwrap_err(),
        TokenError::Signature
    );
}

#[test]
fn any_algorithm_but_hs256_is_refused_though_the_mac_is_right() {
    assert_eq!(of_header(r#"{"alg":"HS256"}"#), "ok");
    let rows = [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"NONE"}"#,
        r#"{"alg":"nOnE"}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"HS256 "}"#,
        r#"{"alg":"HS384"}"#,
        r#"{"alg":"HS512"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":""}"#,
        r#"{"alg":null}"#,
        r#"{"alg":256}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"ALG":"HS256"}"#,
        "{}",
    ];
    assert_table(of_header, "bad_alg", &rows);
}

#[test]
fn unsigned_tokens_are_refused_for_their_form() {
    let unsigned = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(GOOD_CLAIMS));
    assert_eq!(verdict(&unsigned), "not_three_parts");
    assert_eq!(verdict(unsigned.trim_end_matches('.')), "not_three_parts");
}

#[test]
fn typ_is_jwt_in_any_case_or_absent() {
    for typ in ["JWT", "jwt", "Jwt", r"\u004aWT"] {
        assert_eq!(
            of_header(&format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#)),
            "ok",
            "{typ}"
        );
    }
    for typ in [
        r#""at+jwt""#,
        r#""JWT ""#,
        r#""""#,
        "null",
        "1",
        r#"["JWT"]"#,
    ] {
        let header = format!(r#"{{"alg":"HS256","typ":{typ}}}"#);
        assert_eq!(of_header(&header), "bad_typ", "{typ}");
    }
}

#[test]
fn a_header_that_asks_for_an_extension_is_refused_whatever_its_value() {
    for name in ["crit", "b64", "zip", "enc", "cty", r"\u0063rit"] {
        for value in [
            "null",
            "[]",
            "0",
            "true",
            "false",
            r#""DEF""#,
            r#"["exp"]"#,
            "{}",
        ] {
            let header = format!(r#"{{"alg":"HS256","{name}":{value}}}"#);
            assert_eq!(of_header(&header), "header_extension", "{header}");
        }
    }
}

#[test]
fn headers_that_point_to_keys_change_nothing() {
    let rows = [
        r#"{"alg":"HS256","kid":"' OR 1=1 --"}"#,
        r#"{"alg":"HS256","kid":"../../../dev/null"}"#,
        r#"{"alg":"HS256","kid":null}"#,
        r#"{"alg":"HS256","jku":"http://127.0.0.1/"}"#,
        r#"{"alg":"HS256","x5u":"http://127.0.0.1/","x5c":[]}"#,
        r#"{"alg":"HS256","jwk":{"kty":"oct","k":""}}"#,
    ];
    assert_table(of_header, "ok", &rows);
    let foreign = Keys::new(&secret(0), None);
    for row in rows {
        let signed = format!("{}.{}", encode(row), encode(GOOD_CLAIMS));
        let tag = encode(foreign.current().tag(signed.as_bytes()).as_bytes());
        assert_eq!(
            verdict(&format!("{signed}.{tag}")),
            "bad_signature",
            "{row}"
        );
    }
}

#[test]
fn a_text_with_two_readings_is_refused_in_header_and_claims() {
    let tables: [(&str, &[&str]); 5] = [
        (
            "json_repeated_member",
            &[r#""a":1,"a":1"#, r#""a":1,"\u0061":1"#, r#""":1,"":2"#],
        ),
        (
            "json_syntax",
            &[
                "",
                r#""a":1,"#,
                r#""a":1}"#,
                r#""a":1}{"b":2"#,
                "a:1",
                "'a':1",
            ],
        ),
        (
            "json_lone_surrogate",
            &[r#""a":"\ud800""#, r#""a":"\udc00\ud800""#, r#""\ud83d":1"#],
        ),
        ("json_too_deep", &[&nested(32)]),
        (
            "ok",
            &[&nested(31), r#""a":"\ud83d\ude00""#, r#""a":"\\ud800""#],
        ),
    ];
    for (wanted, rows) in tables {
        for row in rows {
            assert_eq!(
                of_header(&format!(r#"{{"alg":"HS256",{row}}}"#)),
                wanted,
                "{row}"
            );
            assert_eq!(
                of_claims(&format!(r#"{{"sub":"alice","exp":1700000001,{row}}}"#)),
                wanted,
                "{row}"
            );
        }
    }
}

/// A member with arrays `depth` deep.
fn nested(depth: usize) -> String {
    format!(r#""a":{}{}"#, "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn arrays_and_scalars_are_no_header_and_no_claims() {
    for row in [
        r#"["HS256","JWT"]"#,
        r#""HS256""#,
        "1",
        "null",
        "true",
        "[]",
    ] {
        assert_eq!(of_header(row), "json_not_an_object", "{row}");
        assert_eq!(of_claims(row), "json_not_an_object", "{row}");
    }
}

#[test]
fn other_encodings_than_utf_8_are_refused() {
    let utf_16: Vec<u8> = GOOD_CLAIMS
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(verdict(&sign(r#"{"alg":"HS256"}"#, utf_16)), "json_syntax");
    assert_eq!(of_claims(&format!("\u{feff}{GOOD_CLAIMS}")), "json_syntax");
    let bad = b"{\"sub\":\"alice\",\"exp\":1700000001,\"a\":\"\xff\"}";
    assert_eq!(verdict(&sign(r#"{"alg":"HS256"}"#, bad)), "bad_encoding");
    let overlong = b"{\"alg\":\"HS256\",\"a\":\"\xc0\x80\"}";
    assert_eq!(verdict(&sign(overlong, GOOD_CLAIMS)), "bad_encoding");
}

#[test]
fn a_signature_of_another_size_or_value_is_refused() {
    let token = good();
    let (signed, _) = token.rsplit_once('.').unwrap();
    let tag = keys().current().tag(signed.as_bytes()).into_bytes();
    let longer = [tag, tag].concat();
    for bytes in (1..32).chain([33, 64]) {
        let token = format!("{signed}.{}", encode(&longer[..bytes]));
        assert_eq!(verdict(&token), "signature_form", "{bytes}");
    }
    assert_eq!(verdict(&format!("{signed}.")), "not_three_parts");
    assert_eq!(
        verdict(&format!("{signed}.{}", encode([0; 32]))),
        "bad_signature"
    );
}

#[test]
fn one_changed_bit_anywhere_refuses_the_token() {
    let token = good();
    assert_eq!(verdict(&token), "ok");
    let mut verifier = verifier();
    for at in 0..token.len() {
        for bit in 0..7 {
            let mut changed = token.clone().into_bytes();
            changed[at] ^= 1 << bit;
            let changed = String::from_utf8(changed).unwrap();
            assert!(
                verifier.verify(&changed, NOW).is_err(),
                "bit {bit} of byte {at}"
            );
        }
    }
}

#[test]
fn a_second_spelling_of_the_same_bytes_is_refused() {
    let token = good();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    // 43 characters hold two bits more than 32 bytes.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let twin = alphabet
        .chars()
        .nth(alphabet.find(last).unwrap() + 1)
        .unwrap();
    let short = &signature[..42];
    for other in [
        format!("{short}{twin}"),
        format!("{signature}="),
        format!("{short}="),
    ] {
        assert_eq!(
            verdict(&format!("{signed}.{other}")),
            "signature_form",
            "{other}"
        );
    }
    for character in ['+', '/', ' ', '\n', '='] {
        let other = format!("{character}{}", &signature[1..]);
        assert_eq!(
            verdict(&format!("{signed}.{other}")),
            "signature_form",
            "{character:?}"
        );
    }
}

#[test]
fn lax_base64_is_refused_though_the_mac_is_right() {
    let header = r#"{"alg":"HS256"}"#;
    assert_eq!(header.len() % 3, 0);
    let padded = format!("{header} ");
    let (whole, claims) = (encode(header), encode(GOOD_CLAIMS));
    assert_eq!(&encode(&padded)[20..], "IA");
    let headers = [
        format!("{whole}IB"),
        format!("{whole}IA=="),
        format!("{whole}=="),
        format!("{whole} "),
        format!("{whole}\n"),
        format!("{whole}\r\n"),
        format!("{whole}I"),
        format!("{whole}+/+/"),
        format!("{whole}é"),
    ];
    assert_eq!(verdict(&mac(&format!("{whole}IA.{claims}"))), "ok");
    for header in headers {
        assert_eq!(
            verdict(&mac(&format!("{header}.{claims}"))),
            "bad_encoding",
            "{header:?}"
        );
        assert_eq!(
            verdict(&mac(&format!("{HEADER}.{header}"))),
            "bad_encoding",
            "{header:?}"
        );
    }
}

#[test]
fn anything_but_three_parts_is_refused() {
    let token = good();
    let five = format!("{token}.{token}");
    let rows = [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a..c",
        ".b.c",
        "a.b.",
        "a.b.c.d",
        "a.b.c.d.e",
        &five,
        r#"{"payload":"eyJ9","signatures":[]}"#,
    ];
    assert_table(verdict, "not_three_parts", &rows);
}

/// Whatever is where: dots at every place of a text as long as a token, one, two and three of them.
#[test]
fn three_parts_are_two_dots_with_something_around_each() {
    let signature = "A".repeat(43);
    for before in 0..6 {
        let text = format!("{}{signature}", "b".repeat(before));
        for (first, second) in (0..text.len()).flat_map(|at| (0..text.len()).map(move |b| (at, b)))
        {
            for third in [second, 1, before, text.len() - 44.min(text.len())] {
                let mut dotted = text.clone().into_bytes();
                for at in [first, second, third] {
                    dotted[at.min(text.len() - 1)] = b'.';
                }
                let dotted = String::from_utf8(dotted).unwrap();
                let parts: Vec<_> = dotted.split('.').collect();
                let are_three = parts.len() == 3 && parts.iter().all(|part| !part.is_empty());
                assert_eq!(verdict(&dotted) != "not_three_parts", are_three, "{dotted}");
            }
        }
    }
}

#[test]
fn bulk_is_refused_by_its_size() {
    assert_table(
        verdict,
        "too_long",
        &[&".".repeat(10_000), &"A".repeat(65_536)],
    );
    assert_eq!(verdict(&".".repeat(TOKEN_BYTES_MAX)), "not_three_parts");
    let deep = format!(r#"{{"a":{}"#, "[".repeat(2_900));
    assert_eq!(of_claims(&deep), "json_too_deep");
    assert_eq!(verdict(&sign("{}", "[".repeat(10_000))), "too_long");
}

#[test]
fn a_token_of_the_greatest_size_is_read_and_one_byte_more_is_not() {
    let of_size = |bytes: usize| {
        let claims_bytes = (bytes - HEADER.len() - 2 - TAG_CHARACTERS) * 3 / 4;
        let fill = claims_bytes - r#"{"sub":"alice","exp":1700000001,"a":""}"#.len();
        let claims = format!(
            r#"{{"sub":"alice","exp":1700000001,"a":"{}"}}"#,
            "x".repeat(fill)
        );
        mac(&format!("{HEADER}.{}", encode(claims)))
    };
    let (longest, longer) = (of_size(TOKEN_BYTES_MAX), of_size(TOKEN_BYTES_MAX + 1));
    assert_eq!(
        (longest.len(), longer.len()),
        (TOKEN_BYTES_MAX, TOKEN_BYTES_MAX + 1)
    );
    assert_eq!(verdict(&longest), "ok");
    assert_eq!(verdict(&longer), "too_long");
}

#[test]
fn a_forged_token_is_told_nothing_about_its_json() {
    for (header, claims) in [
        ("{", "{"),
        ("[1]", "null"),
        (r#"{"alg":"none"}"#, GOOD_CLAIMS),
    ] {
        let token = format!("{}.{}.{}", encode(header), encode(claims), encode([7; 32]));
        assert_eq!(verdict(&token), "bad_signature");
    }
    // Nor about its base64.
    assert_eq!(
        verdict(&format!("=.=.{}", encode([7; 32]))),
        "bad_signature"
    );
}

#[test]
fn a_date_of_the_wrong_type_is_refused_and_never_taken_as_absent() {
    let values = [
        r#""1700000001""#,
        "1700000001.0",
        "1700000001.5",
        "17e8",
        "1.7E9",
        "1e400",
        "-1",
        "-0",
        "0",
        "0.0",
        "253402300800",
        "9007199254740992",
        "18446744073709551615",
        "18446744073709551616",
        "100000000000000000000000000000000000000000",
        "null",
        "true",
        "[]",
        "[1700000001]",
        "{}",
    ];
    for value in values {
        let claims = format!(r#"{{"sub":"alice","exp":{value}}}"#);
        assert_eq!(of_claims(&claims), "bad_exp", "{value}");
        for name in ["nbf", "iat"] {
            let claims = format!(r#"{{"sub":"alice","exp":1700000001,"{name}":{value}}}"#);
            assert_eq!(of_claims(&claims), format!("bad_{name}"), "{value}");
        }
    }
    for malformed in ["01700000001", "+1", "1.", ".1", "0x1", "NaN", "Infinity"] {
        let claims = format!(r#"{{"sub":"alice","exp":{malformed}}}"#);
        assert_eq!(of_claims(&claims), "json_syntax", "{malformed}");
    }
    assert_eq!(of_claims(r#"{"sub":"alice"}"#), "bad_exp");
    assert_eq!(of_claims(r#"{"sub":"alice","exp":253402300799}"#), "ok");
    assert_eq!(
        of_claims(r#"{"sub":"alice","exp":1700000001,"nbf":1,"iat":1}"#),
        "ok"
    );
}

#[test]
fn a_subject_is_printable_ascii_of_bounded_length() {
    let of_subject = |subject: &str| of_claims(&format!(r#"{{"sub":{subject},"exp":1700000001}}"#));
    let longest = format!("\"{}\"", "x".repeat(SUBJECT_BYTES_MAX));
    let longer = format!("\"{}\"", "x".repeat(SUBJECT_BYTES_MAX + 1));
    assert_table(
        of_subject,
        "ok",
        &[r#""a""#, r#""!~""#, r#""a\"b\\c\/\u0064""#, &longest],
    );
    let rows = [
        r#""""#,
        r#"" ""#,
        r#""a b""#,
        r#""é""#,
        r#""a\n""#,
        r#""\u0000""#,
        r#""\u007f""#,
        r#""\u202e""#,
        "1",
        "null",
        "true",
        r#"["alice"]"#,
        r#"{"id":"alice"}"#,
        &longer,
    ];
    assert_table(of_subject, "bad_sub", &rows);
    assert_eq!(of_claims(r#"{"exp":1700000001}"#), "bad_sub");
}

#[test]
fn an_escaped_subject_is_the_subject_it_spells() {
    let mut verifier = verifier();
    let token = sign(
        r#"{"alg":"HS256"}"#,
        r#"{"sub":"\u0061lice","exp":1700000001}"#,
    );
    assert_eq!(verifier.verify(&token, NOW).unwrap().subject(), "alice");
}

#[test]
fn each_edge_of_time_is_where_the_contract_says() {
    let rows: &[(u64, &str, &str)] = &[
        (0, r#""exp":1700000000"#, "expired"),
        (0, r#""exp":1700000001"#, "ok"),
        (10, r#""exp":1699999990"#, "expired"),
        (10, r#""exp":1699999991"#, "ok"),
        (0, r#""exp":1700000001,"nbf":1700000000"#, "ok"),
        (0, r#""exp":1700000001,"nbf":1700000001"#, "not_yet_valid"),
        (10, r#""exp":1700000001,"nbf":1700000010"#, "ok"),
        (10, r#""exp":1700000001,"nbf":1700000011"#, "not_yet_valid"),
        (0, r#""exp":1700000001,"iat":1700000001"#, "ok"),
        (0, r#""exp":1700000001,"iat":1700000002"#, "issued_ahead"),
        (10, r#""exp":1700000001,"iat":1700000011"#, "ok"),
        (10, r#""exp":1700000001,"iat":1700000012"#, "issued_ahead"),
        (
            u64::MAX,
            r#""exp":1,"nbf":253402300799,"iat":253402300799"#,
            "ok",
        ),
    ];
    for &(leeway_seconds, dates, wanted) in rows {
        let rules = ClaimRules {
            leeway_seconds,
            ..ClaimRules::default()
        };
        let token = sign(
            r#"{"alg":"HS256"}"#,
            format!(r#"{{"sub":"alice",{dates}}}"#),
        );
        assert_eq!(
            verdict_under(&rules, &token),
            wanted,
            "{leeway_seconds} {dates}"
        );
    }
}

#[test]
fn the_ends_of_the_clock_neither_panic_nor_revive() {
    let rules = ClaimRules {
        leeway_seconds: 10,
        ..ClaimRules::default()
    };
    let mut verifier = Verifier::new(keys(), rules);
    assert!(verifier.verify(&good(), UnixSeconds(0)).is_ok());
    let end = UnixSeconds(u64::MAX);
    assert_eq!(
        verifier.verify(&good(), end).unwrap_err(),
        TokenError::Expired
    );
}

#[test]
fn expiry_is_told_only_of_a_token_that_is_right_in_all_else() {
    let rows = [
        (r#"{"sub":"alice","exp":1}"#, "expired"),
        (r#"{"sub":"al ice","exp":1}"#, "bad_sub"),
        (r#"{"exp":1}"#, "bad_sub"),
        (r#"{"sub":"alice","exp":1,"aud":"x"}"#, "bad_aud"),
        (r#"{"sub":"alice","exp":1,"iss":1}"#, "bad_iss"),
        (
            r#"{"sub":"alice","exp":1,"nbf":1700000001}"#,
            "not_yet_valid",
        ),
        (
            r#"{"sub":"alice","exp":1,"iat":1700000002}"#,
            "issued_ahead",
        ),
        (r#"{"sub":"alice","exp":1,"iat":"1"}"#, "bad_iat"),
    ];
    for (claims, wanted) in rows {
        assert_eq!(of_claims(claims), wanted, "{claims}");
    }
}

#[test]
fn issuer_and_audience_are_held_to_the_rules() {
    let nobody = ClaimRules::default();
    let us = ClaimRules {
        issuer: Some("issuer".into()),
        audience: Some("us".into()),
        ..ClaimRules::default()
    };
    let rows: &[(&ClaimRules, &str, &str)] = &[
        (&nobody, r#""iss":"anybody""#, "ok"),
        (&nobody, r#""iss":null"#, "bad_iss"),
        (&nobody, r#""iss":["issuer"]"#, "bad_iss"),
        (&nobody, r#""aud":"us""#, "bad_aud"),
        (&nobody, r#""aud":[]"#, "bad_aud"),
        (&nobody, r#""aud":null"#, "bad_aud"),
        (&us, r#""iss":"issuer","aud":"us""#, "ok"),
        (&us, r#""iss":"issuer","aud":["us"]"#, "ok"),
        (&us, r#""iss":"issuer","aud":["them", "us"]"#, "ok"),
        (&us, r#""iss":"issuer","aud":["\u0075s"]"#, "ok"),
        (&us, r#""iss":"issuer""#, "bad_aud"),
        (&us, r#""iss":"issuer","aud":"them""#, "bad_aud"),
        (&us, r#""iss":"issuer","aud":"us ""#, "bad_aud"),
        (&us, r#""iss":"issuer","aud":[]"#, "bad_aud"),
        (&us, r#""iss":"issuer","aud":["them"]"#, "bad_aud"),
        (&us, r#""iss":"issuer","aud":["us",1]"#, "bad_aud"),
        (&us, r#""iss":"issuer","aud":[1,"us"]"#, "bad_aud"),
        (&us, r#""iss":"issuer","aud":[["us"]]"#, "bad_aud"),
        (&us, r#""iss":"issuer","aud":null"#, "bad_aud"),
        (&us, r#""iss":"issuer","aud":{"us":1}"#, "bad_aud"),
        (&us, r#""aud":"us""#, "bad_iss"),
        (&us, r#""iss":"Issuer","aud":"us""#, "bad_iss"),
    ];
    for (rules, claims, wanted) in rows {
        let claims = format!(r#"{{"sub":"alice","exp":1700000001,{claims}}}"#);
        let token = sign(r#"{"alg":"HS256"}"#, &claims);
        assert_eq!(verdict_under(rules, &token), *wanted, "{claims}");
    }
}

#[test]
fn a_header_and_claims_have_at_most_64_members_each() {
    let others = |count: usize| {
        let others = (0..count).map(|number| format!(r#","o{number}":0"#));
        others.collect::<String>()
    };
    for (count, wanted) in [(62, "ok"), (63, "json_too_many_members")] {
        let claims = format!(r#"{{"sub":"alice","exp":1700000001{}}}"#, others(count));
        assert_eq!(of_claims(&claims), wanted);
        let header = format!(r#"{{"alg":"HS256","typ":"JWT"{}}}"#, others(count));
        assert_eq!(of_header(&header), wanted);
    }
}

#[test]
fn other_claims_are_skipped_whatever_they_hold() {
    let claims = r#" {"jti":null,"sub":"alice","admin":[true],"exp":1700000001,"EXP":1} "#;
    assert_eq!(of_claims(claims), "ok");
}

#[test]
fn the_previous_key_verifies_and_does_not_sign() {
    let (old, new) = (secret(b'o'), secret(b'n'));
    let rules = ClaimRules::default();
    let rotated = || Keys::new(&new, Some(&old));
    let minted_by = |keys: &Keys| {
        Signer::new(keys, &rules, 60)
            .mint("alice", NOW)
            .unwrap()
            .token
    };
    let mut after = Verifier::new(rotated(), rules.clone());
    let mut only_new = Verifier::new(Keys::new(&new, None), rules.clone());

    let before = minted_by(&Keys::new(&old, None));
    assert!(after.verify(&before, NOW).is_ok());
    assert_eq!(
        only_new.verify(&before, NOW).unwrap_err(),
        TokenError::Signature
    );
    assert!(only_new.verify(&minted_by(&rotated()), NOW).is_ok());
}

#[test]
fn a_refused_token_leaves_nothing_to_the_next_one() {
    let mut verifier = verifier();
    let other = sign(
        r#"{"alg":"HS256"}"#,
        r#"{"sub":"mallory","exp":1,"aud":"x"}"#,
    );
    assert!(verifier.verify(&other, NOW).is_err());
    assert_eq!(verifier.verify(&good(), NOW).unwrap().subject(), "alice");
    assert!(verifier.verify(&other, NOW).is_err());
}

#[test]
fn each_mac_is_counted_and_nothing_else() {
    let mut verifier = verifier();
    let forged = format!("{HEADER}.e30.{}", encode([7; 32]));
    for (token, macs) in [
        (good(), 1),
        (good(), 1),
        (sign("{", "{"), 1),
        (forged, 1),
        ("a.b.c".into(), 0),
        (".".repeat(TOKEN_BYTES_MAX + 1), 0),
    ] {
        let before = verifier.verifications();
        let _verdict = verifier.verify(&token, NOW).is_ok();
        assert_eq!(verifier.verifications() - before, macs, "{token}");
    }
}

/// The errors, and whether they count towards a ban.
const ERRORS: &[(TokenError, bool)] = &[
    (TokenError::TooLong, true),
    (TokenError::Parts, true),
    (TokenError::SignatureForm, true),
    (TokenError::Signature, true),
    (TokenError::Encoding, true),
    (TokenError::Json(JsonError::Syntax), true),
    (TokenError::Algorithm, true),
    (TokenError::Type, false),
    (TokenError::Extension, false),
    (TokenError::Subject, false),
    (TokenError::ExpiresAt, false),
    (TokenError::NotBefore, false),
    (TokenError::IssuedAt, false),
    (TokenError::Issuer, false),
    (TokenError::Audience, false),
    (TokenError::NotYetValid, false),
    (TokenError::IssuedAhead, false),
    (TokenError::Expired, false),
];

#[test]
fn every_error_is_told_in_one_line_and_one_word_and_is_hostile_or_not() {
    for (error, is_hostile) in ERRORS {
        let line = error.to_string();
        assert!(!line.is_empty() && !line.contains('\n'), "{error:?}");
        assert_eq!(error.is_hostile(), *is_hostile, "{error:?}");
    }
    let words: std::collections::BTreeSet<_> =
        ERRORS.iter().map(|(error, _)| error.word()).collect();
    assert_eq!(words.len(), ERRORS.len());
}
