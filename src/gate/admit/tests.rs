use super::*;
use crate::gate::{Secret, Signer};

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

/// A directory of alice alone, who stands as the test says, and of how often it was asked.
struct Users {
    alice: Result<AccountStatus, Unavailable>,
    asked: usize,
}

impl Directory for Users {
    fn standing(&mut self, subject: &str) -> Result<Option<AccountStatus>, Unavailable> {
        self.asked += 1;
        Ok(Some(self.alice?).filter(|_| subject == "alice"))
    }
}

/// A gate, somebody who signs for it, and the users after it.
struct Scene {
    gate: Gate,
    signer: Signer,
    users: Users,
}

impl Scene {
    fn new() -> Scene {
        let secret = Secret::from_bytes(&[b'k'; 32]).unwrap();
        let (keys, rules) = (Keys::new(&secret, None), ClaimRules::default());
        let signer = Signer::new(&keys, &rules, 60);
        let users = Users {
            alice: Ok(AccountStatus::default()),
            asked: 0,
        };
        Scene {
            gate: Gate::new(keys, rules),
            signer,
            users,
        }
    }

    fn frame(&self, subject: &str, rest: &str) -> String {
        let token = self.signer.mint(subject, NOW).unwrap().token;
        format!(r#"{{"token":"{token}",{rest}}}"#)
    }

    fn cause(&mut self, text: &str, bound: Option<Bound<'_>>) -> Denied {
        self.cause_at(text, bound, NOW)
    }

    fn cause_at(&mut self, text: &str, bound: Option<Bound<'_>>, now: UnixSeconds) -> Denied {
        match self.gate.admit(text, bound, &mut self.users, now) {
            Ok(_) => panic!("admitted: {text}"),
            Err(denial) => denial.cause,
        }
    }

    fn admits(&mut self, text: &str, bound: Option<Bound<'_>>) -> bool {
        self.gate.admit(text, bound, &mut self.users, NOW).is_ok()
    }
}

/// A connection of `subject`, who stands well.
fn bound(subject: &str) -> Option<Bound<'_>> {
    let standing = AccountStatus::default();
    Some(Bound { subject, standing })
}

#[test]
fn a_verified_frame_comes_in_with_all_it_says() {
    let mut scene = Scene::new();
    let rest = r#""event":"message","id":"\u0031","to":"bob","data":{"a":[1]},"x":0"#;
    let text = scene.frame("alice", rest);
    let passage = scene.gate.admit(&text, None, &mut scene.users, NOW);
    let Ok(Admission::Admitted(admitted)) = passage else {
        panic!("not admitted");
    };
    assert_eq!(admitted.subject(), "alice");
    assert_eq!(admitted.event(), "message");
    assert_eq!(admitted.id(), Some(r#""\u0031""#));
    assert_eq!(admitted.to(), Some("bob"));
    assert_eq!(admitted.data(), Some(r#"{"a":[1]}"#));
    assert_eq!(admitted.pass().issued_at(), NOW);
    assert_eq!(admitted.pass().expires_at(), NOW.plus(60));
    // A fresh token can be minted while the frame is held.
    assert!(scene.signer.mint(admitted.subject(), NOW).is_ok());
    assert_eq!(scene.users.asked, 1);
}

#[test]
fn login_comes_in_without_a_token_and_whatever_its_token_is() {
    let mut scene = Scene::new();
    for token in ["", r#""token":"a.b.c","#] {
        let text = format!(r#"{{{token}"event":"log\u0069n","id":7,"data":{{"id":"alice"}}}}"#);
        match scene.gate.admit(&text, None, &mut scene.users, NOW) {
            Ok(Admission::Login(login)) => {
                assert_eq!(login.id(), Some("7"));
                assert_eq!(login.data(), Some(r#"{"id":"alice"}"#));
            }
            _ => panic!("not a login: {text}"),
        }
    }
    assert_eq!(scene.users.asked, 0);
}

#[test]
fn no_other_event_is_spared_its_token() {
    let mut scene = Scene::new();
    for event in ["getUser", "Login", "login ", "", "logout", "refresh"] {
        let text = format!(r#"{{"event":"{event}","data":{{}}}}"#);
        let cause = scene.cause(&text, bound("alice"));
        assert_eq!(cause, Denied::TokenMissing, "{event}");
    }
    assert_eq!(scene.users.asked, 0);
}

#[test]
fn a_denial_names_the_frame_it_answers() {
    let mut scene = Scene::new();
    let text = r#"{"token":"a.b.c","event":"getUser","id":12}"#;
    let denial = scene
        .gate
        .admit(text, None, &mut scene.users, NOW)
        .err()
        .unwrap();
    assert_eq!(denial.id, Some("12"));
    assert_eq!(denial.event.as_deref(), Some("getUser"));
    assert_eq!(
        denial.cause,
        Denied::TokenRejected(TokenError::SignatureForm)
    );

    let text = r#"{"event":1,"id":12}"#;
    let denial = scene
        .gate
        .admit(text, None, &mut scene.users, NOW)
        .err()
        .unwrap();
    assert_eq!((denial.id, denial.event), (None, None));
    assert_eq!(denial.cause, Denied::BadFrame(FrameError::Event));
}

#[test]
fn an_expired_token_is_told_apart_and_its_user_not_asked_for() {
    let mut scene = Scene::new();
    let text = scene.frame("alice", r#""event":"getUser""#);
    assert_eq!(
        scene.cause_at(&text, None, NOW.plus(60)),
        Denied::TokenExpired
    );
    assert_eq!(scene.users.asked, 0);
    assert!(scene.admits(&text, None));
}

#[test]
fn another_subject_than_the_connections_is_forbidden_before_users_are_asked() {
    let mut scene = Scene::new();
    let text = scene.frame("alice", r#""event":"getUser""#);
    for subject in ["bob", "Alice", "alic", ""] {
        let cause = scene.cause(&text, bound(subject));
        let other = Denied::Forbidden(Forbidden::OtherSubject);
        assert_eq!(cause, other, "{subject}");
    }
    assert!(scene.admits(&text, bound("alice")));
    assert_eq!(scene.users.asked, 0);
}

#[test]
fn whose_connection_it_is_comes_in_as_he_is_said_to_stand_and_is_not_asked_for() {
    let mut scene = Scene::new();
    let text = scene.frame("alice", r#""event":"getUser""#);
    scene.users.alice = Err(Unavailable);
    let alice = |disabled, tokens_valid_from| {
        let subject = "alice";
        let standing = AccountStatus {
            disabled,
            tokens_valid_from,
        };
        Some(Bound { subject, standing })
    };
    assert!(scene.admits(&text, alice(false, Some(NOW))));
    let revoked = alice(false, Some(NOW.plus(1)));
    assert_eq!(scene.cause(&text, revoked), Denied::TokenRevoked);
    let disabled = Denied::Forbidden(Forbidden::DisabledUser);
    assert_eq!(scene.cause(&text, alice(true, None)), disabled);
    assert_eq!(scene.users.asked, 0);
}

#[test]
fn unknown_and_disabled_users_are_forbidden() {
    let mut scene = Scene::new();
    let bobs = scene.frame("bob", r#""event":"getUser""#);
    assert_eq!(
        scene.cause(&bobs, None),
        Denied::Forbidden(Forbidden::UnknownUser)
    );

    let text = scene.frame("alice", r#""event":"getUser""#);
    let disabled = AccountStatus {
        disabled: true,
        tokens_valid_from: Some(NOW.plus(1)),
    };
    scene.users.alice = Ok(disabled);
    assert_eq!(
        scene.cause(&text, None),
        Denied::Forbidden(Forbidden::DisabledUser)
    );
}

#[test]
fn a_token_issued_before_the_revocation_is_revoked_and_one_at_it_is_not() {
    let mut scene = Scene::new();
    let text = scene.frame("alice", r#""event":"getUser""#);
    let valid_from = |second| {
        Ok(AccountStatus {
            disabled: false,
            tokens_valid_from: Some(second),
        })
    };
    scene.users.alice = valid_from(NOW);
    assert!(scene.admits(&text, None));
    scene.users.alice = valid_from(NOW.plus(1));
    assert_eq!(scene.cause(&text, None), Denied::TokenRevoked);
}

#[test]
fn users_that_cannot_be_asked_let_nobody_in() {
    let mut scene = Scene::new();
    let text = scene.frame("alice", r#""event":"getUser""#);
    scene.users.alice = Err(Unavailable);
    assert_eq!(scene.cause(&text, None), Denied::Unavailable);
}

#[test]
fn a_token_of_a_handshake_gets_the_same_verdict_as_in_a_frame() {
    let mut scene = Scene::new();
    let token = scene.signer.mint("alice", NOW).unwrap().token;
    let pass = scene
        .gate
        .admit_token(&token, None, &mut scene.users, NOW)
        .unwrap();
    assert_eq!((pass.subject(), pass.expires_at()), ("alice", NOW.plus(60)));
    assert_eq!(pass.standing(), AccountStatus::default());
    let late = scene
        .gate
        .admit_token(&token, None, &mut scene.users, NOW.plus(60));
    assert_eq!(late.unwrap_err(), Denied::TokenExpired);
    let cause = scene
        .gate
        .admit_token("", None, &mut scene.users, NOW)
        .unwrap_err();
    assert_eq!(cause, Denied::TokenRejected(TokenError::Parts));
}

#[test]
fn a_peer_is_told_nothing_of_why_its_token_was_rejected() {
    for error in [
        TokenError::Signature,
        TokenError::Algorithm,
        TokenError::Subject,
    ] {
        assert_eq!(Denied::from(error).to_string(), "token rejected");
        assert_eq!(Denied::from(error).word(), error.word());
    }
    let unknown = Denied::Forbidden(Forbidden::UnknownUser).to_string();
    assert_eq!(
        unknown,
        Denied::Forbidden(Forbidden::DisabledUser).to_string()
    );
}

#[test]
fn what_is_printed_of_a_frame_holds_neither_its_token_nor_its_data() {
    let mut scene = Scene::new();
    let text = scene.frame("alice", r#""event":"message","data":"hunter2""#);
    let Ok(Admission::Admitted(admitted)) = scene.gate.admit(&text, None, &mut scene.users, NOW)
    else {
        panic!("not admitted");
    };
    let printed = format!("{admitted:?} {:?}", admitted.pass());
    assert!(printed.starts_with(r#"Admitted { subject: "alice", event: "message", .. }"#));
    assert!(
        !printed.contains("hunter2") && !printed.contains("eyJ"),
        "{printed}"
    );
}
