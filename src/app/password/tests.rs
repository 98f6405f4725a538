use super::*;
use crate::limits::PASSWORD_MEMORY_KIB_DEFAULT;

/// The least Argon2 takes: these tests are about the policy, not about the time.
const LITTLE_KIB: u32 = PASSWORD_MEMORY_KIB_MIN;
const SALT: [u8; PASSWORD_SALT_BYTES] = *b"0123456789abcdef";

fn verify(expected: Option<&PasswordHash>, password: &str, memory_kib: u32) -> Verdict {
    super::verify(expected, password, memory_kib, AddressSpace::Limited)
}

fn phc(cost: &str) -> String {
    format!("$argon2id$v=19${cost}$MDEyMzQ1Njc4OWFiY2RlZg$AAAAAAAAAAAAAAAAAAAAAA")
}

#[test]
fn a_password_matches_its_own_hash_and_no_other_does() {
    let hash = hash("correct horse", SALT, LITTLE_KIB).unwrap();
    assert_eq!(
        verify(Some(&hash), "correct horse", LITTLE_KIB),
        Verdict::Right
    );
    assert_eq!(
        verify(Some(&hash), "correct hors", LITTLE_KIB),
        Verdict::Wrong
    );
    assert_eq!(
        verify(Some(&hash), "Correct horse", LITTLE_KIB),
        Verdict::Wrong
    );
    let read_back = PasswordHash::parse(hash.as_str()).unwrap();
    assert_eq!(
        verify(Some(&read_back), "correct horse", LITTLE_KIB),
        Verdict::Right
    );
}

#[test]
fn a_hash_carries_the_cost_and_the_salt_of_the_policy() {
    let hash = hash("correct horse", SALT, PASSWORD_MEMORY_KIB_DEFAULT).unwrap();
    let start = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$";
    assert!(hash.as_str().starts_with(start));
}

/// From the tests of the reference implementation, and so not of our making.
#[test]
fn a_hash_of_the_reference_implementation_is_understood() {
    let hash = PasswordHash::parse(REFERENCE).unwrap();
    assert_eq!(verify(Some(&hash), "password", LITTLE_KIB), Verdict::Right);
    assert_eq!(verify(Some(&hash), "passwore", LITTLE_KIB), Verdict::Wrong);
}

const REFERENCE: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

#[test]
fn a_changed_memory_setting_leaves_old_hashes_good() {
    let hash = hash("correct horse", SALT, LITTLE_KIB).unwrap();
    assert_eq!(verify(Some(&hash), "correct horse", 64), Verdict::Right);
}

#[test]
fn nobody_has_a_password() {
    assert_eq!(verify(None, "correct horse", LITTLE_KIB), Verdict::Wrong);
    // Not even the one the stand-in is computed with.
    let output = Target::nobody(LITTLE_KIB).unwrap().output;
    assert_eq!(output.as_bytes(), [0; 32]);
}

#[test]
fn nobody_costs_as_much_as_somebody() {
    let nobody = Target::nobody(PASSWORD_MEMORY_KIB_DEFAULT).unwrap().params;
    let hash = hash("correct horse", SALT, PASSWORD_MEMORY_KIB_DEFAULT).unwrap();
    let somebody = Target::parse(hash.as_str()).unwrap().params;
    let cost = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
    assert_eq!(cost(&nobody), cost(&somebody));
}

#[test]
fn a_password_of_the_longest_length_is_taken_and_one_byte_more_refused() {
    let longest = "x".repeat(PASSWORD_BYTES_MAX);
    assert_eq!(check_password(&longest), Ok(()));
    let hash = hash(&longest, SALT, LITTLE_KIB).unwrap();
    assert_eq!(verify(Some(&hash), &longest, LITTLE_KIB), Verdict::Right);
    let longer = longest + "x";
    assert_eq!(check_password(&longer), Err(PasswordError::TooLong));
    assert!(super::hash(&longer, SALT, LITTLE_KIB).is_err());
}

#[test]
fn an_empty_password_and_one_with_a_nul_are_refused() {
    assert_eq!(check_password(""), Err(PasswordError::Empty));
    assert_eq!(check_password("a\0b"), Err(PasswordError::Nul));
    assert_eq!(check_password("a b\u{e9}\n"), Ok(()));
}

#[test]
fn a_cost_at_its_bound_is_taken_and_one_past_it_refused() {
    let most = [
        PASSWORD_MEMORY_KIB_MAX,
        PASSWORD_PASSES_MAX,
        PASSWORD_LANES_MAX,
    ];
    let cost = |[m, t, p]: [u32; 3]| phc(&format!("m={m},t={t},p={p}"));
    assert!(PasswordHash::parse(&cost(most)).is_ok());
    for (at, name) in ["m", "t", "p"].into_iter().enumerate() {
        let mut more = most;
        more[at] += 1;
        let max = most[at];
        let refused = PasswordHash::parse(&cost(more)).unwrap_err();
        assert_eq!(refused, PasswordError::Cost { name, max });
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test is about how long it takes"
)]
fn a_stored_hash_of_four_gibibytes_is_never_computed() {
    let stored = PasswordHash::from_store(phc("m=4194304,t=2,p=1").into());
    let started = std::time::Instant::now();
    assert_eq!(
        verify(Some(&stored), "correct horse", LITTLE_KIB),
        Verdict::Wrong
    );
    assert!(started.elapsed() < std::time::Duration::from_secs(1));
}

#[test]
fn a_hash_that_is_not_whole_is_refused() {
    let malformed = [
        "",
        "password",
        "$",
        "$argon2id$v=19",
        "$argon2id$v=19$m=8,t=1,p=1",
        "$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg",
        &phc("m=8,t=1"),
        &phc("m=8,t=1,p=1,p=1"),
        &phc("m=8,m=9,p=1"),
        &phc("m=8,t=1,p=1,data=AAAA"),
        &phc("m=8,t=0,p=1"),
        &phc("m=7,t=1,p=1"),
        &phc("m=8,t=1,p=2"),
        &phc("m=-8,t=1,p=1"),
        &phc("m=99999999999,t=1,p=1"),
        &(phc("m=8,t=1,p=1") + "$"),
        &(phc("m=8,t=1,p=1") + "="),
        &(phc("m=8,t=1,p=1") + "\n"),
    ];
    for text in malformed {
        assert_eq!(
            PasswordHash::parse(text),
            Err(PasswordError::Malformed),
            "{text}"
        );
    }
}

#[test]
fn another_algorithm_or_version_is_refused() {
    let whole = phc("m=8,t=1,p=1");
    for (from, to) in [
        ("argon2id", "argon2i"),
        ("argon2id", "argon2d"),
        ("argon2id", "pbkdf2-sha256"),
        ("v=19", "v=16"),
        ("$v=19", ""),
    ] {
        let text = whole.replace(from, to);
        assert_eq!(
            PasswordHash::parse(&text),
            Err(PasswordError::Algorithm),
            "{text}"
        );
    }
}

#[test]
fn a_memory_setting_below_the_least_hashes_nothing() {
    let refused = hash("correct horse", SALT, PASSWORD_MEMORY_KIB_MIN - 1);
    assert_eq!(refused, Err(PasswordError::TooLittleMemory));
    assert_eq!(
        verify(None, "correct horse", PASSWORD_MEMORY_KIB_MIN - 1),
        Verdict::Wrong
    );
}

#[test]
fn a_job_answers_under_its_ticket() {
    let expected = Some(hash("correct horse", SALT, LITTLE_KIB).unwrap());
    let job = |ticket, password: &str, expected| HashJob {
        ticket,
        password: Zeroizing::new(password.to_owned()),
        expected,
        memory_kib: LITTLE_KIB,
    };
    let outcomes = [
        job(7, "correct horse", expected.clone()).run(AddressSpace::Unlimited),
        job(8, "wrong", expected).run(AddressSpace::Unlimited),
        job(9, "correct horse", None).run(AddressSpace::Unlimited),
    ];
    let outcomes = outcomes.map(|outcome| (outcome.ticket, outcome.verdict));
    let expected = [
        (7, Verdict::Right),
        (8, Verdict::Wrong),
        (9, Verdict::Wrong),
    ];
    assert_eq!(outcomes, expected);
}

#[test]
fn nothing_printed_holds_a_password_or_a_hash() {
    let job = HashJob {
        ticket: 7,
        password: Zeroizing::new("correct horse".to_owned()),
        expected: Some(PasswordHash::from_store("$argon2id$secret".into())),
        memory_kib: LITTLE_KIB,
    };
    let printed = format!("{job:?} {:?}", job.expected);
    assert_eq!(printed, "HashJob { ticket: 7, .. } Some(PasswordHash(..))");
}

#[test]
fn memory_that_no_machine_has_is_refused_and_not_died_for() {
    for space in [AddressSpace::Limited, AddressSpace::Unlimited] {
        let memory = memory(usize::MAX, space);
        assert_eq!(memory.err(), Some(PasswordError::OutOfMemory));
    }
}

#[test]
fn a_hash_in_a_limited_address_space_maps_what_is_set_and_no_more() {
    for blocks in [8, 64, 19 * 1_024] {
        let limited = memory(blocks, AddressSpace::Limited).unwrap();
        assert_eq!((limited.len(), limited.capacity()), (blocks, blocks));
        assert_eq!(
            memory(blocks, AddressSpace::Unlimited).unwrap().len(),
            blocks
        );
    }
}
