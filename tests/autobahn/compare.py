"""The two ends of an Autobahn run, for Python 2.7 and 3.

    compare.py spec WORK URL CASE...            prints the suite's specification
    compare.py compare INDEX EXPECTED CASE...   compares the suite's index with what is expected

Cases are patterns like "6.4.*". Only a case that the suite itself never passes or fails may be
expected to be anything but OK.
"""

from __future__ import print_function

import fnmatch
import json
import sys

AGENT = "framegate"


def spec(work, url, *cases):
    print(json.dumps({
        "outdir": work + "/reports",
        "servers": [{"agent": AGENT, "url": url}],
        "cases": cases,
        "exclude-cases": ["12.*", "13.*"],
        "exclude-agent-cases": {},
    }))


def compare(index, expected, *patterns):
    with open(index) as file:
        results = json.load(file)[AGENT]
    with open(expected) as file:
        wanted = json.load(file)
    wanted = {case: wanted[case] for case in wanted
              if any(fnmatch.fnmatchcase(case, pattern) for pattern in patterns)}

    differences = 0
    for case in sorted(set(results) | set(wanted), key=natural):
        seen = results.get(case, {})
        seen = sorted({seen.get("behavior", "MISSING"), seen.get("behaviorClose", "MISSING")})
        if seen != [wanted.get(case, "OK")]:
            differences += 1
            print("autobahn: case %s: %s, expected %s" % (case, "/".join(seen), wanted.get(case, "OK")))

    behaviors = [result["behavior"] for result in results.values()]
    counts = ["%d %s" % (behaviors.count(name), name) for name in sorted(set(behaviors), reverse=True)]
    print("autobahn: %d cases: %s; %d not as expected" % (len(results), ", ".join(counts), differences))
    return 1 if differences or not results else 0


def natural(case):
    return [int(part) for part in case.split(".")]


if __name__ == "__main__":
    command, arguments = sys.argv[1], sys.argv[2:]
    sys.exit({"spec": spec, "compare": compare}[command](*arguments))
