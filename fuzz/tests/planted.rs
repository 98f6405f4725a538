//! The planted faults fit the sources as they are, and are those of the list: `fuzz/planted`.
#![cfg(test)]

#[path = "../planted/planted.rs"]
mod planted;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use planted::{FAULTS, Report};

/// Fewer would say little of a fuzzer.
const FAULTS_MIN: usize = 20;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("planted")
}

fn text(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// The numbers of the places in the patch, each with the file that it is in.
fn places(patch: &str) -> Vec<(usize, &str)> {
    let mut file = "";
    let mut places = Vec::new();
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("+++ b/") {
            file = path;
            continue;
        }
        let added = line.strip_prefix('+').unwrap_or_default();
        for call in added.split("planted::fault(").skip(1) {
            let digits = call.split(',').next().unwrap();
            places.push((digits.parse().unwrap(), file));
        }
    }
    places.sort();
    places
}

/// The patch applies without a guess at a place: `fuzz/planted/run copy` and `save` mend it.
#[test]
fn every_fault_can_be_planted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let patch = Command::new("patch")
        .args(["--dry-run", "--forward", "--fuzz=0", "-p1", "--input"])
        .arg(folder().join("faults.patch"))
        .current_dir(root)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&patch.stdout);
    assert!(patch.status.success(), "{said}");
}

#[test]
fn each_fault_of_the_list_has_one_place_and_no_other_has() {
    let (list, patch) = (text("faults.tsv"), text("faults.patch"));
    let mut rows = list.lines();
    let columns = "fault\tname\tCWE\tfile\twhat is wrong\ttriggered when\tseen by";
    assert_eq!(rows.next(), Some(columns));
    let mut listed = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.split('\t').collect();
        let [number, name, cwe, file, wrong, triggered, seen_by] = cells[..] else {
            panic!("{row}: not seven cells");
        };
        assert!(cwe.parse::<u32>().is_ok(), "{row}");
        assert!(![name, wrong, triggered, seen_by].contains(&""), "{row}");
        listed.push((number.parse().unwrap(), file));
    }
    assert_eq!(listed, places(&patch));
    let numbers: Vec<usize> = listed.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, Vec::from_iter(1..=FAULTS));
    assert!(numbers.len() >= FAULTS_MIN);
}

#[test]
fn no_fault_is_live_where_none_was_chosen() {
    assert!(!planted::fault(1, true));
    // A number that nobody has is no end of the program.
    assert!(!planted::fault(FAULTS + 1, true));
}

#[test]
fn a_report_goes_on_where_another_process_left_it() {
    let path = std::env::temp_dir().join(format!("planted-{}.tsv", std::process::id()));
    let _ = fs::remove_file(&path);
    let told = |times: usize| {
        let report = Report::at(Some(path.clone()));
        (0..times).for_each(|_| report.count(7, planted::Event::Triggered));
        let text = fs::read_to_string(&path).unwrap();
        let words = |line: &str| line.split_once('\t').unwrap().1.to_owned();
        text.lines().map(words).collect::<Vec<_>>()
    };
    let first = ["triggered\t7\t1", "triggered\t7\t2", "triggered\t7\t4"];
    assert_eq!(told(5), first);
    // At least four times by now, and these make seven.
    assert_eq!(told(3), first);
    assert_eq!(told(4).last().unwrap(), "triggered\t7\t8");
    let time = fs::read_to_string(&path).unwrap();
    assert!(time.split('\t').next().unwrap().parse::<f64>().unwrap() > 1e9);
    fs::remove_file(&path).unwrap();
}
