"""Ends servers and campaigns in each way that they may end, and holds what `campaign.py` says of it.

    check.py [--framegate PROGRAM]

All at once, in some ten seconds. The exit status is 1 when a campaign goes on without its server, does not say
how it ended, or leaves something behind.
"""

import argparse
import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import campaign

# Longer than any case here lasts, so that a campaign that ends has noticed.
LONG_SECONDS = 60
SHORT_SECONDS = 4
# To notice that the server is gone, or does not answer, on a machine that does other things too.
NOTICE_SECONDS = 25
START_SECONDS = 20
# The server writes its process id, so that it can be found.
STARTER = """#!/bin/sh
[ "$1" != serve ] || echo $$ >"$PID_FILE"
exec "$FRAMEGATE" "$@"
"""


class Case:
    """A campaign in a folder for its temporary files alone, and the id of its server."""

    def __init__(self, program: Path, seconds: int):
        self.home = tempfile.TemporaryDirectory(prefix="framegate-check-")
        home = Path(self.home.name)
        self.temporary = home / "tmp"
        self.temporary.mkdir()
        self.pid_file = home / "pid"
        starter = home / "framegate"
        starter.write_text(STARTER)
        starter.chmod(0o700)
        environment = {
            **os.environ,
            "TMPDIR": str(self.temporary),
            "PID_FILE": str(self.pid_file),
            "FRAMEGATE": str(program),
        }
        command = [sys.executable, campaign.__file__, str(seconds), "--framegate", str(starter)]
        self.campaign = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def server(self) -> int:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.pid_file.exists() and (text := self.pid_file.read_text()).endswith("\n"):
                return int(text)
            time.sleep(0.05)
        raise AssertionError("the server was not started")

    def finish(self, seconds: float) -> tuple[int, str]:
        try:
            said, _ = self.campaign.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.campaign.kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.server(), signal.SIGKILL)
            said, _ = self.campaign.communicate()
            raise AssertionError(f"it did not end within {seconds} s: {said}") from None
        left = [path.name for path in self.temporary.iterdir()]
        assert not left, f"left behind: {left}"
        assert not Path(f"/proc/{self.server()}").exists(), "the server was left behind"
        self.home.cleanup()
        return self.campaign.returncode, said


def server_hit(program: Path, by: signal.Signals, words: str) -> None:
    """Sends the server a signal, in the middle of a campaign."""
    case = Case(program, LONG_SECONDS)
    server = case.server()
    time.sleep(2)
    os.kill(server, by)
    status, said = case.finish(NOTICE_SECONDS)
    assert status == 1, f"exit status {status}: {said}"
    assert words in said and "; the last case: upgrade:[" in said, said


def campaign_hit(program: Path, by: signal.Signals) -> None:
    """Stops the campaign itself."""
    case = Case(program, LONG_SECONDS)
    case.server()
    time.sleep(1)
    case.campaign.send_signal(by)
    status, said = case.finish(NOTICE_SECONDS)
    assert status == 128 + by, f"exit status {status}: {said}"


def nothing_hit(program: Path) -> None:
    """A sound server, to the end."""
    case = Case(program, SHORT_SECONDS)
    status, said = case.finish(SHORT_SECONDS + NOTICE_SECONDS)
    assert status == 0 and "nothing was found" in said, f"exit status {status}: {said}"


def ended_while_looked_at() -> None:
    """The process ends after its last answer: /proc has no memory of it any more, and nobody has waited for it."""
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    server = campaign.Server(process, 0)
    server.is_well = lambda: True
    found = server.fault()
    assert found == "the process ended with status 0", found


def hangs() -> None:
    """boofuzz does not come back: only what is outside of it can end the campaign."""
    campaign.OVERTIME_SECONDS = 0
    campaign.campaigns = lambda *_: time.sleep(NOTICE_SECONDS)
    signal.signal(signal.SIGALRM, campaign.hangs)
    process = subprocess.Popen(["sleep", str(LONG_SECONDS)])
    server = campaign.Server(process, 0)
    server.is_well = lambda: True
    began = time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()):
        found = campaign.attack(server, 1)
    process.kill()
    process.wait()
    assert time.monotonic() - began < NOTICE_SECONDS and "was not over" in (found or ""), found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framegate", type=Path, default=Path("target/release/framegate"))
    program = parser.parse_args().framegate.resolve()
    checks = {
        "killed": (server_hit, program, signal.SIGKILL, "the process ended by SIGKILL"),
        "aborted": (server_hit, program, signal.SIGABRT, "the process ended by SIGABRT"),
        "ended by itself": (server_hit, program, signal.SIGTERM, "the process ended with status 0"),
        "stopped": (server_hit, program, signal.SIGSTOP, "it does not answer, in state T (stopped)"),
        "campaign interrupted": (campaign_hit, program, signal.SIGINT),
        "campaign terminated": (campaign_hit, program, signal.SIGTERM),
        "sound": (nothing_hit, program),
        "ended while looked at": (ended_while_looked_at,),
    }
    failed = 0
    with ThreadPoolExecutor(len(checks)) as pool:
        running = {name: pool.submit(*check) for name, check in checks.items()}
        # Alarms come to the main thread alone.
        running["hangs"] = Future()
        try:
            running["hangs"].set_result(hangs())
        except AssertionError as error:
            running["hangs"].set_exception(error)
        for name, check in running.items():
            if (error := check.exception()) is not None:
                print(f"{name}: {error}")
                failed += 1
    print(f"the monitor: {len(running) - failed} of {len(running)} ends were noticed as they should be")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
