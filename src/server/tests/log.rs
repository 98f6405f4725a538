//! What the log is told, and what is counted for it.

use super::world::World;
use crate::limits::EVENT_BYTES_MAX;
use crate::server::Input;

/// What happened, and to whom, line by line.
fn lines(world: &World) -> Vec<String> {
    let name = |user: Option<&str>| user.map_or(String::new(), |user| format!(": {user}"));
    let line = |report: &crate::server::Report| {
        let user = name(report.user.as_deref());
        format!("{}{user}", report.what)
    };
    world.reports.iter().map(line).collect()
}

#[test]
fn logins_are_told_with_the_users_name_whether_they_succeed_or_fail() {
    let mut world = World::new();
    let id = world.stranger();
    for (user, password) in [
        ("alice", "wrong"),
        ("nobody", "x"),
        ("bob", "bob's password"),
    ] {
        let data = format!(r#"{{"id":"{user}","password":"{password}"}}"#);
        world.say(id, &format!(r#"{{"event":"login","data":{data}}}"#));
        world.hash();
    }
    world.finish(id);
    let expected = [
        "login failed: alice",
        "login failed: nobody",
        "logged in: bob",
        "closed: bob",
    ];
    assert_eq!(lines(&world), expected);
}

#[test]
fn a_ban_is_told_beside_the_refusal_that_brought_it() {
    let mut world = World::with(|config| config.ban_after = 1);
    let address = "192.0.2.66"
        .parse::<std::net::IpAddr>()
        .expect("an address");
    for _ in 0..2 {
        let id = world.connect_from(address).expect("not yet banned");
        world.send(id, b"\x16\x03\x01");
    }
    assert_eq!(lines(&world), ["refused", "banned", "refused"]);
}

#[test]
fn an_events_name_is_told_unless_it_is_too_long_to_be_one() {
    let (longest, longer) = ("x".repeat(EVENT_BYTES_MAX), "x".repeat(EVENT_BYTES_MAX + 1));
    for (name, told) in [(&longest, &*longest), (&longer, "(longer than 64 bytes)")] {
        let mut world = World::new();
        let id = world.stranger();
        world.say(id, &format!(r#"{{"event":"{name}"}}"#));
        assert_eq!(world.reports[0].event.as_deref(), Some(told));
    }
}

#[test]
fn a_fin_behind_a_refusal_is_told_as_no_other_end() {
    let mut world = World::new();
    let id = world.stranger();
    world.set_deaf(id, true);
    world.say(id, "x");
    world.finish(id);
    assert_eq!(lines(&world), ["refused"]);
    world.set_deaf(id, false);
    assert_eq!(world.hear(id)[1..], ["close 1007", "CLOSED"]);
}

#[test]
fn a_connection_reset_for_want_of_a_descriptor_is_counted() {
    let mut world = World::new();
    world.turn.core.handle(world.now, Input::Shed);
    assert_eq!(world.turn.core.totals().refused, [("shed", 1)].into());
}
