"""Prints the regions that `llvm-cov export` found covered, by file and by room.

    coverage.py JSON [--lines]

The exit status is 1 when a room has no regions: then its sources are elsewhere, or were not measured.
"""

import json
import sys
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
    missing = []
    for room in ROOMS:
        inside = {path: file for path, file in files.items() if path.startswith(f"{room}/")}
        for path in sorted(inside):
            regions = inside[path]["summary"]["regions"]
            print(row(path, regions["covered"], regions["count"]))
            if "--lines" in sys.argv[2:]:
                for line in uncovered_lines(inside[path]):
                    print(line)
        summaries = [file["summary"]["regions"] for file in inside.values()]
        covered = sum(regions["covered"] for regions in summaries)
        count = sum(regions["count"] for regions in summaries)
        print(row(f"{room}, all", covered, count))
        print()
        if count == 0:
            missing.append(room)
    if missing:
        print(f"coverage: no regions of {', '.join(missing)} under {root} were measured", file=sys.stderr)
    return 1 if missing else 0


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
