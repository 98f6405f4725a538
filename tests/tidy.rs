//! The rules of the house, as a test over its text: which room may name which, which crate
//! stays in which room, and what is written down for people agrees with what is compiled.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use framegate::internals::config::{Arity, settings};

/// The rooms, and those that each never names. What is not said here is allowed.
const WALLS: &[(&str, &[&str])] = &[
    (
        "limits",
        &[
            "config", "wire", "gate", "server", "app", "export", "record", "turn", "driver", "cli",
        ],
    ),
    (
        "time",
        &[
            "config", "wire", "gate", "server", "app", "export", "record", "turn", "driver", "cli",
        ],
    ),
    (
        "json",
        &[
            "config", "wire", "gate", "server", "app", "export", "record", "turn", "driver", "cli",
        ],
    ),
    (
        "config",
        &[
            "wire", "gate", "server", "app", "export", "record", "turn", "driver", "cli",
        ],
    ),
    (
        "wire",
        &[
            "config", "gate", "server", "app", "record", "turn", "driver", "cli",
        ],
    ),
    (
        "gate",
        &[
            "config", "wire", "server", "app", "record", "turn", "driver", "cli",
        ],
    ),
    (
        "app",
        &["wire", "server", "record", "turn", "driver", "cli"],
    ),
    ("server", &["record", "turn", "driver", "cli"]),
    ("export", &["record", "turn", "driver", "cli"]),
    ("record", &["turn", "driver", "cli"]),
    ("turn", &["driver", "cli"]),
    ("driver", &["cli"]),
];

/// The floors of the server, the lowest first: none names one above it.
const SERVER_FLOORS: &[&str] = &[
    "connection",
    "answers",
    "parts",
    "policy",
    "tap",
    "core",
    "steps",
];

/// What parts are built of. They name no other part.
const PARTS_SHARED: &[&str] = &["bounded_map", "rate_limits", "shared_frame"];

/// Crates, and the only places that use them.
const CRATES: &[(&str, &[&str])] = &[
    ("argon2", &["src/app/password"]),
    ("base64", &["src/gate"]),
    ("hmac", &["src/gate/key"]),
    ("lexopt", &["src/cli"]),
    ("memchr", &["src/wire"]),
    ("mio", &["src/driver"]),
    ("rusqlite", &["src/app/users/sqlite"]),
    ("rustix", &["src/driver", "src/cli", "src/app/users/sqlite"]),
    ("sha2", &["src/gate", "src/record"]),
    ("signal_hook", &["src/driver"]),
    ("tungstenite", &["src/wire"]),
];

/// What of the standard library is a clock, the system or chance, and the only places that
/// use it.
const STANDARD: &[(&str, &[&str], &[&str])] = &[
    (
        "std::time::",
        &["Instant", "SystemTime", "UNIX_EPOCH"],
        &["src/driver", "src/cli"],
    ),
    (
        "std::net::",
        &["TcpListener", "TcpStream", "UdpSocket", "ToSocketAddrs"],
        &["src/driver"],
    ),
    ("std::os::unix::", &["net"], &["src/driver"]),
    ("std::", &["thread"], &["src/driver"]),
    (
        "std::",
        &["fs"],
        &["src/driver", "src/cli", "src/app/users/sqlite"],
    ),
    (
        "std::",
        &["env", "process"],
        &["src/driver", "src/cli", "src/main"],
    ),
    ("std::hash::", &["RandomState"], &[]),
    ("std::collections::hash_map::", &["RandomState"], &[]),
];

/// Ways to a map whose order is another in every run; the core's are ordered or seeded.
const UNSEEDED: &[&str] = &[
    "HashMap::new(",
    "HashMap::default(",
    "HashMap::with_capacity(",
    "HashMap::from(",
    "HashSet::new(",
    "HashSet::default(",
    "HashSet::with_capacity(",
    "HashSet::from(",
];

/// What stands nowhere in `src`, with the reason. In two parts each, for this file's sake.
const NOWHERE: &[(&str, &str)] = &[
    (
        concat!("print", "ln!("),
        "it panics when the reader is gone",
    ),
    (concat!("eprint", "!("), "it panics when the reader is gone"),
    (concat!(" print", "!("), "it panics when the reader is gone"),
    (concat!("db", "g!("), "it is for the moment"),
    (concat!("TO", "DO"), "an issue is the place"),
    (concat!("FIX", "ME"), "an issue is the place"),
    (
        concat!("#[ig", "nore"),
        "a test that is not run proves nothing",
    ),
    (
        concat!("#[al", "low("),
        "#[expect(..., reason = \"...\")] ends when its cause does",
    ),
    (
        concat!("#![al", "low("),
        "#[expect(..., reason = \"...\")] ends when its cause does",
    ),
    (concat!("usize::MA", "X;"), "a bound is a bound"),
    (
        concat!("plan", "ted"),
        "a fault stands in a copy alone: fuzz/planted",
    ),
];

/// Words that no comment uses, and what is said instead: who reads it may have English as a third
/// language.
const PLAIN: &[(&str, &str)] = &[
    (
        "behind",
        "after, where it is not a proxy that stands before something",
    ),
    ("he", "it, they: a peer and a user are neither he nor she"),
    ("heed", "look at, obey"),
    ("him", "it, them"),
    ("his", "its, their"),
    ("lest", "so that ... not"),
    ("whoever", "who, the one who"),
    ("whomever", "the one who"),
];

/// Where `behind` is said of a place.
const BEHIND: &[&str] = &["prox", "'s back", "cop"];

/// Places on the machines that made this.
const MACHINES: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/tmp/", "wt-"),
];

/// The locks of what is built apart from framegate and looks at it.
const LOCKS_APART: &[&str] = &["benches/micro/Cargo.lock", "tests/constant_time/Cargo.lock"];

/// Where the tests of a file begin, when they stand in it.
const TESTS: &str = "#[cfg(test)]\nmod tests {";

const SOURCE_LINES_MAX: usize = 500;
const TEST_LINES_MAX: usize = 800;

/// A file of the repository.
struct Text {
    /// Relative to the repository, with slashes.
    path: String,
    text: String,
}

impl Text {
    /// The code: without its comments, and without the tests that stand in the file.
    fn code(&self) -> String {
        let end = self.text.find(TESTS).unwrap_or(self.text.len());
        self.text[..end]
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| {
            let rest = self.path.strip_prefix(place);
            rest.is_some_and(|rest| rest.starts_with(['/', '.']))
        })
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }
}

/// Every source file but the tests: `.rs` under `src`.
fn sources() -> Vec<Text> {
    let mut sources = texts("src", &["rs"]);
    sources.retain(|source| !source.is_test());
    assert!(sources.len() > 10);
    sources
}

/// The files under `directory` with one of the extensions, in the order of their names. What
/// begins with a dot, or was built, is not looked into.
fn texts(directory: &str, extensions: &[&str]) -> Vec<Text> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&root.join(directory), &mut paths);
    paths.sort();
    let wanted = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default();
        extensions.iter().any(|wanted| extension == *wanted)
    };
    paths
        .into_iter()
        .filter(wanted)
        .map(|path| Text {
            text: fs::read_to_string(&path).unwrap(),
            path: path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned(),
        })
        .collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with('.') || ["target", "node_modules"].contains(&name) {
            continue;
        }
        match path.is_dir() {
            true => collect(&path, paths),
            false => paths.push(path),
        }
    }
}

/// The names that stand behind `prefix` in `code`, those in braces too: `a` and `b` of
/// `crate::{a::x, b}`.
fn names_behind(code: &str, prefix: &str) -> BTreeSet<String> {
    let starts = code.match_indices(prefix);
    let own = starts
        .filter(|(at, _)| !code[..*at].ends_with(|before: char| is_word(before) || before == ':'));
    let mut names = BTreeSet::new();
    for (at, _) in own {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(first_names(group)),
            None => names.extend([word(rest)]),
        }
    }
    names
}

/// The first name of each part of a group, up to its closing brace.
fn first_names(group: &str) -> Vec<String> {
    let mut names = vec![word(group)];
    let mut depth = 1;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(word(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn word(text: &str) -> String {
    text.trim_start()
        .chars()
        .take_while(|c| is_word(*c))
        .collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn names_are_found_alone_and_in_groups() {
    let code = "use crate::a::x; use crate::{b, c::{d, e},\n    f}; crate::g(); not_crate::h; my::crate::i;";
    let names = names_behind(code, "crate::");
    assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "b", "c", "f", "g"]);
}

#[test]
fn no_room_names_what_it_must_not_know() {
    for source in sources() {
        let code = source.code();
        let mut named = names_behind(&code, "crate::");
        named.extend(names_behind(&code, "super::super::"));
        for (room, never) in WALLS {
            if !source.is_in(&[&format!("src/{room}")]) {
                continue;
            }
            for other in *never {
                assert!(
                    !named.contains(*other),
                    "{}: {room} never names {other}",
                    source.path
                );
            }
        }
    }
}

/// Which rooms name which, and in how many places of their code.
fn arrows() -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut arrows: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    let of_program = ["main", "lib"];
    for source in sources() {
        let room = word(source.path.trim_start_matches("src/"));
        if of_program.contains(&room.as_str()) {
            continue;
        }
        let named = arrows.entry(room.clone()).or_default();
        for other in names_behind(&source.code(), "crate::") {
            if other != room {
                *named.entry(other).or_default() += 1;
            }
        }
    }
    arrows
}

/// What is shown by `cargo test --test tidy rooms -- --nocapture`.
#[test]
fn rooms_name_each_other_in_no_circle() {
    let mut arrows = arrows();
    for (room, named) in &arrows {
        let named = named
            .iter()
            .map(|(other, count)| format!("{other} {count}"));
        println!("{room:8} -> {}", named.collect::<Vec<_>>().join(", "));
    }
    // Room after room that names none of those left is taken away; of a circle something stays.
    while let Some(lowest) = arrows
        .iter()
        .find(|(_, named)| named.keys().all(|other| !arrows.contains_key(other)))
        .map(|(room, _)| room.clone())
    {
        arrows.remove(&lowest);
    }
    assert!(arrows.is_empty(), "a circle: {arrows:?}");
}

#[test]
fn no_floor_of_the_server_names_one_above_it() {
    let mut seen = BTreeSet::new();
    for source in sources() {
        let code = source.code();
        let named = names_behind(&code, "crate::server::");
        for (height, floor) in SERVER_FLOORS.iter().enumerate() {
            if !source.is_in(&[&format!("src/server/{floor}")]) {
                continue;
            }
            seen.insert(*floor);
            let own = SERVER_FLOORS[..=height].iter().map(|name| name.to_string());
            let above: Vec<_> = named.difference(&own.collect()).cloned().collect();
            assert!(above.is_empty(), "{}: names {above:?}", source.path);
        }
    }
    assert_eq!(seen.len(), SERVER_FLOORS.len());
}

#[test]
fn no_part_of_the_server_names_another() {
    for source in sources() {
        let Some(path) = source.path.strip_prefix("src/server/parts/") else {
            continue;
        };
        let named = names_behind(&source.code(), "crate::server::parts::");
        let part = word(path);
        for other in named
            .iter()
            .filter(|other| **other != part && part != "mod")
        {
            let is_shared = PARTS_SHARED.contains(&other.as_str());
            assert!(is_shared, "{}: {part} names {other}", source.path);
        }
    }
}

#[test]
fn each_crate_stays_in_its_room() {
    for source in sources() {
        let code = source.code();
        for (name, places) in CRATES {
            let used = !names_behind(&code, &format!("{name}::")).is_empty();
            let used = used || code.contains(&format!("use {name};"));
            assert!(
                !used || source.is_in(places),
                "{}: {name} is for {places:?}",
                source.path
            );
        }
    }
}

#[test]
fn clocks_sockets_threads_and_files_stay_with_those_who_drive() {
    for source in sources() {
        let code = source.code();
        for (prefix, names, places) in STANDARD {
            let used = names_behind(&code, prefix);
            for name in *names {
                let allowed = source.is_in(places) || !used.contains(*name);
                assert!(allowed, "{}: {prefix}{name} is for {places:?}", source.path);
            }
        }
    }
}

#[test]
fn the_core_has_no_map_of_random_order() {
    for source in sources() {
        if source.is_in(&[
            "src/wire",
            "src/gate",
            "src/server",
            "src/app",
            "src/record",
            "src/turn",
        ]) {
            let code = source.code();
            for way in UNSEEDED {
                assert!(!code.contains(way), "{}: {way}) has no seed", source.path);
            }
        }
    }
}

#[test]
fn what_is_wanted_nowhere_stands_nowhere() {
    for source in texts("src", &["rs"]) {
        for (text, reason) in NOWHERE {
            assert!(
                !source.text.contains(text),
                "{}: {text} {reason}",
                source.path
            );
        }
    }
}

#[test]
fn comments_use_plain_words() {
    let proof = texts("fuzz/src", &["rs"]);
    for source in texts("src", &["rs"]).into_iter().chain(proof) {
        for line in source.text.lines() {
            let Some((_, comment)) = line.split_once("//") else {
                continue;
            };
            let comment = comment.to_lowercase();
            let mut words = comment.split(|c: char| !c.is_alphanumeric() && c != '_');
            let is_place = BEHIND.iter().any(|place| comment.contains(place));
            let used = words.find_map(|used| {
                let word = PLAIN.iter().find(|(word, _)| *word == used);
                word.filter(|(word, _)| *word != "behind" || !is_place)
            });
            if let Some((word, instead)) = used {
                panic!("{}: {line}\n{word}: say {instead}", source.path);
            }
        }
    }
}

/// [`Text::code`] leaves them out, and with them whatever stood behind.
#[test]
fn tests_stand_last_in_their_file() {
    for source in sources() {
        if let Some((_, tests)) = source.text.split_once(TESTS) {
            let behind = tests.find("\n}").map(|end| &tests[end + "\n}".len()..]);
            assert_eq!(behind, Some("\n"), "{}: tests stand last", source.path);
        }
    }
}

#[test]
fn a_file_can_be_read_in_a_sitting() {
    let proof = texts("fuzz", &["rs"]);
    for source in texts("src", &["rs"]).into_iter().chain(proof) {
        let lines = source.text.lines().count();
        let max = if source.is_test() {
            TEST_LINES_MAX
        } else {
            SOURCE_LINES_MAX
        };
        assert!(
            lines <= max,
            "{} has {lines} lines, and {max} at most",
            source.path
        );
    }
}

#[test]
fn no_file_names_a_place_on_the_machine_that_made_it() {
    let extensions = [
        "rs", "toml", "md", "sh", "py", "js", "json", "txt", "lock", "yml", "html",
    ];
    let mut texts = texts("", &extensions);
    for path in ["Makefile", ".ci/run", ".gitignore"] {
        let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let text = fs::read_to_string(full).unwrap();
        let path = path.to_owned();
        texts.push(Text { path, text });
    }
    for text in texts {
        for place in MACHINES {
            assert!(!text.text.contains(place), "{} names {place}", text.path);
        }
    }
}

#[test]
fn the_documented_settings_are_those_of_the_table() {
    let operations = document("docs/operations.md");
    let documented: Vec<(String, String)> = operations
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| {
            let mut cells = row.split(" | ");
            let name = cells.next()?.trim_end_matches('`').to_owned();
            Some((name, cells.next()?.trim_matches('`').to_owned()))
        })
        .collect();
    let table: Vec<(String, String)> = settings()
        .map(|setting| {
            let default = match (setting.arity, setting.default) {
                (Arity::One | Arity::Many, "") => "none",
                (_, default) => default,
            };
            (setting.name.to_owned(), default.to_owned())
        })
        .collect();
    assert_eq!(documented, table);
}

/// What `fn word` gives in these files stands at `reason=` in the log.
#[test]
fn each_reason_of_the_log_is_documented() {
    let operations = document("docs/operations.md");
    let (_, section) = operations
        .split_once("### The reasons of a refusal")
        .unwrap();
    let (section, _) = section.split_once("\n### ").unwrap();
    let documented: BTreeSet<&str> = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .filter_map(|line| line.split(" | ").nth(1))
        .flat_map(|cell| cell.split(", "))
        .filter_map(|word| word.strip_prefix('`')?.strip_suffix('`'))
        .collect();
    let mut words = BTreeSet::new();
    let tellers = texts("src", &["rs"]);
    for text in &tellers {
        // Commands have words of their own.
        let is_told = ["server/", "wire/", "gate/", "json"]
            .iter()
            .any(|room| text.path.contains(room));
        for word in text.text.split("fn word(").skip(1).filter(|_| is_told) {
            let (body, _) = word.split_once("\n    }\n").unwrap();
            let quoted = body.split("=> \"").skip(1);
            words.extend(quoted.filter_map(|rest| rest.split('"').next()));
        }
    }
    assert!(words.len() > 80, "{words:?}");
    assert_eq!(documented, words);
}

#[test]
fn each_dependency_is_documented_with_its_reason() {
    let architecture = document("docs/architecture.md");
    let reasons = architecture.split_once("## Dependencies").unwrap().1;
    for name in dependencies() {
        assert!(
            reasons.contains(&format!("`{name}`")),
            "docs/architecture.md: why {name}?"
        );
    }
}

/// The names under `[dependencies]`.
fn dependencies() -> Vec<String> {
    let manifest = document("Cargo.toml");
    let dependencies = manifest.split_once("\n[dependencies]\n").unwrap().1;
    let names = dependencies
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.to_owned());
    let names: Vec<_> = names.collect();
    assert!(!names.is_empty());
    names
}

/// What a workspace apart finds out of framegate's dependencies is to hold for those shipped.
#[test]
fn workspaces_apart_lock_the_versions_that_are_shipped() {
    let shipped = versions(&shipped());
    for lock in LOCKS_APART {
        let apart = versions(&locked(lock));
        let shared = apart.keys().filter(|name| shipped.contains_key(*name));
        assert!(shared.clone().count() > 0);
        for name in shared {
            let missing: Vec<_> = shipped[name].difference(&apart[name]).collect();
            assert!(missing.is_empty(), "{lock}: {name} {missing:?} is shipped");
        }
    }
}

/// A package of a lock file.
#[derive(Clone)]
struct Package {
    name: String,
    version: String,
    /// Each a name, with a version behind it where the file has several.
    dependencies: Vec<String>,
}

/// What the dependencies lead to; what only tests are made of is not shipped.
fn shipped() -> Vec<Package> {
    let all = locked("Cargo.lock");
    let framegate = all.iter().find(|package| package.name == "framegate");
    let mut wanted = framegate.unwrap().dependencies.clone();
    let direct = dependencies();
    wanted.retain(|wanted| {
        direct
            .iter()
            .any(|name| wanted.split(' ').next() == Some(name))
    });
    let mut at = 0;
    while at < wanted.len() {
        let package = all.iter().find(|package| package.is(&wanted[at])).unwrap();
        for more in &package.dependencies {
            if !wanted.contains(more) {
                wanted.push(more.clone());
            }
        }
        at += 1;
    }
    let is_wanted = |package: &&Package| wanted.iter().any(|wanted| package.is(wanted));
    all.iter().filter(is_wanted).cloned().collect()
}

impl Package {
    fn is(&self, wanted: &str) -> bool {
        match wanted.split_once(' ') {
            Some((name, version)) => self.name == name && self.version == version,
            None => self.name == wanted,
        }
    }
}

/// The versions that each name has.
fn versions(packages: &[Package]) -> BTreeMap<String, BTreeSet<String>> {
    let mut versions = BTreeMap::<_, BTreeSet<_>>::new();
    for package in packages {
        let of_name = versions.entry(package.name.clone()).or_default();
        of_name.insert(package.version.clone());
    }
    versions
}

/// The packages of a lock file.
fn locked(path: &str) -> Vec<Package> {
    let text = document(path);
    let packages = text.split("[[package]]").skip(1).map(|package| {
        let mut lines = package.lines();
        let value = |name| {
            let line = package.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim_matches('"').to_owned()
        };
        lines.find(|line| *line == "dependencies = [");
        let dependencies = lines.map_while(|line| line.strip_prefix(' '));
        let dependencies = dependencies.map(|name| name.trim_matches([' ', '"', ',']).to_owned());
        Package {
            name: value("name = "),
            version: value("version = "),
            dependencies: dependencies.collect(),
        }
    });
    packages.collect()
}

fn document(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}
