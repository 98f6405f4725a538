//! A person at a terminal: the program that asks for a password leaves it as it was.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for a process, with a clock"
)]

mod support;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::termios::{LocalModes, tcgetattr};
use support::{Home, PATIENCE};

/// A command that asks for the password of alice.
struct Asking {
    child: Child,
    keyboard: File,
    terminal: File,
}

impl Asking {
    fn start(home: &Home) -> Asking {
        let (keyboard, terminal) = support::terminal();
        let handle = || Stdio::from(terminal.try_clone().expect("a descriptor"));
        let child = home
            .command(&["user", "add", "alice"])
            .stdin(handle())
            .stdout(handle())
            .stderr(handle())
            .spawn()
            .expect("the program starts");
        let mut asking = Asking {
            child,
            keyboard,
            terminal,
        };
        asking.wait_for("Password: ");
        asking
    }

    /// Reads what the terminal shows until this has come.
    fn wait_for(&mut self, text: &str) {
        let mut shown = String::new();
        while !shown.ends_with(text) {
            let mut byte = [0];
            self.keyboard.read_exact(&mut byte).expect("it is shown");
            shown.push(byte[0].into());
        }
        self.wait_for_echo(false);
    }

    fn wait_for_echo(&self, expected: bool) {
        wait_until(|| {
            let modes = tcgetattr(&self.terminal).expect("a terminal").local_modes;
            [LocalModes::ECHO, LocalModes::ICANON, LocalModes::ISIG]
                .iter()
                .all(|mode| modes.contains(*mode) == expected)
        });
    }

    fn signal(&self, signal: &str) {
        let process = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &process]).status();
        assert!(status.expect("kill(1) is there").success());
    }

    /// The process's state in /proc (man 5 proc_pid_stat).
    fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        stat.expect("it runs").contains(") T ")
    }

    fn end(&mut self) -> ExitStatus {
        let mut ended = None;
        wait_until(|| {
            ended = self.child.try_wait().expect("the process is ours");
            ended.is_some()
        });
        ended.expect("it was waited for")
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    let by = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < by, "it does not come to that");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_prompt_ended_by_a_signal_leaves_the_terminal_as_it_was() {
    let home = Home::with_users(&[]);
    for (signal, number) in [("-HUP", 1), ("-INT", 2), ("-QUIT", 3), ("-TERM", 15)] {
        let mut asking = Asking::start(&home);
        asking.keyboard.write_all(b"half a pass").expect("keys");
        asking.signal(signal);
        assert_eq!(asking.end().signal(), Some(number), "{signal}");
        asking.wait_for_echo(true);
    }
}

#[test]
fn a_prompt_that_was_stopped_and_continued_asks_anew() {
    let home = Home::with_users(&[]);
    let mut asking = Asking::start(&home);
    asking.keyboard.write_all(b"half a pass").expect("keys");
    asking.signal("-TSTP");
    wait_until(|| asking.is_stopped());
    asking.wait_for_echo(true);
    asking.signal("-CONT");
    asking.wait_for("Password: ");

    // Ctrl-Z is as good.
    asking.keyboard.write_all(b"half\x1a").expect("keys");
    wait_until(|| asking.is_stopped());
    asking.wait_for_echo(true);
    asking.signal("-CONT");
    asking.wait_for("Password: ");

    // SIGSTOP comes without a warning; a shell then shows again what is typed.
    asking.signal("-STOP");
    wait_until(|| asking.is_stopped());
    asking.signal("-CONT");
    asking.wait_for("Password: ");

    asking.keyboard.write_all(b"a password\n").expect("keys");
    asking.wait_for("The same again: ");
    asking.keyboard.write_all(b"a password\n").expect("keys");
    assert_eq!(asking.end().code(), Some(0));
    asking.wait_for_echo(true);
}
