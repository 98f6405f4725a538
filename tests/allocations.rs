//! The path of a frame through the gate takes no memory from the heap.

use framegate::gate::{
    ClaimRules, Directory, Gate, Keys, Passage, Secret, Signer, Standing, Unavailable,
};
use framegate::time::UnixSeconds;

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

struct Everybody;

impl Directory for Everybody {
    fn standing(&mut self, _: &str) -> Result<Option<Standing>, Unavailable> {
        Ok(Some(Standing::default()))
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
    let (mut gate, signer) = gate_of(&Secret::from_bytes(&[b'k'; 32]).unwrap());
    let token = signer.mint("alice", NOW).unwrap().token;
    let data = r#"{"id":"alice","tags":["a",{"b":[[]]}],"text":"\n\u00e9"}"#;
    let text =
        format!(r#"{{"token":"{token}","event":"message","id":1,"to":"bob","data":{data}}}"#);
    let mut admitted = false;
    let allocations = allocations_of(|| {
        let passage = gate.admit(&text, Some("alice"), &mut Everybody, NOW);
        admitted = matches!(passage, Ok(Passage::Admitted(_)));
    });
    assert!(admitted);
    assert_eq!(allocations, 0);
}

#[test]
fn a_forged_token_and_bulk_are_refused_without_an_allocation() {
    let (mut gate, signer) = gate_of(&Secret::from_bytes(&[b'k'; 32]).unwrap());
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
