//! The path of a frame through the gate takes no memory from the heap; only a holder of a key can
//! make it take some, and not much.

use framegate::internals::gate::{
    AccountStatus, Admission, Bound, ClaimRules, Directory, Gate, Keys, Secret, Signer, Unavailable,
};
use framegate::internals::limits::{JSON_MEMBERS_MAX, TOKEN_BYTES_MAX};
use framegate::internals::time::UnixSeconds;
use framegate_fuzz::reference::{encode, hmac_sha256};

const KEY: [u8; 32] = [b'k'; 32];
const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

struct Everybody;

impl Directory for Everybody {
    fn standing(&mut self, _: &str) -> Result<Option<AccountStatus>, Unavailable> {
        Ok(Some(AccountStatus::default()))
    }
}

fn gate_of(secret: &Secret) -> (Gate, Signer) {
    let (keys, rules) = (Keys::new(secret, None), ClaimRules::default());
    let signer = Signer::new(&keys, &rules, 60);
    (Gate::new(keys, rules), signer)
}

fn allocations_of(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn a_verified_frame_is_admitted_without_an_allocation() {
    let (mut gate, signer) = gate_of(&Secret::from_bytes(&KEY).unwrap());
    let token = signer.mint("alice", NOW).unwrap().token;
    let data = r#"{"id":"alice","tags":["a",{"b":[[]]}],"text":"\n\u00e9"}"#;
    let text =
        format!(r#"{{"token":"{token}","event":"message","id":1,"to":"bob","data":{data}}}"#);
    let mut admitted = false;
    let allocations = allocations_of(|| {
        let bound = Bound {
            subject: "alice",
            standing: AccountStatus::default(),
        };
        let passage = gate.admit(&text, Some(bound), &mut Everybody, NOW);
        admitted = matches!(passage, Ok(Admission::Admitted(_)));
    });
    assert!(admitted);
    assert_eq!(allocations, 0);
}

#[test]
fn a_forged_token_and_bulk_are_refused_without_an_allocation() {
    let (mut gate, signer) = gate_of(&Secret::from_bytes(&KEY).unwrap());
    let token = signer.mint("alice", NOW).unwrap().token;
    let forged = token.replace("eyJzdWIi", "eyJzdWIj");
    let tokens = [
        forged,
        ".".repeat(10_000),
        "A".repeat(65_536),
        String::new(),
    ];
    let frames = tokens.map(|token| format!(r#"{{"token":"{token}","event":"getUser"}}"#));
    let nested = ["{\"a\":".repeat(10_000), "[".repeat(10_000)];
    for text in frames.iter().chain(&nested) {
        let mut refused = false;
        let allocations = allocations_of(|| {
            refused = gate.admit(text, None, &mut Everybody, NOW).is_err();
        });
        assert!(refused);
        assert_eq!(allocations, 0, "{} bytes", text.len());
    }
}

/// More members than are compared in place, and names that must be decoded.
#[test]
fn the_holder_of_a_key_can_make_the_gate_take_little() {
    let (mut gate, _) = gate_of(&Secret::from_bytes(&KEY).unwrap());
    // With `sub` and `exp` as many as an object may have.
    let others = 0..JSON_MEMBERS_MAX - 2;
    let plain: String = others
        .clone()
        .map(|n| format!(r#","{n:034x}":0"#))
        .collect();
    let escaped: String = others.map(|n| format!(r#","\n{n:032x}":0"#)).collect();
    for members in [plain, escaped] {
        let token = signed(&format!(r#"{{"sub":"alice","exp":1700000001{members}}}"#));
        assert!((TOKEN_BYTES_MAX * 3 / 4..=TOKEN_BYTES_MAX).contains(&token.len()));
        let mut admitted = false;
        let taken = allocation_counter::measure(|| {
            admitted = gate.admit_token(&token, None, &mut Everybody, NOW).is_ok();
        });
        assert!(admitted);
        assert!(taken.bytes_max <= 32 * 1_024, "{} bytes", taken.bytes_max);
        assert_eq!(taken.bytes_current, 0);
    }
}

fn signed(claims: &str) -> String {
    let header = encode(br#"{"alg":"HS256"}"#);
    let message = format!("{header}.{}", encode(claims.as_bytes()));
    let tag = hmac_sha256(&KEY, message.as_bytes());
    format!("{message}.{}", encode(&tag))
}
