//! What makes the vector file, a chapter for each class of tokens.

use framegate_fuzz::reference::{decode, encode};
use serde_json::json;

use crate::book::Wanted::{self, Accepted, Expired, Refused};
use crate::book::{BARE, Book, CLAIMS, HEADER, KEY, NOW, rows};

/// The file: an array with a vector a line.
pub(crate) fn file() -> String {
    let mut book = Book::new();
    for chapter in CHAPTERS {
        chapter(&mut book);
    }
    format!("[\n{}\n]\n", book.lines.join(",\n"))
}

const CHAPTERS: &[fn(&mut Book)] = &[
    good,
    known_answers,
    algorithms,
    keys,
    signatures,
    extensions,
    look_ups,
    types,
    times,
    subjects,
    issuers_and_audiences,
    readings,
    grammar,
    encodings,
    spellings,
    sizes,
    parts,
];

fn good(book: &mut Book) {
    book.class("good");
    book.why("nothing is wrong with it");
    book.headers(Accepted, HEADER);
    book.headers(Accepted, BARE);
    book.headers(Accepted, r#"{ "typ" : "jwt" , "alg" : "HS256" }"#);
    book.claim_members(
        Accepted,
        r#"
        "iat":1700000000,"nbf":1700000000,"jti":"x"
        "roles":["a",{"b":1.5e3}],"admin":null
        "name":"J\u00fcrgen \ud83d\ude00 Jürgen 😀"
        "#,
    );
    book.why("an escape is what it spells");
    book.claims(
        Accepted,
        r#"{"\u0073ub":"\u0061lice","e\u0078p":1700000001}"#,
    );
    book.headers(Accepted, r#"{"\u0061lg":"\u0048S256"}"#);
}

/// RFC 7515 appendix A.1 and a key of RFC 4231.
fn known_answers(book: &mut Book) {
    book.class("known answers");
    book.key = decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    )
    .unwrap();
    book.now = 1_300_819_379;
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\
        .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
        .dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    book.why("its MAC is right, but it has no sub");
    book.token(Refused, "RFC 7515 A.1", token);
    book.why("the same with a sub");
    let header = "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}";
    let claims = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"sub\":\"joe\"}";
    let token = book.signed(header.as_bytes(), claims.as_bytes());
    book.token(Accepted, "RFC 7515 A.1 with a sub", &token);
    book.why("a key longer than a block");
    (book.key, book.now) = (vec![0xaa; 131], NOW);
    let token = book.good();
    book.token(Accepted, "the key of RFC 4231, case 6", &token);
}

fn algorithms(book: &mut Book) {
    book.class("algorithm");
    let header = encode(br#"{"alg":"none"}"#);
    let unsigned = format!("{header}.{}.", encode(CLAIMS.as_bytes()));
    book.why("unsigned, so not three parts");
    book.token(Refused, "none, empty signature", &unsigned);
    book.token(Refused, "none, two parts", unsigned.trim_end_matches('.'));
    book.why("not HS256, though the MAC is right");
    let names = r#"
        "none"
        "None"
        "NONE"
        "nOnE"
        "hs256"
        "HS256 "
        " HS256"
        "HS384"
        "HS512"
        "RS256"
        "ES256"
        ""
        null
        true
        256
        ["HS256"]
        {"HS256":1}
    "#;
    for name in rows(names) {
        book.headers(Refused, &format!(r#"{{"alg":{name},"typ":"JWT"}}"#));
    }
    book.why("no alg at all");
    book.headers(
        Refused,
        r#"
        {}
        {"typ":"JWT"}
        {"ALG":"HS256"}
        "#,
    );
    book.why("typ is JWT in any case, or absent");
    for typ in [r#""JWT""#, r#""jWt""#, r#""\u004aWT""#] {
        book.header_members(Accepted, &format!(r#""typ":{typ}"#));
    }
    let others = r#"
        "at+jwt"
        "JWT "
        ""
        null
        1
        ["JWT"]
    "#;
    for other in rows(others) {
        book.header_members(Refused, &format!(r#""typ":{other}"#));
    }
}

fn keys(book: &mut Book) {
    book.class("key");
    book.why("the MAC is of a key that is not ours");
    let pem = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL\n-----END PUBLIC KEY-----\n";
    let keys: [(&str, &[u8]); 6] = [
        ("the empty key", b""),
        ("the key `secret`", b"secret"),
        ("a PEM key as the secret", pem.as_bytes()),
        ("a JWK as the secret", br#"{"kty":"oct","k":"AAAA"}"#),
        ("our key without its last byte", &KEY[..KEY.len() - 1]),
        ("32 zeros", &[0; 32]),
    ];
    for (name, key) in keys {
        book.token(Refused, name, &Book::of_key(key).good());
    }
    book.why("RFC 2104 pads a key with zeros: it is the same key");
    let padded = [KEY, &[0]].concat();
    book.token(
        Accepted,
        "our key and a zero",
        &Book::of_key(&padded).good(),
    );
}

fn signatures(book: &mut Book) {
    book.class("signature");
    let token = book.good();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let tag = decode(signature).unwrap();
    let with = |tag: &[u8]| format!("{message}.{}", encode(tag));
    book.why("not 32 bytes");
    let longer = [&tag[..], &tag].concat();
    for bytes in [0, 1, 16, 31, 33, 64] {
        book.token(Refused, &format!("{bytes} bytes"), &with(&longer[..bytes]));
    }
    book.why("32 bytes that are not the MAC");
    book.token(Refused, "zeros", &with(&[0; 32]));
    for at in [0, 15, 31] {
        let mut changed = tag.clone();
        changed[at] ^= 1;
        book.token(Refused, &format!("a bit of byte {at}"), &with(&changed));
    }
    book.why("the MAC is over other bytes");
    let others = [
        ("another header", BARE, CLAIMS),
        ("another sub", HEADER, r#"{"sub":"admin","exp":1700000001}"#),
        ("a later exp", HEADER, r#"{"sub":"alice","exp":1700000002}"#),
        ("claims that are no JSON", HEADER, "{"),
    ];
    for (name, header, claims) in others {
        let message = format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(claims.as_bytes())
        );
        book.token(Refused, name, &format!("{message}.{signature}"));
    }
}

fn extensions(book: &mut Book) {
    book.class("extension");
    book.why("the header asks for what we do not do, whatever its value");
    let values = r#"
        null
        []
        0
        true
        false
        ""
        "DEF"
        ["exp"]
        {}
    "#;
    for name in ["crit", "b64", "zip", "enc", "cty"] {
        for value in rows(values) {
            book.header_members(Refused, &format!(r#""{name}":{value}"#));
        }
    }
    book.header_members(
        Refused,
        r#"
        "\u0063rit":["exp"]
        "b64":false,"crit":["b64"]
        "crit":["x"],"x":1
        "#,
    );
    book.why("other letters are another name");
    book.header_members(
        Accepted,
        r#"
        "Crit":["exp"]
        "b64 ":false
        "#,
    );
}

fn look_ups(book: &mut Book) {
    book.class("look-up");
    book.why("members that point to keys are skipped; the MAC is of our key");
    book.header_members(
        Accepted,
        r#"
        "kid":"1"
        "kid":"' OR 1=1 --"
        "kid":"../../../dev/null"
        "kid":null
        "kid":7
        "jku":"http://127.0.0.1/"
        "x5u":"http://127.0.0.1/","x5c":[]
        "jwk":{"kty":"oct","k":""}
        "#,
    );
    book.why("and never lead to another key");
    for (header, key) in [
        (r#"{"alg":"HS256","kid":"/dev/null"}"#, &b""[..]),
        (r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}"#, &[0; 3]),
    ] {
        let token = Book::of_key(key).signed(header.as_bytes(), CLAIMS.as_bytes());
        book.token(Refused, header, &token);
    }
}

fn types(book: &mut Book) {
    book.class("wrong type");
    book.why("a date is a whole number from 1 to 253402300799, and never absent for its type");
    let values = r#"
        "1700000001"
        1700000001.0
        1700000001.5
        17000000010e-1
        17e8
        1e400
        -1
        -0
        0
        0.0
        253402300800
        9007199254740992
        18446744073709551616
        null
        true
        false
        []
        [1700000001]
        {}
        ""
    "#;
    for value in rows(values) {
        book.claims(Refused, &format!(r#"{{"sub":"alice","exp":{value}}}"#));
        book.claim_members(Refused, &format!(r#""nbf":{value}"#));
        book.claim_members(Refused, &format!(r#""iat":{value}"#));
    }
    book.why("exp is required");
    book.claims(
        Refused,
        r#"
        {"sub":"alice"}
        {"sub":"alice","EXP":1700000001}
        "#,
    );
    book.why("the ends of what a date may be");
    book.claims(Accepted, r#"{"sub":"alice","exp":253402300799}"#);
    book.claim_members(Accepted, r#""nbf":1,"iat":1"#);
    book.why("others' claims are skipped whatever they hold");
    book.claim_members(
        Accepted,
        r#"
        "jti":null
        "x":1e400
        "x":-0
        "Nbf":"x"
        "#,
    );
}

fn times(book: &mut Book) {
    book.class("time");
    let rows: &[(&str, u64, &str, Wanted)] = &[
        ("is now", 0, "exp=+0", Expired),
        ("is a second ahead", 0, "exp=+1", Accepted),
        ("is the leeway ago", 10, "exp=-10", Expired),
        ("is within the leeway", 10, "exp=-9", Accepted),
        ("is long ago", 0, "exp=-1699999999", Expired),
        ("is now", 0, "exp=+1 nbf=+0", Accepted),
        ("is a second ahead", 0, "exp=+9 nbf=+1", Refused),
        ("is the leeway ahead", 10, "exp=+1 nbf=+10", Accepted),
        ("is past the leeway", 10, "exp=+99 nbf=+11", Refused),
        ("is now", 0, "exp=+1 iat=+0", Accepted),
        (
            "is a second ahead, as behind a revocation",
            0,
            "exp=+9 iat=+1",
            Accepted,
        ),
        ("is two seconds ahead", 0, "exp=+9 iat=+2", Refused),
        (
            "is the leeway and a second ahead",
            10,
            "exp=+99 iat=+11",
            Accepted,
        ),
        (
            "is past the leeway and a second",
            10,
            "exp=+99 iat=+12",
            Refused,
        ),
        ("is long ago", 0, "exp=+1 iat=-1699999999", Accepted),
        (
            "is ahead, and exp has come: not yet valid is told first",
            0,
            "exp=-9 nbf=+1",
            Refused,
        ),
    ];
    for &(why, leeway_seconds, dates, wanted) in rows {
        book.rules.leeway_seconds = leeway_seconds;
        let members: Vec<String> = dates.split(' ').map(dated).collect();
        let claims = format!(r#"{{"sub":"alice",{}}}"#, members.join(","));
        let token = book.signed(HEADER.as_bytes(), claims.as_bytes());
        let last = dates.split(' ').next_back().unwrap();
        book.why = format!("{} {why}", &last[..3]);
        book.token(wanted, &format!("{dates}, leeway {leeway_seconds}"), &token);
    }
}

/// A member of a date that is told from [`NOW`].
fn dated(date: &str) -> String {
    let (name, distance) = date.split_once('=').unwrap();
    let seconds = NOW as i64 + distance.parse::<i64>().unwrap();
    format!(r#""{name}":{seconds}"#)
}

fn subjects(book: &mut Book) {
    book.class("subject");
    book.why("1 to 128 printable ASCII characters without spaces");
    for (bytes, wanted) in [(1, Accepted), (128, Accepted), (129, Refused)] {
        let claims = format!(r#"{{"sub":"{}","exp":1700000001}}"#, "x".repeat(bytes));
        let token = book.signed(HEADER.as_bytes(), claims.as_bytes());
        book.token(wanted, &format!("{bytes} bytes"), &token);
    }
    let good = r#"
        "!~"
        "a\"b\\c\/\u0064"
        "a:b@c"
    "#;
    let bad = r#"
        ""
        " "
        "a b"
        "é"
        "a\n"
        "\u0000"
        "\u007f"
        "\u202e"
        1
        null
        true
        ["alice"]
        {"id":"alice"}
    "#;
    for (wanted, subjects) in [(Accepted, good), (Refused, bad)] {
        for subject in rows(subjects) {
            book.claims(wanted, &format!(r#"{{"sub":{subject},"exp":1700000001}}"#));
        }
    }
    book.why("sub is required");
    book.claims(
        Refused,
        r#"
        {"exp":1700000001}
        {"exp":1700000001,"Sub":"alice"}
        "#,
    );
}

fn issuers_and_audiences(book: &mut Book) {
    book.class("issuer, audience: none set");
    book.why("no issuer is asked for, and iss is a string where it is there");
    book.claim_members(Accepted, r#""iss":"anybody""#);
    book.claim_members(
        Refused,
        r#"
        "iss":null
        "iss":7
        "iss":["anybody"]
        "#,
    );
    book.why("an aud refuses the token where we have no name (RFC 7519 §4.1.3)");
    book.claim_members(
        Refused,
        r#"
        "aud":"us"
        "aud":["us"]
        "aud":[]
        "aud":""
        "aud":null
        "#,
    );
    book.class("issuer, audience: set");
    book.why("issuer joe and audience us are asked for");
    book.rules.issuer = Some("joe".into());
    book.rules.audience = Some("us".into());
    book.claim_members(
        Accepted,
        r#"
        "iss":"joe","aud":"us"
        "iss":"joe","aud":["us"]
        "iss":"joe","aud":["them","us"]
        "iss":"j\u006fe","aud":["\u0075s"]
        "#,
    );
    book.claim_members(
        Refused,
        r#"
        "iss":"joe"
        "aud":"us"
        "iss":"Joe","aud":"us"
        "iss":["joe"],"aud":"us"
        "iss":null,"aud":"us"
        "iss":"joe","aud":"them"
        "iss":"joe","aud":"us "
        "iss":"joe","aud":"u"
        "iss":"joe","aud":"usus"
        "iss":"joe","aud":[]
        "iss":"joe","aud":["us",1]
        "iss":"joe","aud":[1,"us"]
        "iss":"joe","aud":[["us"]]
        "iss":"joe","aud":null
        "iss":"joe","aud":{"us":1}
        "#,
    );
}

fn readings(book: &mut Book) {
    book.class("two readings");
    book.why("a member twice");
    book.claims(
        Refused,
        r#"
        {"sub":"alice","sub":"alice","exp":1700000001}
        {"sub":"alice","sub":"admin","exp":1700000001}
        {"sub":"alice","s\u0075b":"admin","exp":1700000001}
        {"sub":"alice","exp":1,"exp":1700000001}
        "#,
    );
    book.claim_members(
        Refused,
        r#"
        "a":1,"a":1
        "a":1,"\u0061":1
        "":1,"":1
        "#,
    );
    book.headers(
        Refused,
        r#"
        {"alg":"HS256","alg":"none"}
        {"alg":"none","\u0061lg":"HS256"}
        {"alg":"HS256","a":1,"a":1}
        "#,
    );
    book.why("a member twice inside a claim that is skipped");
    book.claim_members(Accepted, r#""a":{"b":1,"b":2}"#);
    book.why("no object");
    for text in [r#"["HS256","JWT"]"#, "[]", "1", "null", "true", r#""{}""#] {
        book.headers(Refused, text);
        book.claims(Refused, text);
    }
    book.why("half of a surrogate pair");
    book.claim_members(
        Refused,
        r#"
        "a":"\ud800"
        "a":"\udc00\ud800"
        "\ud83d":1
        "#,
    );
    let nested = |depth| format!(r#""a":{}{}"#, "[".repeat(depth), "]".repeat(depth));
    book.why("nested as deep as may be");
    book.claim_members(Accepted, &nested(31));
    book.why("nested deeper than 32");
    book.claim_members(Refused, &nested(32));
}

fn grammar(book: &mut Book) {
    book.class("no JSON");
    book.why("it is no JSON (RFC 8259)");
    book.claims(
        Refused,
        r#"
        {
        {"sub":"alice","exp":1700000001
        {"sub":"alice","exp":1700000001}}
        {"sub":"alice","exp":1700000001}{}
        {"sub":"alice","exp":1700000001,}
        {'sub':'alice','exp':1700000001}
        {sub:"alice",exp:1700000001}
        {"sub":"alice","exp":1700000001}//
        {"sub":"alice","exp":01700000001}
        {"sub":"alice","exp":+1700000001}
        {"sub":"alice","exp":0x7fffffff}
        {"sub":"alice","exp":NaN}
        {"sub":"alice","exp":Infinity}
        {"sub":"alice","exp":1700000001,"x":NaN}
        {"sub":"alice","exp":1700000001,"x":tru}
        {"sub":"alice","exp":1700000001,"x":"\x"}
        "#,
    );
    book.claim_members(Refused, "\"x\":\"\t\"");
}

fn encodings(book: &mut Book) {
    book.class("encoding");
    book.why("not UTF-8, or with a byte order mark or a zero");
    let utf_16 = CLAIMS.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (before, after) = (br#"{"sub":"alice","exp":1700000001,"a":""#, br#""}"#);
    let with = |bytes: &[u8]| [before, bytes, after].concat();
    let rows: [(&str, Vec<u8>); 6] = [
        ("UTF-16", utf_16),
        (
            "UTF-8 behind a byte order mark",
            format!("\u{feff}{CLAIMS}").into(),
        ),
        ("a zero behind the claims", format!("{CLAIMS}\0").into()),
        ("a byte that is none of UTF-8", with(b"\xff")),
        ("an overlong zero", with(b"\xc0\x80")),
        ("a surrogate in UTF-8", with(b"\xed\xa0\x80")),
    ];
    for (name, claims) in rows {
        let token = book.signed(HEADER.as_bytes(), &claims);
        book.token(Refused, name, &token);
    }
}

fn spellings(book: &mut Book) {
    book.class("malleability");
    let token = book.good();
    let (message, signature) = token.rsplit_once('.').unwrap();
    book.why("the same bytes written otherwise");
    for twin in twins(signature) {
        let token = format!("{message}.{twin}");
        book.token(
            Refused,
            &format!("the signature ends in {}", &twin[42..]),
            &token,
        );
    }
    for (name, token) in [
        ("padded", format!("{token}=")),
        ("a line feed behind", format!("{token}\n")),
        ("a space before", format!(" {token}")),
        (
            "a space in the signature",
            format!("{message}. {signature}"),
        ),
        ("a fourth part, empty", format!("{token}.")),
        ("five parts", format!("{token}.{token}")),
    ] {
        book.token(Refused, name, &token);
    }

    // Fifteen bytes are twenty whole characters, and a space behind them is I and A.
    let (header, claims) = (encode(BARE.as_bytes()), encode(CLAIMS.as_bytes()));
    let of = |header: &str| Book::new().with_tag(&format!("{header}.{claims}"));
    book.why("the MAC is right, over a header that is no strict base64url");
    for (name, end) in [
        ("unused bits", "IB"),
        ("padding", "IA=="),
        ("padding without need", "===="),
        ("a space", " "),
        ("a line feed", "\n"),
        ("a lone character", "I"),
        ("an exclamation mark", "!"),
    ] {
        book.token(Refused, name, &of(&format!("{header}{end}")));
    }
    book.why("the MAC is right, over claims that are no strict base64url");
    let plain = encode(br#"{"sub":"alice","exp":1700000001,"a":"~~~>>>???"}"#);
    let standard = plain.replace('-', "+").replace('_', "/");
    assert_ne!(plain, standard);
    let token = book.with_tag(&format!("{header}.{standard}"));
    book.token(Refused, "+ and /", &token);
    book.why("the same bytes as they must be written");
    book.token(
        Accepted,
        "a space behind the header",
        &of(&format!("{header}IA")),
    );
    let token = book.with_tag(&format!("{header}.{plain}"));
    book.token(Accepted, "- and _", &token);
}

/// The three other spellings of a tag: its last character has two bits that say nothing.
fn twins(signature: &str) -> Vec<String> {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.find(&signature[42..]).unwrap();
    let twin = |at: usize| format!("{}{}", &signature[..42], &alphabet[at..=at]);
    (last + 1..last + 4).map(twin).collect()
}

fn sizes(book: &mut Book) {
    book.class("size");
    for (bytes, wanted, why) in [
        (4_096, Accepted, "as long as may be"),
        (4_097, Refused, "a byte longer than may be"),
        (8_000, Refused, "much longer than may be"),
    ] {
        let token = of_size(book, bytes);
        book.why(why);
        book.token(wanted, &format!("{bytes} bytes"), &token);
    }
    book.why("many brackets");
    let deep = format!(r#"{{"a":{}"#, "[".repeat(2_900));
    let token = book.signed(BARE.as_bytes(), deep.as_bytes());
    book.token(Refused, "2,900 brackets", &token);
}

fn parts(book: &mut Book) {
    book.class("parts");
    book.why("not three parts with something in each");
    for text in [
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
    ] {
        book.token(Refused, &format!("`{text}`"), text);
    }
    book.token(Refused, "4,096 dots", &".".repeat(4_096));
    let (header, claims) = (encode(BARE.as_bytes()), encode(CLAIMS.as_bytes()));
    let serialised = json!({"protected": header, "payload": claims});
    book.token(Refused, "JSON serialisation", &serialised.to_string());
}

/// A good token of so many bytes.
fn of_size(book: &Book, bytes: usize) -> String {
    let claims_bytes = (bytes - encode(HEADER.as_bytes()).len() - 2 - 43) * 3 / 4;
    let around = r#"{"sub":"alice","exp":1700000001,"a":""}"#.len();
    let fill = "x".repeat(claims_bytes - around);
    let claims = format!(r#"{{"sub":"alice","exp":1700000001,"a":"{fill}"}}"#);
    let token = book.signed(HEADER.as_bytes(), claims.as_bytes());
    assert_eq!(token.len(), bytes);
    token
}
