"""A boofuzz campaign against a live server, with a monitor of its process.

    campaign.py SECONDS [--framegate PROGRAM]

It starts `framegate serve` on loopback in a folder of its own, and sends upgrades, frames, messages and
tokens that boofuzz changes. Tokens are signed and frames framed after the change, so that what was changed
is read. Before and after each case, and when a connection cannot be made, the monitor looks at the process:
does it run, does it answer a health check, has it as many descriptors as connections, does it keep its
memory. When it does not, the campaign is over: a line says what is wrong and which case was the last, the end
of the server's log follows, and the exit status is 1. However it ends, the server and the folder are gone.
"""

import argparse
import base64
import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boofuzz
from boofuzz import Block, Delim, FuzzableBlock, Group, Request, Session, Static, String, Target
from boofuzz.monitors import BaseMonitor

SECRET = "a secret of a fuzzing campaign that is no secret"
# What the process may have: some for itself, and those of connections that are on their way out.
DESCRIPTORS_MAX = 64
MEMORY_MIB_MAX = 64
PATIENCE_SECONDS = 5
# A case takes less than its waits for the network and one look at the process; what takes longer hangs.
OVERTIME_SECONDS = 2 * PATIENCE_SECONDS
LOG_LINES_SHOWN = 5


def base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Part(FuzzableBlock):
    """A header or claims, in base64url (RFC 7515 section 7.1)."""

    def encode(self, value, mutation_context):
        return base64url(self.get_child_data(mutation_context))


class Token(FuzzableBlock):
    """Two parts and a dot between them, signed as they are."""

    def encode(self, value, mutation_context):
        message = self.get_child_data(mutation_context)
        tag = hmac.new(SECRET.encode(), message, hashlib.sha256).digest()
        return message + b"." + base64url(tag)


class Frame(FuzzableBlock):
    """A Text frame of a client, with a mask that changes nothing (RFC 6455 section 5.2)."""

    def encode(self, value, mutation_context):
        payload = self.get_child_data(mutation_context)
        length = len(payload)
        if length <= 125:
            header = bytes([0x81, 0x80 | length])
        elif length <= 65_535:
            header = bytes([0x81, 0x80 | 126]) + length.to_bytes(2, "big")
        else:
            header = bytes([0x81, 0x80 | 127]) + length.to_bytes(8, "big")
        return header + bytes(4) + payload


def token(name: str, now: int) -> Token:
    def part(name: str, members: list) -> Part:
        return Part(name=name, children=(Static(f"{name}-open", "{"), *members, Static(f"{name}-close", "}")))

    header = part("header", [Static("alg-name", '"alg":'), String("alg", '"HS256"')])
    claims = part(
        "claims",
        [
            Static("sub-name", '"sub":'),
            String("sub", '"alice"'),
            Static("exp-name", ',"exp":'),
            String("exp", str(now + 86_400)),
            Static("iat-name", ',"iat":'),
            String("iat", str(now)),
        ],
    )
    return Token(name=name, children=(header, Static("dot", "."), claims))


def upgrade() -> Request:
    lines = {
        "Host": "localhost",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    parts = [
        Group("method", ["GET", "HEAD", "POST", "OPTIONS", "TRACE"]),
        Delim("space", " "),
        String("target", "/ws"),
        Static("version", " HTTP/1.1\r\n"),
    ]
    for name, value in lines.items():
        parts += [
            String(f"{name}-name", name),
            Delim(f"{name}-colon", ":"),
            String(f"{name}-value", " " + value),
            Static(f"{name}-end", "\r\n"),
        ]
    return Request("upgrade", children=(*parts, Static("end", "\r\n")))


def message(event: str, data: str, now: int) -> Request:
    # They are changed in this order, the token last.
    parts = (
        Static("event-name", '{"event":'),
        String("event", f'"{event}"'),
        Static("id-name", ',"id":'),
        String("id", '"1"'),
        Static("data-name", ',"data":'),
        String("data", data),
        Static("token-name", ',"token":"'),
        token("token", now),
        Static("end", '"}'),
    )
    return Request(event, children=(Frame("frame", children=(Block("text", children=parts),)),))


class Over(BaseException):
    """Ends a campaign. boofuzz goes on after an `Exception`, and tries again without end."""


class Overtime(BaseException):
    """Ends all campaigns, wherever they are."""


class Server(BaseMonitor):
    """The process, and what is asked of it around each case."""

    def __init__(self, process: subprocess.Popen, port: int):
        self.process = process
        self.port = port
        self.why = None
        self.case = "none"

    def wait_until_well(self) -> bool:
        until = time.monotonic() + PATIENCE_SECONDS
        while not self.is_well():
            if self.process.poll() is not None or time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def is_well(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def fault(self) -> str | None:
        """What is wrong with the process, if anything is."""
        try:
            if self.is_well():
                return self.too_much()
            found = f"it does not answer, {self.state()}"
        except (OSError, LookupError, ValueError) as error:
            # What /proc says of a process that is about to end lacks the one or the other.
            found = f"/proc does not tell how it is: {error!r}"
        # It may be on its way out: then how it ended says more.
        try:
            return ended(self.process.wait(1))
        except subprocess.TimeoutExpired:
            return found

    def status(self, name: str) -> str:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return status.split(f"{name}:")[1].splitlines()[0].strip()

    def state(self) -> str:
        return f"in state {self.status('State')}"

    def too_much(self) -> str | None:
        descriptors = len(os.listdir(f"/proc/{self.process.pid}/fd"))
        if descriptors > DESCRIPTORS_MAX:
            return f"{descriptors} descriptors are open"
        memory = int(self.status("VmRSS").split()[0]) // 1024
        if memory > MEMORY_MIB_MAX:
            return f"{memory} MiB of memory are used"
        return None

    def look(self) -> None:
        self.why = self.why or self.fault()
        if self.why:
            raise Over

    def pre_send(self, target=None, fuzz_data_logger=None, session=None):
        self.look()
        self.case = session.current_test_case_name

    def post_send(self, target=None, fuzz_data_logger=None, session=None):
        self.look()
        return True

    def restart_target(self, target=None, fuzz_data_logger=None, session=None):
        # Called when a connection was not made, or was lost. The process is never begun anew.
        self.look()
        return False

    def get_crash_synopsis(self):
        return self.why or "none"

    def end(self) -> str | None:
        """Stops the process, and says what was wrong with how it ended."""
        self.process.terminate()
        try:
            status = self.process.wait(PATIENCE_SECONDS)
            return ended(status) if status else None
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return f"it does not stop within {PATIENCE_SECONDS} s of a SIGTERM"


def ended(status: int) -> str:
    how = f"with status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"
    return f"the process ended {how}"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Counts:
    """What was sent, and how much of it was read."""

    cases = 0
    read = 0


def campaign(server: Server, counts: Counts, messages: list, name: str, seconds: float) -> None:
    """Changes one of the requests for so many seconds, or until something is found."""
    until = time.monotonic() + seconds

    def count(*_args, session=None, **_more):
        counts.cases += 1
        # What is answered, and not for its form or its token, has a token that was found good.
        heard = session.last_recv or b""
        refused = any(code in heard for code in (b'"code":"bad_frame"', b'"code":"unauthorized"'))
        counts.read += b'{"event":"' in heard and not refused
        if time.monotonic() > until:
            raise Over

    connection = boofuzz.TCPSocketConnection("127.0.0.1", server.port, send_timeout=1, recv_timeout=0.05)
    session = Session(
        target=Target(connection=connection, monitors=[server]),
        fuzz_loggers=[],
        post_test_case_callbacks=[count],
        web_port=None,
        receive_data_after_each_request=True,
        receive_data_after_fuzz=True,
        check_data_received_each_request=False,
        # Each attempt looks at the process first. If it is well and yet takes no connection, that is a finding.
        restart_sleep_time=0.1,
        restart_timeout=PATIENCE_SECONDS,
        crash_threshold_request=1,
        crash_threshold_element=1,
    )
    opened = upgrade()
    session.connect(opened)
    for request in messages:
        session.connect(opened, request)
    try:
        session.fuzz(name=name)
    except Over:
        return
    server.why = f"it takes no connection, or no cases of {name} are left"


def start(program: Path, port: int, log) -> Server:
    environment = {**os.environ, "LOCAL_JWT_SECRET": SECRET}
    settings = ["--listen", f"127.0.0.1:{port}", "--ban-after", "0", "--connect-rate", "0"]
    subprocess.run(
        [program, "user", "add", "alice", "--no-password"], env=environment, stdout=log, stderr=log, check=True
    )
    process = subprocess.Popen([program, "serve", *settings], env=environment, stdout=log, stderr=log)
    return Server(process, port)


def campaigns(server: Server, counts: Counts, seconds: int) -> None:
    now = int(time.time())
    messages = [
        message("getUser", '{"id":"alice"}', now),
        message("message", '"hello"', now),
        message("refresh", "{}", now),
    ]
    share = seconds / (1 + len(messages))
    for name in ["upgrade", *(f"upgrade->{request.name}" for request in messages)]:
        if not server.why:
            campaign(server, counts, messages, name, share)


def hangs(*_signal):
    """Ends what does not end by itself, whatever boofuzz is about."""
    raise Overtime


def stopped(number, _frame):
    # Once: a second one must not stop what is cleared away.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def attack(server: Server, seconds: int) -> str | None:
    """Runs the campaigns, prints what they did, and says what was found."""
    counts = Counts()
    began = time.monotonic()
    # Again and again, should it come where it is not heeded.
    signal.setitimer(signal.ITIMER_REAL, seconds + OVERTIME_SECONDS, 1)
    try:
        campaigns(server, counts, seconds)
    except Overtime:
        server.why = server.why or server.fault() or f"a case was not over {OVERTIME_SECONDS} s after the time"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    took = time.monotonic() - began
    server.why = server.why or server.end()
    if not server.why and counts.read == 0:
        server.why = "no token was found good, the server was not reached"
    found = f"{server.why}; the last case: {server.case}" if server.why else "nothing was found"
    print(
        f"{counts.cases} cases in {took:.0f} s ({counts.cases / took:.0f} a second), "
        f"{counts.read} with a good token: {found}",
        flush=True,
    )
    return server.why


def run(program: Path, seconds: int, log: Path) -> bool:
    """Whether nothing was found."""
    with log.open("wb") as file:
        server = start(program, free_port(), file)
    try:
        if not server.wait_until_well():
            print("the server does not start")
            return False
        return attack(server, seconds) is None
    finally:
        server.end()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=int)
    parser.add_argument("--framegate", type=Path, default=Path("target/release/framegate"))
    arguments = parser.parse_args()
    program = arguments.framegate.resolve()
    signal.signal(signal.SIGALRM, hangs)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, stopped)
    with tempfile.TemporaryDirectory(prefix="framegate-campaign-") as folder:
        os.chdir(folder)
        log = Path("log")
        try:
            if run(program, arguments.seconds, log):
                return 0
        except subprocess.CalledProcessError as error:
            print(error)
        print("the end of the server's log:")
        print("\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]))
        return 1


if __name__ == "__main__":
    sys.exit(main())
