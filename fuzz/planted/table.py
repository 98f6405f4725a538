#!/usr/bin/env python3
"""Tables of what `fuzz/planted/run` has measured.

    table.py measured REPORTS OUT            a row for each fault and finder into OUT; prints the table
    table.py table MEASURED NOTICED          the table again, with who noticed what
    table.py who MEASURED FAULT              the finders that triggered the fault, the soonest first
    table.py noticed REPORTS FINDER FAULT OUT  whether the finder noticed it; a line, also into OUT
"""

import pathlib
import re
import sys

FAULTS = pathlib.Path(__file__).with_name("faults.tsv")
# What shows that a finder has noticed something: a claim, a promise or a bound did not hold.
SAID = re.compile(r"^seed \d+, .*|.*DOES NOT HOLD\*\*: .*|^SUMMARY: .*|^ALARM.*")


def rows(path):
    lines = pathlib.Path(path).read_text().splitlines() if pathlib.Path(path).exists() else []
    return [line.split("\t") for line in lines]


def faults():
    return rows(FAULTS)[1:]


def report(path):
    """The first time and the last count of each event of each fault, and when the first of all was."""
    first, count = {}, {}
    for time, event, fault, number in rows(path):
        first.setdefault((event, fault), float(time))
        count[event, fault] = max(count.get((event, fault), 0), int(number))
    return first, count, min(first.values(), default=None)


def measured(reports, out):
    lines = ["fault\tCWE\tfinder\tseconds\treached\ttriggered\ttimes reached\ttimes triggered"]
    for end in sorted(pathlib.Path(reports).glob("*.end")):
        finder, status, _, seconds = rows(end)[0]
        first, count, began = report(end.with_suffix(".tsv"))
        if began is None:
            print(f"{finder} reached nothing: see {end.with_suffix('.log')}", file=sys.stderr)
        if status != "0":
            what = said(end.with_suffix(".log"))
            print(f"{finder} ended with {status}, though no fault is live: {what}", file=sys.stderr)
        for fault, _, cwe, *_ in faults():
            times = [first.get((event, fault)) for event in ("reached", "triggered")]
            cells = ["" if time is None else f"{time - began:.1f}" for time in times]
            counts = [str(count.get((event, fault), 0)) for event in ("reached", "triggered")]
            lines.append("\t".join([fault, cwe, finder, seconds, *cells, *counts]))
    pathlib.Path(out).write_text("\n".join(lines) + "\n")
    table(out, pathlib.Path(out).with_name("noticed.tsv"))


def place(engine):
    """Engines that fuzz come ahead of the others."""
    others = ["simulator", "hostile"]
    return (engine in others, others.index(engine) if engine in others else 0, engine)


def cell(of_engine, seconds):
    """When the soonest target of an engine triggered a fault, and which that was."""
    triggered = [(float(row[5]), row[2]) for row in of_engine if row[5]]
    if triggered:
        time, finder = min(triggered)
        target = finder.partition(":")[2]
        return f"{time:.1f} s {target}".rstrip()
    reached = any(row[4] for row in of_engine)
    return f"not in {seconds} s" if reached else "not reached"


def table(path, noticed_path):
    measured_rows = rows(path)[1:]
    engines = sorted({row[2].partition(":")[0] for row in measured_rows}, key=place)
    noticed_by = {}
    for fault, finder, verdict, seconds, *_ in rows(noticed_path):
        if verdict == "noticed":
            noticed_by.setdefault(fault, f"{seconds} s {finder.partition(':')[2] or finder}")
    print("| | fault | CWE | " + " | ".join(engines) + " | noticed, live |")
    print("| --- " * (len(engines) + 4) + "|")
    for fault, name, cwe, *_ in faults():
        cells = []
        for engine in engines:
            mine = [row for row in measured_rows if row[0] == fault and row[2].partition(":")[0] == engine]
            cells.append(cell(mine, mine[0][3]) if mine else "")
        print(f"| {fault} | {name} | {cwe} | " + " | ".join(cells) + f" | {noticed_by.get(fault, '')} |")
    missed = [fault for fault, *_ in faults() if not any(row[0] == fault and row[5] for row in measured_rows)]
    print(f"\ntriggered by nobody: {', '.join(missed) or 'none'}")


def who(path, fault):
    found = [(float(row[5]), row[2]) for row in rows(path)[1:] if row[0] == fault and row[5]]
    print("\n".join(finder for _, finder in sorted(found)))


def said(log):
    """What a finder said that it has noticed; of a panic the claim, else the line that tells."""
    lines = pathlib.Path(log).read_text(errors="replace").splitlines()
    for at, line in enumerate(lines):
        if " panicked at " in line:
            return " ".join(line.strip() for line in lines[at + 1 : at + 4])[:200]
        if SAID.match(line):
            return line[:200]
    return ""


def noticed(reports, finder, fault, out):
    end = pathlib.Path(reports) / f"{finder}.end"
    _, status, ended, seconds = rows(end)[0]
    _, _, began = report(end.with_suffix(".tsv"))
    what = said(end.with_suffix(".log"))
    if status == "0":
        verdict, time = "not noticed", seconds
    elif began is None or not what:
        verdict, time = "did not run", "0"
    else:
        verdict, time = "noticed", f"{float(ended) - began:.1f}"
    line = "\t".join([fault, finder, verdict, time, what])
    others = [row for row in rows(out) if row[:2] != [fault, finder]]
    pathlib.Path(out).write_text("".join("\t".join(row) + "\n" for row in others) + line + "\n")
    print(line)


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    {"measured": measured, "table": table, "who": who, "noticed": noticed}[command](*arguments)
