"""The configurations of docs/operations.md, and the table beside them."""

import re
from dataclasses import dataclass

# framegate in a configuration, as an address.
UPSTREAM = re.compile(r"(http://)?127\.0\.0\.1:7420")
SOCKET = "/run/framegate.sock"

# What a configuration is fenced as, by the name in the table.
FENCES = {"nginx": "nginx", "HAProxy": "haproxy", "Caddy": "caddy", "Apache": "apache"}


@dataclass
class Entry:
    """A proxy, as the page has it."""

    configuration: str
    # What `framegate serve` needs, as words.
    flags: list
    # What stands in the place of UPSTREAM where framegate listens on SOCKET.
    socket: str


def read(path):
    """Every proxy of the page by its name."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    page = text[text.index("\n## Behind a proxy\n") :]
    return {name: entry(page, name, fence) for name, fence in FENCES.items()}


def entry(page, name, fence):
    (configuration,) = re.findall(rf"^```{fence}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(UPSTREAM.findall(configuration)) == 1, f"{name} must name framegate once"
    (row,) = re.findall(rf"^\| {name} \|(.*)\|$", page, re.MULTILINE)
    cells = [cell.strip().strip("`") for cell in row.split(" | ")]
    _, flags, socket, _ = (cell.replace("\\|", "|") for cell in cells)
    assert SOCKET in socket, f"{name} must name {SOCKET}"
    return Entry(configuration, flags.split(), socket)


def put(text, old, new):
    """`text` with `new` for `old`, which must stand there."""
    assert old in text, f"{old!r} is not in:\n{text}"
    return text.replace(old, new)
