#!/usr/bin/env python3
"""Tables of what `fuzz/planted/run` has measured. The three files lie in WORK.

    table.py measured WORK                   measured.tsv and sound.tsv from the reports; the table
    table.py table WORK                      the table again
    table.py who WORK FAULT                  the finders that triggered the fault, the soonest first
    table.py noticed WORK FINDER FAULT       whether the finder noticed it: a line, also of noticed.tsv

measured.tsv  when each finder reached and triggered each fault, none of them live
sound.tsv     what a finder said all the same: a finding of ours, or a bound that this machine is too slow for
noticed.tsv   which finder noticed which fault when that was live
"""

import itertools
import pathlib
import re
import sys

FAULTS = pathlib.Path(__file__).with_name("faults.tsv")
NOT_FUZZERS = ["simulator", "hostile"]
# Where a claim did not hold, which promise was broken, and which attack was not withstood.
PANIC = re.compile(r".* panicked at (.*):$")
PROMISE = re.compile(r"seed \d+, step \d+ of \d+: (.*)")
ATTACK = re.compile(r"\| ([^|]*) \|.*DOES NOT HOLD\*\*(.*)\|")


def rows(path):
    path = pathlib.Path(path)
    return [line.split("\t") for line in path.read_text().splitlines()] if path.exists() else []


def write(path, table):
    pathlib.Path(path).write_text("".join("\t".join(row) + "\n" for row in table))


def faults():
    return rows(FAULTS)[1:]


def report(path):
    """The first time and the last count of each event of each fault, and when the first of all was."""
    first, count = {}, {}
    for time, event, fault, number in rows(path):
        first.setdefault((event, fault), float(time))
        count[event, fault] = max(count.get((event, fault), 0), int(number))
    return first, count, min(first.values(), default=None)


def said(log):
    """What a finder said that it has noticed: in words, by where or in which attack."""
    lines = pathlib.Path(log).read_text(errors="replace").splitlines()
    claims = {}
    for at, line in enumerate(lines):
        if match := PANIC.match(line):
            words = itertools.takewhile(lambda line: line != "stack backtrace:", lines[at + 1 : at + 4])
            claims.setdefault(match[1], " ".join(word.strip() for word in words))
        elif match := PROMISE.match(line):
            claims.setdefault(re.sub(r"\d+", "0", match[1]), match[1])
        elif match := ATTACK.match(line):
            claims.setdefault(match[1], match[1] + match[2])
    return {key: ascii(text)[1:-1][:200] for key, text in claims.items()}


def last_line(log):
    lines = pathlib.Path(log).read_text(errors="replace").split("\n")
    return ascii(next((line for line in reversed(lines) if line.strip()), "nothing"))[1:-1][:200]


def measured(work):
    table = ["fault CWE finder seconds reached triggered times_reached times_triggered".split()]
    sound, failed = [], []
    for end in sorted((work / "reports").glob("*.end")):
        finder, status, _, seconds = rows(end)[0]
        first, count, began = report(end.with_suffix(".tsv"))
        if began is None:
            failed.append(f"{finder} reached nothing: see {end.with_suffix('.log')}")
        elif status != "0":
            log = end.with_suffix(".log")
            claims = said(log) or {f"ended with {status}": last_line(log)}
            sound += [[finder, key, text] for key, text in claims.items()]
        for fault, _, cwe, *_ in faults():
            events = [(event, fault) for event in ("reached", "triggered")]
            times = [f"{first[event] - began:.1f}" if event in first else "" for event in events]
            table.append([fault, cwe, finder, seconds, *times, *(str(count.get(event, 0)) for event in events)])
    write(work / "measured.tsv", table)
    write(work / "sound.tsv", sound)
    print_table(work)
    if failed:
        sys.exit("\n".join(failed))


def place(engine):
    """Fuzzers come ahead of the others."""
    return (engine in NOT_FUZZERS, NOT_FUZZERS.index(engine) if engine in NOT_FUZZERS else engine)


def cell(times):
    """When the soonest target of an engine triggered a fault, and which that was."""
    triggered = [(float(row[5]), row[2]) for row in times if row[5]]
    if triggered:
        time, finder = min(triggered)
        return f"{time:.1f} {finder.partition(':')[2]}".rstrip()
    if not any(row[4] for row in times):
        return "–"
    # The suite takes as long as it takes.
    return "no" if times[0][2] == "hostile" else f"not in {times[0][3]}"


def print_table(work):
    times = rows(work / "measured.tsv")[1:]
    engines = sorted({row[2].partition(":")[0] for row in times}, key=place)
    seen = {}
    for fault, finder, verdict, seconds, *_ in rows(work / "noticed.tsv"):
        if verdict == "noticed":
            seen.setdefault(fault, f"{seconds} {finder.partition(':')[2] or finder}")
    print("| | fault | CWE | " + " | ".join(engines) + " | noticed, when live |")
    print("| ---: | --- " + "| --- " * (len(engines) + 2) + "|")
    missed = []
    for fault, name, cwe, *_ in faults():
        mine = [row for row in times if row[0] == fault]
        cells = [cell([row for row in mine if row[2].partition(":")[0] == engine]) for engine in engines]
        print(f"| {fault} | {name} | {cwe} | {' | '.join(cells)} | {seen.get(fault, '')} |")
        if not any(row[5] for row in mine):
            missed.append(name)
    print(f"\ntriggered by none: {', '.join(missed) or 'no fault'}")
    for finder, _, text in rows(work / "sound.tsv"):
        print(f"none live, and yet {finder} said: {text}")


def who(work, fault):
    times = rows(work / "measured.tsv")[1:]
    found = [(float(row[5]), row[2]) for row in times if row[0] == fault and row[5]]
    for _, finder in sorted(found):
        print(finder)


def noticed(work, finder, fault):
    end = work / "reports" / f"{finder}.end"
    _, status, ended, seconds = rows(end)[0]
    _, _, began = report(end.with_suffix(".tsv"))
    sound = {row[1] for row in rows(work / "sound.tsv") if row[0] == finder}
    log = end.with_suffix(".log")
    claims = said(log)
    # A finder that has words of its own tells by how it ends.
    if status != "0" and not claims:
        claims = {f"ended with {status}": last_line(log)}
    new = [text for key, text in claims.items() if key not in sound]
    if began is None:
        row = [fault, finder, "did not run", "", str(log)]
    elif status == "0" or not new:
        row = [fault, finder, "not noticed", seconds, ""]
    else:
        row = [fault, finder, "noticed", f"{float(ended) - began:.1f}", new[0]]
    others = [other for other in rows(work / "noticed.tsv") if other[:2] != [fault, finder]]
    write(work / "noticed.tsv", [*others, row])
    print("\t".join(row))


if __name__ == "__main__":
    command, directory, *arguments = sys.argv[1:]
    commands = {"measured": measured, "table": print_table, "who": who, "noticed": noticed}
    commands[command](pathlib.Path(directory), *arguments)
