//! What was measured: printed, and written as JSON and as pictures.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::Plan;
use crate::chart;
use crate::figures::Figure;

/// A figure of one contender, round by round.
pub(crate) struct Row {
    pub(crate) contender: String,
    /// Where the figure is one by connections.
    pub(crate) connections: Option<usize>,
    /// In the figure's unit.
    pub(crate) all: Vec<f64>,
    /// Of that, in user space; empty where the figure is no CPU time.
    pub(crate) user: Vec<f64>,
    /// What the server used of its core, in percent.
    shares: Vec<f64>,
    /// Where a contender has two rows: which of them.
    pub(crate) kind: Option<String>,
    pub(crate) note: String,
}

impl Row {
    pub(crate) fn new(contender: &str) -> Row {
        Row {
            contender: contender.to_owned(),
            connections: None,
            all: Vec::new(),
            user: Vec::new(),
            shares: Vec::new(),
            kind: None,
            note: String::new(),
        }
    }

    pub(crate) fn add(&mut self, value: f64) {
        self.all.push(value);
    }

    pub(crate) fn add_cpu(&mut self, (user, all): (f64, f64), share: f64) {
        self.user.push(user);
        self.all.push(all);
        self.shares.push(share);
    }

    pub(crate) fn latencies(&mut self, latencies: &Histogram<u64>) {
        let micros = |quantile| latencies.value_at_quantile(quantile) as f64 / 1_000.0;
        self.note = format!("p50 {:.0} µs, p99 {:.0} µs", micros(0.5), micros(0.99));
    }

    /// The figure: the median of the rounds.
    pub(crate) fn all(&self) -> f64 {
        median(&self.all)
    }

    /// What of it is user space: the mean, for it is sampled, and the samples of all rounds
    /// together say more than those of one.
    pub(crate) fn user(&self) -> f64 {
        mean(&self.user)
    }

    fn name(&self) -> String {
        match (self.connections, &self.kind) {
            (Some(connections), _) => format!("{connections} connections"),
            (None, Some(kind)) => format!("{}, {kind}", self.contender),
            (None, None) => self.contender.clone(),
        }
    }

    fn json(&self) -> Value {
        json!({
            "contender": self.contender,
            "connections": self.connections,
            "kind": self.kind,
            "all": self.all,
            "user": self.user,
            "core_percent": self.shares,
            "note": self.note,
        })
    }

    fn read(json: &Value) -> Row {
        let numbers = |name: &str| {
            let numbers = json[name].as_array().into_iter().flatten();
            numbers.filter_map(Value::as_f64).collect()
        };
        let connections = json["connections"].as_u64();
        Row {
            contender: text(&json["contender"]),
            connections: connections.and_then(|count| usize::try_from(count).ok()),
            all: numbers("all"),
            user: numbers("user"),
            shares: numbers("core_percent"),
            kind: json["kind"].as_str().map(str::to_owned),
            note: text(&json["note"]),
        }
    }
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

/// A figure of everybody. The first row is framegate's.
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) unit: String,
    pub(crate) rows: Vec<Row>,
}

impl Measured {
    pub(crate) fn new(figure: &Figure, rows: Vec<Row>) -> Measured {
        Measured {
            name: figure.name.to_owned(),
            title: figure.title.to_owned(),
            unit: figure.unit.to_owned(),
            rows,
        }
    }

    fn read(json: &Value) -> Measured {
        let rows = json["rows"].as_array().into_iter().flatten();
        Measured {
            name: text(&json["name"]),
            title: text(&json["title"]),
            unit: text(&json["unit"]),
            rows: rows.map(Row::read).collect(),
        }
    }

    fn draw(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join(format!("{}.svg", self.name)), chart::draw(self))
    }

    fn table(&self) -> String {
        let mut table = format!("### {} (`{}`)\n\n", self.title, self.name);
        let _ = writeln!(
            table,
            "| server | {} | of it user | framegate's, to this | the server's core | |\n\
             | --- | --- | --- | --- | --- | --- |",
            self.unit
        );
        for row in &self.rows {
            let ratios = self.ratios(row);
            let _ = writeln!(
                table,
                "| {} | {} | {} | {} | {} | {} |",
                row.name(),
                spread(row.all(), &row.all, ""),
                spread(row.user(), &row.user, ""),
                spread(median(&ratios), &ratios, ""),
                spread(median(&row.shares), &row.shares, " %"),
                row.note,
            );
        }
        table
    }

    /// What framegate took in each round, to what the row's contender took in the same.
    fn ratios(&self, row: &Row) -> Vec<f64> {
        let of_this_kind = self.rows.iter().find(|ours| ours.kind == row.kind);
        let ours = of_this_kind.unwrap_or(&self.rows[0]);
        let pairs = ours.all.iter().zip(&row.all);
        pairs.map(|(ours, theirs)| ours / theirs).collect()
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "title": self.title,
            "unit": self.unit,
            "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
        })
    }
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// What stands for all values, and the lowest and the highest of them behind it.
fn spread(middle: f64, values: &[f64], unit: &str) -> String {
    let fold = |start, choose: fn(f64, f64) -> f64| values.iter().copied().fold(start, choose);
    match values {
        [] => String::new(),
        [value] => format!("{}{unit}", short(*value)),
        _ => format!(
            "{}{unit} ({}–{})",
            short(middle),
            short(fold(f64::INFINITY, f64::min)),
            short(fold(0.0, f64::max)),
        ),
    }
}

/// Three digits that mean something.
pub(crate) fn short(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// All figures of a run.
pub(crate) struct Report {
    machine: Value,
    measured: Vec<Measured>,
}

impl Report {
    pub(crate) fn begin(plan: &Plan) -> Report {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = cpu.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(": "));
            value.map_or("?", |(_, value)| value).to_owned()
        };
        let read = |path: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.trim().to_owned()
        };
        let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
        let machine = json!({
            "processor": field("model name"),
            "sha_instructions": field("flags").split(' ').any(|flag| flag == "sha_ni"),
            "cores": cores,
            "kernel": read("/proc/sys/kernel/osrelease"),
            // Part of what a segment costs (BBR: some 2 % of a round trip).
            "tcp_congestion_control": read("/proc/sys/net/ipv4/tcp_congestion_control"),
            "rounds": plan.rounds,
            "window_ms": plan.window.as_millis() as u64,
        });
        println!("{machine}\n");
        Report {
            machine,
            measured: Vec::new(),
        }
    }

    /// Prints it, and keeps it.
    pub(crate) fn add(&mut self, measured: Measured) {
        println!("{}", measured.table());
        self.measured.push(measured);
    }

    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let figures: Vec<Value> = self.measured.iter().map(Measured::json).collect();
        let all = json!({ "machine": self.machine, "figures": figures });
        fs::write(folder.join("results.json"), format!("{all:#}\n"))?;
        let tables: String = self.measured.iter().map(|m| m.table() + "\n").collect();
        fs::write(folder.join("results.md"), tables)?;
        self.measured.iter().try_for_each(|m| m.draw(folder))
    }
}

/// Draws the pictures of the `results.json` that lies in a folder, which measures nothing.
pub(crate) fn draw(folder: &Path) -> io::Result<()> {
    let results: Value = serde_json::from_slice(&fs::read(folder.join("results.json"))?)?;
    let mut figures = results["figures"].as_array().into_iter().flatten();
    figures.try_for_each(|figure| Measured::read(figure).draw(folder))
}
