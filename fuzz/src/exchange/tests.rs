use super::{compose, play};

const HEALTH: &str = r"0 raw GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

/// What is heard of these lines, and the beginning of the last line.
fn heard(lines: &str) -> Vec<String> {
    let heard = play(&compose(lines).unwrap());
    let line = |line: &str| line.split(" pending").next().unwrap_or_default().to_owned();
    heard.lines().map(line).collect()
}

/// A FIN is not the end of a connection: its peer hears what comes, stops to hear, hears again, and resets.
#[test]
fn who_has_finished_is_still_there() {
    let lines = format!("0 deaf\n{HEALTH}\n0 fin\n0 hears");
    assert_eq!(
        heard(&lines)[..2],
        [r"0 < HTTP 200 ok\n", "0 closed"],
        "{lines}"
    );
    let lines = format!("0 deaf\n{HEALTH}\n0 fin\npause 100\n0 fin\n0 reset\n0 reset");
    assert_eq!(
        heard(&lines),
        // The second reset is of a connection of its own.
        ["0 closed", "0 closed", "state connections=0"],
        "{lines}"
    );
}

#[test]
fn bytes_after_a_fin_are_another_connections() {
    let lines = format!("0 deaf\n{HEALTH}\n0 fin\n{HEALTH}");
    assert_eq!(
        heard(&lines),
        [r"0 < HTTP 200 ok\n", "0 finished", "state connections=2"]
    );
}
