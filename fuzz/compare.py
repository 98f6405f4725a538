"""Says what the runs of `fuzz/compare` reached, and draws it.

    compare.py SECONDS FOLDER PICTURE
"""

import re
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 820, 300, 60, 40, 16, 40
ROOMS = ["src/wire", "src/gate", "src/server", "src/turn"]
STYLE = """.ground { fill: #ffffff } text { fill: #24292f } .axis { stroke: #57606a }
.signed { fill: #1f6f8b; stroke: #1f6f8b } .plain { fill: #8a9aa5; stroke: #8a9aa5 }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117 } text { fill: #e6edf3 } .axis { stroke: #8b949e }
.signed { fill: #4fb3d4; stroke: #4fb3d4 } .plain { fill: #6b7884; stroke: #6b7884 }
}
.line { fill: none; stroke-width: 2 } text { stroke: none }"""


def edges(log: str) -> list[tuple[float, int]]:
    """Edges by the share of a run's executions: libFuzzer does not say when."""
    found = [(int(runs), int(edges)) for runs, edges in re.findall(r"^#(\d+)\s.* cov: (\d+)", log, re.M)]
    shares = [(runs / found[-1][0], count) for runs, count in found]
    # A line of 200 points is as good to look at as one of thousands.
    return [point for at, point in enumerate(shares) if at % (len(shares) // 200 + 1) == 0] + shares[-1:]


def main() -> None:
    seconds, folder, picture = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    runs = {path.stem: edges(path.read_text()) for path in sorted(folder.glob("*-*.log"))}
    print(f"| run | edges | {' | '.join(f'`{room}`' for room in ROOMS)} | states |")
    print("| --- " * (3 + len(ROOMS)) + "|")
    for name, line in runs.items():
        told = (folder / f"{name}.regions").read_text()
        shares = [re.search(rf"^{room}, all .* ([0-9.]+ %)$", told, re.M).group(1) for room in ROOMS]
        states = re.search(r"^(\d+) states$", told, re.M).group(1)
        print(f"| {name} | {line[-1][1]} | {' | '.join(shares)} | {states} |")

    lowest = min(line[0][1] for line in runs.values()) // 500 * 500
    highest = (max(line[-1][1] for line in runs.values()) // 500 + 1) * 500

    def place(share: float, count: int) -> tuple[float, float]:
        x = LEFT + share * (WIDTH - LEFT - RIGHT)
        return x, HEIGHT - BOTTOM - (count - lowest) / (highest - lowest) * (HEIGHT - TOP - BOTTOM)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f"<style>\n{STYLE}\n</style>",
        '<rect class="ground" width="100%" height="100%"/>',
        f'<text x="{LEFT}" y="22">Edges that the target exchange reaches: '
        f"tokens signed again after each change, and libFuzzer's own changes</text>",
    ]
    for count in range(lowest, highest + 1, 500):
        x, y = place(0, count)
        out.append(f'<text x="{x - 8}" y="{y + 4:.0f}" text-anchor="end">{count}</text>')
        out.append(f'<line class="axis" x1="{x}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" opacity="0.25"/>')
    for share in (0, 0.5, 1):
        x, _ = place(share, lowest)
        anchor = {0: "start", 1: "end"}.get(share, "middle")
        label = f"{share * seconds:.0f} s"
        out.append(f'<text x="{x:.0f}" y="{HEIGHT - 16}" text-anchor="{anchor}">{label}</text>')
    for name, line in runs.items():
        kind = name.split("-")[0]
        points = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in line)
        out.append(f'<polyline class="{kind} line" points="{points}"/>')
        if name.endswith("-1"):
            x, y = place(1, line[-1][1])
            out.append(f'<text x="{x - 4}" y="{y - 10:.0f}" text-anchor="end">{kind}</text>')
    out.append("</svg>")
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text("\n".join(out) + "\n")


main()
