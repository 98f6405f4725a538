//! HMAC-SHA256 (RFC 2104, FIPS 180-4), as the standards define it: its constants are computed,
//! not copied.

const PRIMES: [u32; 64] = primes();
/// FIPS 180-4 §4.2.2: of the cube roots of the first 64 primes.
const ROUND: [u32; 64] = fractions_of_roots(3);
/// FIPS 180-4 §5.3.3: of the square roots of the first eight.
const START: [u32; 64] = fractions_of_roots(2);

/// RFC 2104 §2: `H(K XOR opad, H(K XOR ipad, text))`.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let key = match key.len() > 64 {
        true => sha256(key).to_vec(),
        false => key.to_vec(),
    };
    let padded = |pad: u8| -> Vec<u8> {
        let zeros = std::iter::repeat(0);
        key.iter()
            .copied()
            .chain(zeros)
            .map(|byte| byte ^ pad)
            .take(64)
            .collect()
    };
    let inner = sha256(&[&padded(0x36), message].concat());
    sha256(&[&padded(0x5c)[..], &inner].concat())
}

/// FIPS 180-4 §6.2.
fn sha256(message: &[u8]) -> [u8; 32] {
    // §5.1.1: a one, zeros, and the length in bits, to whole blocks.
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((8 * message.len() as u64).to_be_bytes());

    let mut state = [0; 8];
    state.copy_from_slice(&START[..8]);
    for block in padded.chunks(64) {
        let compressed = compress(state, &schedule(block));
        for (word, more) in state.iter_mut().zip(compressed) {
            *word = word.wrapping_add(more);
        }
    }
    let mut digest = [0; 32];
    for (bytes, word) in digest.chunks_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

/// FIPS 180-4 §6.2.2, step 1.
fn schedule(block: &[u8]) -> Vec<u32> {
    let word = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |word, byte| word << 8 | u32::from(*byte))
    };
    let mut words: Vec<u32> = block.chunks(4).map(word).collect();
    for t in 16..64 {
        let (a, b) = (words[t - 2], words[t - 15]);
        let sigma_1 = a.rotate_right(17) ^ a.rotate_right(19) ^ a >> 10;
        let sigma_0 = b.rotate_right(7) ^ b.rotate_right(18) ^ b >> 3;
        let sum = sigma_1.wrapping_add(words[t - 7]).wrapping_add(sigma_0);
        words.push(sum.wrapping_add(words[t - 16]));
    }
    words
}

/// FIPS 180-4 §6.2.2, steps 2 and 3.
fn compress(state: [u32; 8], words: &[u32]) -> [u32; 8] {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
    for (word, constant) in words.iter().zip(ROUND) {
        let sum_1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let sum_0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let choice = e & f ^ !e & g;
        let majority = a & b ^ a & c ^ b & c;
        let terms = [h, sum_1, choice, constant, *word];
        let t1 = terms.into_iter().fold(0, u32::wrapping_add);
        let t2 = sum_0.wrapping_add(majority);
        (h, g, f, e) = (g, f, e, d.wrapping_add(t1));
        (d, c, b, a) = (c, b, a, t1.wrapping_add(t2));
    }
    [a, b, c, d, e, f, g, h]
}

/// The first 32 bits of the fraction of each prime's root of the given degree.
const fn fractions_of_roots(degree: u32) -> [u32; 64] {
    let mut fractions = [0; 64];
    let mut i = 0;
    while i < 64 {
        // The root of p · 2^(32 · degree) is 2^32 times that of p.
        let power = (PRIMES[i] as u128) << (32 * degree);
        fractions[i] = whole_root(power, degree) as u32;
        i += 1;
    }
    fractions
}

/// The greatest number whose power is not above `power`, bit by bit. It is below 2^37: of the
/// 64 primes none has a square root above 18.
const fn whole_root(power: u128, degree: u32) -> u128 {
    let mut root = 0u128;
    let mut bit = 1 << 36;
    while bit > 0 {
        if (root | bit).pow(degree) <= power {
            root |= bit;
        }
        bit >>= 1;
    }
    root
}

const fn primes() -> [u32; 64] {
    let mut primes = [0; 64];
    let (mut count, mut candidate) = (0, 2);
    while count < 64 {
        if is_prime(candidate) {
            primes[count] = candidate;
            count += 1;
        }
        candidate += 1;
    }
    primes
}

const fn is_prime(number: u32) -> bool {
    let mut divisor = 2;
    while divisor * divisor <= number {
        if number.is_multiple_of(divisor) {
            return false;
        }
        divisor += 1;
    }
    true
}
