"""The proxies as processes: each with the page's configuration, and around it the least that the
program needs to run in a directory of its own."""

import csv
import io
import os
import signal
import socket
import subprocess
import sys
import time

from page import SOCKET, UPSTREAM, put

SITE = "chat.example"
# The page's time-outs, and what they are here. framegate pings more often than that.
TIMEOUT_ON_PAGE_SECONDS = 60
TIMEOUT_SECONDS = 3
PATIENCE_SECONDS = 30
# Who is root gives the proxies the users that Debian's packages give them.
IS_ROOT = os.geteuid() == 0


def until(condition, what):
    """Waits for `condition`, and returns what it came to and how long that took."""
    start = time.monotonic()
    while time.monotonic() - start < PATIENCE_SECONDS:
        found = condition()
        if found:
            return found, time.monotonic() - start
        time.sleep(0.05)
    raise TimeoutError(f"{what}: not within {PATIENCE_SECONDS} s")


class Process:
    """A program of ours, with its log. Ends with all that it has started."""

    def __init__(self, words, log, **options):
        self.log = log
        with open(log, "ab") as file:
            self.child = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                **options,
            )

    def signal(self, number):
        assert self.child.poll() is None, f"it ended: see {self.log}"
        os.kill(self.child.pid, number)

    def stop(self):
        if self.child.poll() is None:
            os.kill(self.child.pid, signal.SIGTERM)
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            pass
        try:
            # The group is the child's own, and what is left of it.
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()

    def logged(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()


class Proxy:
    """What the four have in common. A configuration's ports and paths are all that is changed."""

    name = ""
    # Debian's, of the proxy's user: framegate's socket is of this group.
    group = "www-data"
    # What the proxy sends when a ban makes framegate turn a client away.
    banned = (503,)
    # Whether an idle WebSocket ends by the proxy's time-out.
    has_timeout = True
    keeps_on_reload = True

    def __init__(self, entry, work, port, gate):
        self.entry = entry
        self.work = work
        self.port = port
        self.gate = gate
        self.authority = f"{work}/../chat.example.pem"
        self.process = None

    def file(self, name, text=None):
        path = os.path.join(self.work, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path

    def site(self, over_socket):
        """The page's configuration, with framegate where it is here."""
        if over_socket:
            upstream = put(self.entry.socket, SOCKET, self.socket_seen())
        else:
            upstream = rf"\g<1>127.0.0.1:{self.gate.port}"
        return UPSTREAM.sub(upstream, self.entry.configuration)

    def socket_seen(self):
        return self.gate.socket

    def certified(self, text):
        return put(text, f"/etc/ssl/{SITE}", f"{os.path.dirname(self.work)}/{SITE}")

    def start(self, over_socket=False):
        words, environment = self.prepare(self.site(over_socket))
        environment = {**os.environ, **environment}
        self.process = Process(words, self.file("log"), env=environment)

    def is_running(self):
        return self.process.child.poll() is None

    def reload(self):
        """Returns when the reload is done."""
        count = self.process.logged().count(self.reloaded)
        self.process.signal(self.reload_signal)
        until(
            lambda: self.process.logged().count(self.reloaded) > count,
            f"{self.name} says {self.reloaded!r}",
        )

    def stop(self):
        if self.process:
            self.process.stop()
        self.process = None

    def sees_no_gate(self):
        """Whether the proxy's own health check has found framegate away."""
        raise NotImplementedError


class Nginx(Proxy):
    name = "nginx"
    reload_signal = signal.SIGHUP
    reloaded = "gracefully shutting down"
    sees_no_gate = None

    @staticmethod
    def version():
        words = ["nginx", "-v"]
        text = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=True).stderr
        return text.split("/")[1].split()[0]

    def prepare(self, site):
        site = self.certified(site)
        site = put(site, "listen 443", f"listen 127.0.0.1:{self.port}")
        site = put(site, f"timeout {TIMEOUT_ON_PAGE_SECONDS}s", f"timeout {TIMEOUT_SECONDS}s")
        self.file("site", site)
        paths = "".join(
            f"{kind}_temp_path {self.work}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # A second server has nothing but what nginx does by itself: HTTP/1.0, and no Host of ours.
        user = f"user {self.group};" if IS_ROOT else ""
        main = f"""
{user}
pid {self.work}/pid;
daemon off;
error_log stderr notice;
worker_processes 1;
events {{}}
http {{
access_log off;
{paths}
include {self.work}/site;
server {{
listen 127.0.0.1:{self.port + 1};
location / {{ proxy_pass http://127.0.0.1:{self.gate.port}; }}
}}
}}
"""
        words = ["nginx", "-p", self.work, "-e", "stderr", "-c", self.file("nginx.conf", main)]
        return words, {}


class HAProxy(Proxy):
    name = "HAProxy"
    group = "haproxy"
    reload_signal = signal.SIGUSR2
    reloaded = "Loading success"
    # framegate resets a banned client's connection after the PROXY header, and HAProxy has no
    # answer to give.
    banned = (502, 503)

    @staticmethod
    def version():
        words = ["haproxy", "-v"]
        text = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
        return text.split()[2].split("-")[0]

    def socket_seen(self):
        # From its chroot, which Debian's configuration has too.
        return "/" + os.path.basename(self.gate.socket) if IS_ROOT else self.gate.socket

    def prepare(self, site):
        site = self.certified(site)
        site = put(site, "bind :443", f"bind 127.0.0.1:{self.port}")
        site = put(site, f"tunnel {TIMEOUT_ON_PAGE_SECONDS}s", f"tunnel {TIMEOUT_SECONDS}s")
        own = f"chroot {self.gate.home}\n    user haproxy\n    group haproxy" if IS_ROOT else ""
        main = f"""
global
    {own}
    stats socket {self.work}/stats
    log stdout format raw daemon
defaults
    log global
    mode http
    option httplog
    timeout connect 5000
    timeout client 50000
    timeout server 50000
{site}"""
        return ["haproxy", "-W", "-f", self.file("haproxy.cfg", main)], {}

    def sees_no_gate(self):
        return self.status() != "UP"

    def status(self):
        with socket.socket(socket.AF_UNIX) as stats:
            stats.connect(self.file("stats"))
            stats.sendall(b"show stat\n")
            text = b"".join(iter(lambda: stats.recv(65536), b"")).decode()
        rows = csv.DictReader(io.StringIO(text.removeprefix("# ")))
        (status,) = (row["status"] for row in rows if row["svname"] == "framegate")
        return status.split()[0]


class Caddy(Proxy):
    """The newer one of two: Debian's is older than `stream_close_delay`."""

    name = "Caddy"
    program = os.path.join(sys.prefix, "bin", "caddy")
    has_timeout = False

    @classmethod
    def version(cls):
        words = [cls.program, "version"]
        text = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
        return text.split()[0].removeprefix("v")

    def prepare(self, site):
        main = f"""{{
    admin 127.0.0.1:{self.port + 1}
    local_certs
    skip_install_trust
    auto_https disable_redirects
    http_port {self.port + 2}
    https_port {self.port}
    default_bind 127.0.0.1
}}
{site}"""
        self.authority = f"{self.work}/caddy/pki/authorities/local/root.crt"
        words = [self.program, "run", "--adapter", "caddyfile", "--config"]
        return [*words, self.file("Caddyfile", main)], self.environment()

    def environment(self):
        return {"HOME": self.work, "XDG_DATA_HOME": self.work, "XDG_CONFIG_HOME": self.work}

    def reload(self):
        words = [self.program, "reload", "--force", "--adapter", "caddyfile"]
        words += ["--config", self.file("Caddyfile"), "--address", f"127.0.0.1:{self.port + 1}"]
        environment = {**os.environ, **self.environment()}
        with open(self.process.log, "ab") as log:
            subprocess.run(words, env=environment, stdout=log, stderr=log, check=True)

    def sees_no_gate(self):
        return "health_checker.active" in self.process.logged()


class OldCaddy(Caddy):
    """Debian's. What it does not know is left away, and then a reload ends every WebSocket."""

    program = "/usr/bin/caddy"
    keeps_on_reload = False

    def prepare(self, site):
        lines = site.splitlines(keepends=True)
        old = [line for line in lines if "stream_close_delay" not in line]
        assert len(old) == len(lines) - 1
        return super().prepare("".join(old))


class Apache(Proxy):
    name = "Apache"
    reload_signal = signal.SIGUSR1
    reloaded = "resuming normal operations"

    @staticmethod
    def version():
        words = ["apache2", "-v"]
        text = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
        return text.split("/")[1].split()[0]

    def prepare(self, site):
        site = self.certified(site)
        site = put(site, "*:443", f"127.0.0.1:{self.port}")
        site = put(site, f"timeout={TIMEOUT_ON_PAGE_SECONDS}", f"timeout={TIMEOUT_SECONDS}")
        directory = "/usr/lib/apache2/modules"
        # What Debian has without being asked, and what the page says to enable.
        modules = ["mpm_event", "authz_core", "headers", "ssl", "proxy", "proxy_http"]
        modules += ["proxy_balancer", "proxy_hcheck", "lbmethod_byrequests", "slotmem_shm"]
        load = "\n".join(f"LoadModule {name}_module {directory}/mod_{name}.so" for name in modules)
        user = f"User {self.group}\nGroup {self.group}" if IS_ROOT else ""
        main = f"""
ServerRoot {self.work}
DefaultRuntimeDir {self.work}
PidFile {self.work}/pid
ErrorLog /dev/stderr
Timeout {TIMEOUT_SECONDS}
LogLevel info
ServerName {SITE}
{load}
{user}
Listen 127.0.0.1:{self.port}
{site}"""
        return ["apache2", "-DFOREGROUND", "-f", self.file("apache2.conf", main)], {}

    def sees_no_gate(self):
        return "Health check DISABLING" in self.process.logged()


KINDS = (Nginx, HAProxy, OldCaddy, Caddy, Apache)
