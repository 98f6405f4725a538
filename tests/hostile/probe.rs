//! What the kernel tells of a process.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A clock tick of `/proc/PID/stat` (man 5 proc: `sysconf(_SC_CLK_TCK)`, which is 100 on Linux).
const TICK: Duration = Duration::from_millis(10);

/// A process, looked at from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe(pub(crate) u32);

/// Time on a processor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    /// All of it, by the scheduler's clock.
    total: Duration,
    /// Where the kernel's ticks found it: in user space, and in the kernel.
    user_ticks: u32,
    system_ticks: u32,
}

impl Cpu {
    pub(crate) fn total(self) -> Duration {
        self.total
    }

    /// The share of user space: a sample, which a second has few hundred ticks for.
    pub(crate) fn user(self) -> Duration {
        let ticks = self.user_ticks + self.system_ticks;
        self.total * self.user_ticks / ticks.max(1)
    }

    pub(crate) fn since(self, before: Cpu) -> Cpu {
        Cpu {
            total: self.total.saturating_sub(before.total),
            user_ticks: self.user_ticks.saturating_sub(before.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(before.system_ticks),
        }
    }
}

impl Probe {
    fn path(self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.0))
    }

    fn read(self, file: &str) -> String {
        fs::read_to_string(self.path(file)).expect("the process is alive")
    }

    pub(crate) fn is_alive(self) -> bool {
        fs::read_to_string(self.path("stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    /// Open descriptors.
    pub(crate) fn descriptors(self) -> usize {
        fs::read_dir(self.path("fd"))
            .expect("the process is alive")
            .count()
    }

    /// The descriptor limit under which so many more can be opened: the lowest free number is the
    /// one that is given (man 2 open), whatever stands above the limit already.
    pub(crate) fn descriptor_limit_with_room(self, room: usize) -> u64 {
        let open: BTreeSet<u64> = fs::read_dir(self.path("fd"))
            .expect("the process is alive")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        let mut free = (0..).filter(|number| !open.contains(number));
        free.nth(room).expect("the numbers do not end")
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident_bytes(self) -> usize {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
        kib.expect("VmRSS is a number") * 1_024
    }

    pub(crate) fn cpu(self) -> Cpu {
        let stat = self.read("stat");
        let (_, behind_name) = stat.rsplit_once(')').expect("a name in parentheses");
        let mut fields = behind_name.split_whitespace().skip(11);
        let mut ticks = || {
            let field = fields.next().and_then(|ticks| ticks.parse::<u32>().ok());
            field.expect("a number of ticks")
        };
        let (user_ticks, system_ticks) = (ticks(), ticks());
        Cpu {
            total: self
                .scheduled()
                .unwrap_or((user_ticks + system_ticks) * TICK),
            user_ticks,
            system_ticks,
        }
    }

    /// How long its threads ran, to the nanosecond, where the kernel tells
    /// (`Documentation/scheduler/sched-stats.rst`).
    fn scheduled(self) -> Option<Duration> {
        let mut nanos = 0;
        for thread in fs::read_dir(self.path("task")).expect("the process is alive") {
            let statistics = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            let on_cpu = statistics.split_whitespace().next()?;
            nanos += on_cpu.parse::<u64>().ok()?;
        }
        Some(Duration::from_nanos(nanos))
    }

    /// Waits until no more than so many descriptors are open; returns how long it took, or `None`
    /// when they were more to the end.
    pub(crate) fn wait_for_descriptors(self, max: usize, patience: Duration) -> Option<Duration> {
        let began = Instant::now();
        loop {
            if self.descriptors() <= max {
                return Some(began.elapsed());
            }
            if began.elapsed() > patience {
                return None;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The most memory a process holds, looked at again and again.
pub(crate) struct Peak {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Peak {
    pub(crate) fn watch(probe: Probe) -> Peak {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut most = 0;
            while !stopped.load(Ordering::Relaxed) {
                most = most.max(probe.resident_bytes());
                thread::sleep(Duration::from_millis(5));
            }
            most
        });
        Peak { stop, thread }
    }

    /// In bytes.
    pub(crate) fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it only looks")
    }
}
