//! Sessions that chance made, each from its seed.

use std::time::Duration;

use super::rig::{Rig, login, masked, password, post, upgrade};
use crate::app::users::StoreError;
use crate::server::{ConnectionId, Input};

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }

    fn of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }

    /// Changes, drops or doubles a byte, now and then.
    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() || self.below(4) > 0 {
            return;
        }
        let at = self.below(bytes.len());
        match self.below(3) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes.truncate(at),
            _ => bytes.insert(at, bytes[at]),
        }
    }
}

const USERS: &[&str] = &["alice", "bob", "carol"];
const MEMBERS: &[&str] = &[
    r#""event":"message","id":1,"data":["é\u00e9",{"password":"shown"}]"#,
    r#""event":"message","to":"bob","data":"eyJh.eyJi.secret""#,
    r#""event":"getUser","data":{"id":"carol"}"#,
    r#""event":"refresh","id":"x""#,
    r#""event":"logout""#,
    r#""event":"dance","data":{"password":"hunter2"}"#,
];

/// What a peer may say on a connection that was just opened.
fn first_bytes(rig: &mut Rig, chance: &mut Chance) -> Vec<u8> {
    let token = rig.token(chance.of(USERS));
    let text = match chance.below(5) {
        0 => upgrade(&format!(
            "Sec-WebSocket-Protocol: framegate.bearer.{token}\r\n"
        )),
        1 => post("/login", r#"{"id":"alice","password":"hunter2"}"#),
        2 => "GET /health HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        3 => upgrade(""),
        _ => upgrade(&format!("Authorization: Bearer {token}\r\n")),
    };
    text.into_bytes()
}

/// What it may say on a WebSocket.
fn frames(rig: &mut Rig, chance: &mut Chance) -> Vec<u8> {
    let user = chance.of(USERS);
    let mut text = match chance.below(3) {
        0 => login(user, &password(chance.of(USERS))).into_bytes(),
        _ => {
            let members = chance.of(MEMBERS);
            format!(r#"{{"token":"{}",{members}}}"#, rig.token(user)).into_bytes()
        }
    };
    chance.spoil(&mut text);
    let middle = chance.below(text.len() + 1);
    match chance.below(4) {
        0 => [
            masked(0x01, &text[..middle]),
            masked(0x89, b"ping"),
            masked(0x80, &text[middle..]),
        ]
        .concat(),
        1 if chance.below(8) == 0 => masked(0x88, b"\x03\xe8bye"),
        _ => masked(0x81, &text),
    }
}

fn act(rig: &mut Rig, chance: &mut Chance, ids: &mut Vec<ConnectionId>) {
    let id = (!ids.is_empty()).then(|| ids[chance.below(ids.len())]);
    match (chance.below(16), id) {
        (0..=2, _) | (_, None) => {
            let id = rig.connect();
            let mut bytes = first_bytes(rig, chance);
            chance.spoil(&mut bytes);
            rig.send_cut(id, &bytes, 1 + chance.below(400));
            ids.push(id);
        }
        (3, _) => rig.hash(),
        (4, _) => rig.wait(Duration::from_millis(100 * chance.below(60) as u64)),
        (5, Some(id)) => rig.finish(id),
        (6, Some(id)) => rig.turn.core.handle(rig.now, Input::Failed(id)),
        (7, _) => _ = rig.users.set_disabled("carol", chance.below(2) == 0),
        (8, _) => rig
            .users
            .fail_next(chance.below(3) as u64, StoreError::Busy),
        (9, Some(id)) => {
            rig.room = [0, 10, 1_000, usize::MAX][chance.below(4)];
            rig.turn.core.handle(rig.now, Input::Writable(id));
        }
        (_, Some(id)) => {
            let mut bytes = frames(rig, chance);
            chance.spoil(&mut bytes);
            rig.send_cut(id, &bytes, 1 + chance.below(300));
        }
    }
}

#[test]
fn whatever_happens_is_replayed() {
    for seed in 0..40 {
        let mut chance = Chance(seed);
        let mut rig = Rig::new(|config| {
            config.ban_after = [0, 5][chance.below(2)];
            config.login_rate.count = [0, 10][chance.below(2)];
            config.pending_max = [5, 1_000][chance.below(2)];
            config.memory_bytes_max = [500_000, 1 << 25][chance.below(2)];
        });
        rig.secrets.push("hunter2".to_owned());
        let mut ids = Vec::new();
        for _ in 0..80 {
            act(&mut rig, &mut chance, &mut ids);
        }
        rig.room = 1 << 20;
        rig.replayed();
    }
}
