"""Prints the regions that `llvm-cov export` found covered, by file and by room.

    coverage.py JSON [--lines]
    coverage.py JSON --csv TIME

The exit status is 1 when a room has no regions: then its sources are elsewhere, or were not measured. With
--csv, one line of all files of ours: TIME, and of lines and of regions the percentage and the count covered.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

ROOMS = ["src/wire", "src/gate", "src/server", "src/turn"]


def main() -> int:
    with open(sys.argv[1]) as file:
        [data] = json.load(file)["data"]
    root = Path.cwd()
    files = {}
    for file in data["files"]:
        path = Path(file["filename"])
        if path.is_relative_to(root):
            files[str(path.relative_to(root))] = file
    if not files:
        print(f"coverage: no file under {root} was measured", file=sys.stderr)
        return 1
    if sys.argv[2:3] == ["--csv"]:
        counted = [total(files.values(), what) for what in ("lines", "regions")]
        print(sys.argv[3], *(f"{100 * covered / count:.2f},{covered}" for covered, count in counted), sep=",")
        return 0
    missing = []
    for room in ROOMS:
        inside = {path: file for path, file in files.items() if path.startswith(f"{room}/")}
        for path in sorted(inside):
            regions = inside[path]["summary"]["regions"]
            print(row(path, regions["covered"], regions["count"]))
            if "--lines" in sys.argv[2:]:
                for line in uncovered_lines(inside[path]):
                    print(line)
        covered, count = total(inside.values(), "regions")
        print(row(f"{room}, all", covered, count))
        print()
        if count == 0:
            missing.append(room)
    if missing:
        print(f"coverage: no regions of {', '.join(missing)} under {root} were measured", file=sys.stderr)
    return 1 if missing else 0


def total(files: Iterable[dict], what: str) -> tuple[int, int]:
    """How many of the files' lines or regions are covered, and how many there are."""
    summaries = [file["summary"][what] for file in files]
    return sum(summary["covered"] for summary in summaries), sum(summary["count"] for summary in summaries)


def row(name: str, covered: int, count: int) -> str:
    percent = f"{100 * covered / count:7.2f} %" if count else "        –"
    return f"{name:40} {covered:6} of {count:6} {percent}"


def uncovered_lines(file: dict) -> list[str]:
    """The lines on which a region begins that nothing reached, with their text."""
    text = Path(file["filename"]).read_text().splitlines()
    lines = set()
    for line, _column, count, has_count, is_entry, is_gap in file["segments"]:
        if has_count and is_entry and not is_gap and count == 0:
            lines.add(line)
    return [f"    {line:4}  {text[line - 1].strip()}" for line in sorted(lines)]


sys.exit(main())
