//! That the inputs reach what they are meant to reach: a body that refuses all it is given would
//! pass every seed.

use std::cell::Cell;

use super::*;

fn verdict(input: &str) -> Verdict {
    let case = Case::parse(input.as_bytes()).unwrap();
    Door::new(&case.rules).verdict(&case.token, case.now)
}

fn accepted(subject: &str, issued_at: u64, expires_at: u64) -> Verdict {
    Verdict::Accepted {
        subject: subject.into(),
        issued_at,
        expires_at,
    }
}

#[test]
fn the_current_key_is_that_of_the_rfc() {
    let token = sign(
        &CURRENT,
        b"{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}",
        b"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}",
    );
    assert!(token.ends_with(".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
}

#[test]
fn one_part_is_claims_and_two_are_header_and_claims() {
    let claims = r#"{"sub":"alice","exp":1700000001}"#;
    assert_eq!(verdict(claims), accepted("alice", 0, 1_700_000_001));
    let with_header = |header: &str| verdict(&format!("{header}\n.\n{claims}"));
    assert_eq!(with_header("{\"alg\":\n\"HS256\"}"), verdict(claims));
    assert_eq!(with_header(r#"{"alg":"HS384"}"#), Verdict::Refused);
}

#[test]
fn settings_choose_clock_rules_and_key() {
    let of = |settings: &str| {
        let claims = r#"{"sub":"bob","iat":7,"exp":9,"iss":"joe","aud":"us"}"#;
        verdict(&format!("{HEADER}\n.\n{claims}\n.\n{settings}"))
    };
    let bob = accepted("bob", 7, 9);
    assert_eq!(of("now=8 iss=joe aud=us"), bob);
    assert_eq!(of("aud=us now=18 leeway=10 key=previous"), bob);
    assert_eq!(of("aud=us now=19 leeway=10"), Verdict::Expired);
    assert_eq!(of("now=8 aud=us key=foreign"), Verdict::Refused);
    assert_eq!(of("now=8 aud=us iss=jim"), Verdict::Refused);
    assert_eq!(of("now=8"), Verdict::Refused);
}

#[test]
fn raw_parts_stand_in_the_token_as_they_are() {
    let case = Case::parse(b"e30\n.\ne30=\n.\nraw").unwrap();
    assert!(case.token.starts_with("e30.e30=."));
    assert!(Case::parse(b"\xff\n.\ne30\n.\nraw").is_none());
}

#[test]
fn dates_count_from_the_clock_or_from_1970() {
    let words = Words::new(b"now=100 exp=+1 nbf=-0 iat=5");
    let dates = ["exp", "nbf", "iat", "x"].map(|name| words.date(name, words.now()));
    assert_eq!(dates, [Some(101), Some(100), Some(5), None]);
}

#[test]
fn the_model_has_each_verdict() {
    let [late, now] = [Some(11), Some(10)];
    assert_eq!(model([late, now, late], 10, 0), accepted("alice", 11, 11));
    assert_eq!(model([now, None, None], 10, 0), Verdict::Expired);
    assert_eq!(model([now, None, None], 10, 1), accepted("alice", 0, 10));
    assert_eq!(model([late, late, None], 10, 0), Verdict::Refused);
    assert_eq!(model([None, None, None], 10, 0), Verdict::Refused);
    assert_eq!(model([late, Some(0), None], 10, 0), Verdict::Refused);
}

#[test]
fn every_place_of_a_token_can_be_changed_in_every_way() {
    let length = good_token(b"rest").len() as u16;
    for at in 0..length {
        let [high, low] = at.to_be_bytes();
        for kind in 0..4 {
            for value in [b'A', b'.', b'=', 0, 0xff] {
                token_mutate(&[&[high, low, kind, value], &b"rest"[..]].concat());
            }
        }
    }
}

#[test]
fn a_peer_is_asked_about_what_the_gate_accepts_and_no_more() {
    let asked = |input: &str| {
        let asked = Cell::new(0);
        differential(input.as_bytes(), &|_, _, _| {
            asked.set(asked.get() + 1);
            true
        });
        asked.get()
    };
    let claims = r#"{"sub":"alice","exp":1700000001}"#;
    assert_eq!(asked(claims), 1);
    assert_eq!(asked(r#"{"sub":"alice","exp":1700000000}"#), 0);
    let with_header = |rest: &str| asked(&format!("{{\"alg\":\"HS256\"{rest}}}\n.\n{claims}"));
    assert_eq!(with_header(r#","kid":"1""#), 1);
    assert_eq!(with_header(r#","kid":1"#), 0);
    assert_eq!(with_header(r#","x5c":"1""#), 0);
}

#[test]
#[should_panic(expected = "the peer refuses")]
fn a_peer_that_refuses_what_the_gate_accepts_is_told() {
    differential(br#"{"sub":"alice","exp":1700000001}"#, &|_, _, _| false);
}
