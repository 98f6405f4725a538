"""A boofuzz campaign against a live server, with a monitor of its process.

    campaign.py SECONDS [--framegate PROGRAM]

It starts `framegate serve` on loopback in a folder of its own, and sends upgrades, frames, messages and
tokens that boofuzz changes. Tokens are signed and frames framed after the change, so that what was changed
is read. After each case the monitor looks at the process: does it run, does it answer a health check, has it
as many descriptors as connections, does it keep its memory. The exit status is 1 when it does not, and the
case is printed; the folder is kept then.
"""

import argparse
import base64
import hashlib
import hmac
import http.client
import json
import os
import shutil
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


class Server(BaseMonitor):
    """The process, and what is asked of it after each case."""

    def __init__(self, program: Path, folder: Path, port: int):
        self.port = port
        self.why = None
        environment = {**os.environ, "LOCAL_JWT_SECRET": SECRET}
        settings = ["--listen", f"127.0.0.1:{port}", "--ban-after", "0", "--connect-rate", "0"]
        subprocess.run([program, "user", "add", "alice", "--no-password"], cwd=folder, env=environment, check=True)
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(
            [program, "serve", *settings], cwd=folder, env=environment, stdout=self.log, stderr=self.log
        )
        until = time.monotonic() + PATIENCE_SECONDS
        while not self.is_well():
            if self.process.poll() is not None or time.monotonic() > until:
                sys.exit(f"the server does not start: {(folder / 'log').read_text().strip()}")
            time.sleep(0.05)

    def is_well(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def fault(self):
        """What is wrong with the process, if anything is."""
        if self.process.poll() is not None:
            return f"the process ended with {self.process.returncode}"
        if not self.is_well():
            return "the health check fails"
        descriptors = len(os.listdir(f"/proc/{self.process.pid}/fd"))
        if descriptors > DESCRIPTORS_MAX:
            return f"{descriptors} descriptors are open"
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        memory = int(status.split("VmRSS:")[1].split()[0]) // 1024
        if memory > MEMORY_MIB_MAX:
            return f"{memory} MiB of memory are used"
        return None

    def post_send(self, target=None, fuzz_data_logger=None, session=None):
        self.why = self.why or self.fault()
        return self.why is None

    def get_crash_synopsis(self):
        return self.why or "none"

    def end(self):
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)
        self.log.close()


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
        if server.why or time.monotonic() > until:
            raise KeyboardInterrupt

    connection = boofuzz.TCPSocketConnection("127.0.0.1", server.port, send_timeout=1, recv_timeout=0.05)
    session = Session(
        target=Target(connection=connection, monitors=[server]),
        fuzz_loggers=[],
        post_test_case_callbacks=[count],
        web_port=None,
        receive_data_after_each_request=True,
        receive_data_after_fuzz=True,
        check_data_received_each_request=False,
        restart_sleep_time=0,
        crash_threshold_request=1,
        crash_threshold_element=1,
    )
    opened = upgrade()
    session.connect(opened)
    for request in messages:
        session.connect(opened, request)
    try:
        session.fuzz(name=name)
    except KeyboardInterrupt:
        pass


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=int)
    parser.add_argument("--framegate", type=Path, default=Path("target/release/framegate"))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="framegate-campaign-"))
    port = free_port()
    server = Server(arguments.framegate.resolve(), folder, port)
    began = time.monotonic()
    os.chdir(folder)
    now = int(time.time())
    messages = [
        message("getUser", '{"id":"alice"}', now),
        message("message", '"hello"', now),
        message("refresh", "{}", now),
    ]
    counts = Counts()
    share = arguments.seconds / (1 + len(messages))
    campaign(server, counts, messages, "upgrade", share)
    for request in messages:
        campaign(server, counts, messages, f"upgrade->{request.name}", share)
    cases, read = counts.cases, counts.read
    seconds = time.monotonic() - began
    print(
        f"{cases} cases in {seconds:.0f} s ({cases / seconds:.0f} a second), {read} with a good token: "
        f"{server.why or 'nothing was found'}"
    )
    server.end()
    if server.why:
        print(f"the folder: {folder}")
        return 1
    if read == 0:
        print("no token was found good: the server was not reached")
        return 1
    os.chdir("/")
    shutil.rmtree(folder)
    return 0


sys.exit(main())
