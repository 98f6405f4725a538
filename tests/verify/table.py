"""Prints what each library says of the vectors: a table by class, then each token on which
they differ. Fails when ours says anything but what is wanted.

    table.py VECTORS OURS THEIRS...
"""

import json
import sys


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


vectors = load(sys.argv[1])
wanted = [vector["verdict"] == "accepted" for vector in vectors]
ours = load(sys.argv[2])
verdicts = dict(ours)
for path in sys.argv[3:]:
    verdicts.update(load(path))
assert all(len(verdict) == len(vectors) for verdict in verdicts.values())


def cell(library, members):
    """How many it accepts and we must not, and refuses and we must not."""
    lax = sum(verdicts[library][i] and not wanted[i] for i in members)
    strict = sum(wanted[i] and not verdicts[library][i] for i in members)
    return " ".join([f"+{lax}"] * (lax > 0) + [f"-{strict}"] * (strict > 0)) or "="


def row(name, members):
    refused = sum(not wanted[i] for i in members)
    cells = [name, str(refused), str(len(members) - refused)]
    print("| " + " | ".join(cells + [cell(library, members) for library in verdicts]) + " |")


classes = {}
for i, vector in enumerate(vectors):
    classes.setdefault(vector["class"], []).append(i)

print()
print("| class | to refuse | to accept | " + " | ".join(verdicts) + " |")
print("| --- | --- | --- |" + " --- |" * len(verdicts))
for name, members in classes.items():
    row(name, members)
row("all", range(len(vectors)))
print()
print("=: as wanted; +n: accepts n that are to be refused; -n: refuses n that are to be accepted.")
print()
print("Where they differ: to be accepted or refused, the token, and who does otherwise.")
for i, vector in enumerate(vectors):
    others = [library for library in verdicts if verdicts[library][i] != wanted[i]]
    if others:
        word = "accept" if wanted[i] else "refuse"
        print(f"{word}\t{vector['class']}\t{vector['name'][:100]}\t{', '.join(others)}")

sys.exit(any(verdict != wanted for verdict in ours.values()))
