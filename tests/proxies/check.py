"""What clients see of framegate through each proxy of docs/operations.md, as one table."""

import asyncio
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import page
from proxies import IS_ROOT, KINDS, SITE, TIMEOUT_SECONDS, Process, until

# Addresses of clients; the proxies' own is 127.0.0.1.
FRIEND = "127.0.0.66"
VILLAIN = "127.0.0.67"
LIE = "203.0.113.9"
BAN_AFTER = 5
# Longer than the proxy's time-out.
IDLE_SECONDS = 2 * TIMEOUT_SECONDS
PASSWORD = "alice's password"
CREDENTIALS = json.dumps({"id": "alice", "password": PASSWORD}).encode()


class Gate:
    """A framegate with one user, started anew for other settings."""

    def __init__(self, program, log, port, flags, group):
        self.program = program
        self.log = log
        self.port = port
        self.flags = flags
        self.group = group
        # A Unix socket's path is short, and the proxy's user must come that far.
        self.home = tempfile.mkdtemp(prefix="framegate-proxies-")
        os.chmod(self.home, 0o755)
        self.socket = os.path.join(self.home, "framegate.sock")
        self.process = None
        secret = self.run("secret").strip()
        with open(os.path.join(self.home, ".env"), "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(f"LOCAL_JWT_SECRET={secret}\n")
        self.run("user", "add", "alice", "--password-stdin", said=PASSWORD + "\n")

    def environment(self):
        return {"FRAMEGATE_PASSWORD_MEMORY": "64KiB"}

    def run(self, *words, said=""):
        done = subprocess.run(
            [self.program, *words],
            cwd=self.home,
            env=self.environment(),
            input=said,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def token(self):
        return self.run("token", "mint", "alice").strip()

    def start(self, ping_interval="500ms", over_socket=False):
        words = [self.program, "serve", *self.flags, "--log", "debug", "--log-rate", "0"]
        words += ["--ban-after", str(BAN_AFTER), "--login-rate", "0"]
        words += ["--ping-interval", ping_interval, "--pong-timeout", "2s"]
        options = {"cwd": self.home, "env": self.environment()}
        if over_socket:
            words += ["--listen", f"unix:{self.socket}"]
            # SOCKET_MODE lets the group in, which is the proxy's.
            if IS_ROOT:
                options["group"] = self.group
        else:
            words += ["--listen", f"127.0.0.1:{self.port}"]
        self.process = Process(words, self.log, **options)
        self.wait_for_log("listening on")

    def wait_for_log(self, text, since=0):
        """The line with `text`, of those after the byte `since`."""

        def line():
            lines = self.process.logged()[since:].splitlines()
            return next((line for line in lines if text in line), None)

        return until(line, f"{text!r} in {self.log}")[0]

    def stop(self):
        if self.process:
            self.process.stop()
        self.process = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


class Peer:
    """An open WebSocket. It answers pings while it is waited for, and only then."""

    def __init__(self, loop, socket):
        self.loop = loop
        self.socket = socket

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.run_until_complete(self.socket.close())

    def hear(self, seconds=10):
        return self.loop.run_until_complete(asyncio.wait_for(self.socket.recv(), seconds))

    def rest(self, seconds):
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def call(self, **frame):
        self.loop.run_until_complete(self.socket.send(json.dumps(frame)))
        return json.loads(self.hear())

    def log_in(self):
        answer = self.call(event="login", id=1, data={"id": "alice", "password": PASSWORD})
        return answer["data"]["token"]

    def lives(self, token):
        answer = self.call(token=token, event="getUser", id=2, data={"id": "alice"})
        return answer["data"]["online"]


class Client:
    """A browser's or another's way through the proxy, from an address of its own."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.host = f"{SITE}:{proxy.port}"
        self.loop = asyncio.new_event_loop()

    def context(self):
        return ssl.create_default_context(cafile=self.proxy.authority)

    def ask(self, method, path, fields=(), body=b"", address=FRIEND):
        """A request written as it stands here; its status and its content."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}", *fields, "", ""]
        dialled = socket.create_connection(("127.0.0.1", self.proxy.port), 10, (address, 0))
        with self.context().wrap_socket(dialled, server_hostname=SITE) as stream:
            stream.sendall("\r\n".join(lines).encode() + body)
            response = http.client.HTTPResponse(stream, method=method)
            response.begin()
            return response.status, response.read()

    def open(self, address=FRIEND, origin=None, fields=()):
        opening = connect(
            f"wss://{self.host}/ws",
            host="127.0.0.1",
            local_addr=(address, 0),
            ssl=self.context(),
            server_hostname=SITE,
            origin=origin or f"https://{self.host}",
            additional_headers=fields,
            open_timeout=10,
            ping_interval=None,
            compression=None,
            proxy=None,
        )
        return Peer(self.loop, self.loop.run_until_complete(opening.__aenter__()))

    def refused(self, **options):
        """The status that an upgrade is refused with."""
        try:
            with self.open(**options):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code


class Look:
    """All that is looked at through one proxy: the methods whose names begin with `see_`, in
    their order. Each returns what was seen; what is wrong is an AssertionError."""

    def __init__(self, gate, proxy):
        self.gate = gate
        self.proxy = proxy
        self.client = Client(proxy)
        self.seen = {}

    def run(self):
        self.gate.start()
        self.proxy.start()
        until(self.answers, "the proxy answers")
        for name, see in rows():
            try:
                self.seen[name] = see(self), True
            except Exception as miss:
                traceback.print_exc(file=sys.stderr)
                lines = str(miss).splitlines() or [""]
                self.seen[name] = f"{type(miss).__name__}: {lines[0]}".replace("|", "/"), False

    def see_upgrade(self):
        """upgrade, `Origin` of its own page; login; getUser"""
        with self.client.open() as peer:
            assert peer.lives(peer.log_in())
        return "101"

    def see_foreign_page(self):
        """upgrade, `Origin` of another page"""
        # It has the host, and not the port.
        return expect(403, self.client.refused(origin=f"https://{SITE}"))

    def see_login(self):
        """`POST /login`"""
        fields = [f"Content-Length: {len(CREDENTIALS)}"]
        return expect(200, self.client.ask("POST", "/login", fields, CREDENTIALS)[0])

    def see_chunks(self):
        """`POST /login`, chunked"""
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(CREDENTIALS), CREDENTIALS)
        return expect(
            200, self.client.ask("POST", "/login", ["Transfer-Encoding: chunked"], body)[0]
        )

    def see_health(self):
        """`GET /health`"""
        return expect((200, b"ok\n"), self.client.ask("GET", "/health"))[0]

    def see_head(self):
        """`HEAD /health`"""
        return expect(200, self.client.ask("HEAD", "/health")[0])

    def see_address(self):
        """the client's address in the log, whatever the client says it is"""
        since = len(self.gate.process.logged())
        fields = {"X-Forwarded-For": LIE, "Forwarded": f"for={LIE}"}
        with self.client.open(fields=fields) as peer:
            peer.log_in()
            line = self.gate.wait_for_log("logged in", since)
        return expect(FRIEND, line.split("peer=")[1].split(":")[0])

    def see_ban(self):
        """a banned client, and another"""
        forged = {"Authorization": f"Bearer {self.gate.token()[:-4]}AAAA"}
        for _ in range(BAN_AFTER + 1):
            expect(401, self.client.refused(address=VILLAIN, fields=forged))
        self.gate.wait_for_log(f"banned address={VILLAIN}")
        banned = self.client.refused(address=VILLAIN)
        assert banned in self.proxy.banned, banned
        return f"{banned}, {expect(101, self.client.refused())}"

    def see_idle(self):
        """idle for twice the proxy's time-out"""
        with self.client.open() as peer:
            token = peer.log_in()
            peer.rest(IDLE_SECONDS)
            assert peer.lives(token)
        return "open"

    def see_reload(self):
        """a WebSocket while the proxy reloads"""
        with self.client.open() as peer:
            token = peer.log_in()
            self.proxy.reload()
            peer.rest(1)
            expect(200, self.client.ask("GET", "/health")[0])
            try:
                seen = "kept" if peer.lives(token) else "lost"
            except ConnectionClosed as closed:
                seen = f"closed, {closed.rcvd.code if closed.rcvd else 'no code'}"
        assert (seen == "kept") == self.proxy.keeps_on_reload, seen
        return seen

    def see_check(self):
        """its health check, framegate away and back; nginx: plain `proxy_pass`, HTTP/1.0"""
        if not self.proxy.sees_no_gate:
            health, login = self.plainly("GET", "/health"), self.plainly("POST", "/login")
            return f"{expect(200, health)}, {expect(200, login)}"
        assert not self.proxy.sees_no_gate()
        self.gate.stop()
        until(self.proxy.sees_no_gate, "framegate is found away")
        # From here on nothing but the proxy could hold a silent connection.
        self.gate.start(ping_interval="1h")
        _, seconds = until(self.is_served, "framegate is found again")
        return f"away; back after {seconds:.0f} s"

    def answers(self):
        """Whether the proxy does, whatever it says."""
        assert self.proxy.is_running(), "the proxy ended"
        try:
            return self.client.ask("GET", "/health")[0]
        except OSError:
            return None

    def plainly(self, method, path):
        """The status of a request to the proxy's second port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port + 1, timeout=10)
        connection.request(method, path, CREDENTIALS if method == "POST" else None)
        return connection.getresponse().status

    def is_served(self):
        return self.answers() == 200

    def see_silence(self):
        """idle where framegate sends no ping"""
        self.gate.stop()
        self.gate.start(ping_interval="1h")
        until(self.is_served, "framegate is found again")
        with self.client.open() as peer:
            start = time.monotonic()
            with contextlib.suppress(TimeoutError, ConnectionClosed):
                peer.hear(IDLE_SECONDS)
            seconds = time.monotonic() - start
            is_open = seconds >= IDLE_SECONDS
        assert is_open != self.proxy.has_timeout, f"after {seconds:.1f} s"
        return "open" if is_open else f"closed after {seconds:.0f} s"

    def see_socket(self):
        """over a Unix socket: upgrade, and the client's address"""
        self.proxy.stop()
        self.gate.stop()
        self.gate.start(over_socket=True)
        self.proxy.start(over_socket=True)
        until(self.is_served, "framegate is found")
        expect(0o660, stat.S_IMODE(os.stat(self.gate.socket).st_mode))
        return f"101, {self.see_address()}"


def rows():
    """What is looked at, in order, by the first line of its text."""
    return [
        (see.__doc__, see)
        for name, see in vars(Look).items()
        if name.startswith("see_")
    ]


def expect(right, seen):
    assert seen == right, f"{seen!r} in the place of {right!r}"
    return seen


def certify(work):
    """A certificate of our own, as the page names its files."""
    certificate, key = f"{work}/{SITE}.pem", f"{work}/{SITE}.key"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    words += ["-nodes", "-subj", f"/CN={SITE}", "-addext", f"subjectAltName=DNS:{SITE}"]
    words += ["-days", "2", "-keyout", key, "-out", certificate]
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    # HAProxy looks for the key beside the certificate, as chat.example.pem.key, or in it.
    with open(certificate, "a", encoding="ascii") as file:
        file.write(pathlib.Path(key).read_text(encoding="ascii"))


def main(program, path, work, port):
    entries = page.read(path)
    certify(work)
    looks = []
    for index, kind in enumerate(KINDS):
        own = f"{work}/{kind.__name__}"
        shutil.rmtree(own, ignore_errors=True)
        os.mkdir(own)
        entry = entries[kind.name]
        log = f"{own}/framegate.log"
        gate = Gate(program, log, port + 10 * index, entry.flags, kind.group)
        proxy = kind(entry, own, port + 10 * index + 1, gate)
        looks.append(Look(gate, proxy))
    try:
        threads = [threading.Thread(target=look.run, daemon=True) for look in looks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        for look in looks:
            look.proxy.stop()
            look.gate.remove()
    print("| what | " + " | ".join(f"{kind.name} {kind.version()}" for kind in KINDS) + " |")
    print("| --- |" + " --- |" * len(KINDS))
    nothing = ("nothing: it did not start", False)
    misses = 0
    for name, _ in rows():
        cells = [look.seen.get(name, nothing) for look in looks]
        misses += sum(not is_right for _, is_right in cells)
        shown = [f"{seen}" if is_right else f"**{seen}**" for seen, is_right in cells]
        print(f"| {name} | " + " | ".join(shown) + " |")
    print(f"\n{len(rows()) * len(looks) - misses} seen as they should be, {misses} not; see {work}")
    return 1 if misses else 0


if __name__ == "__main__":
    # A stop from outside ends what was started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    port = int(os.environ.get("PROXIES_PORT", "22000"))
    sys.exit(main(os.path.realpath(sys.argv[1]), sys.argv[2], os.path.realpath(sys.argv[3]), port))
