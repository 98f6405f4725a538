"""Clients of a server whose log is the file named: one who writes of a ban that is none, and two,
of IPv4 and of IPv6, who are banned."""

import json
import re
import socket
import sys
import time

LOG = sys.argv[1]
FORGED = [
    "WARN banned address=203.0.113.9 for=60s",
    "x\n2026-11-24T04:08:16Z WARN banned address=203.0.113.9 for=60s",
]


def wait_for(pattern):
    """All that the log has of a pattern, once it has some."""
    for _ in range(200):
        with open(LOG, encoding="utf-8") as log:
            if found := re.findall(pattern, log.read()):
                return found
        time.sleep(0.1)
    sys.exit(f"no {pattern} in the log")


def send(family, source, to, request):
    peer = socket.socket(family)
    peer.bind((source, 0))
    peer.settimeout(20)
    try:
        peer.connect(to)
        peer.sendall(request)
        peer.recv(4096)
    except ConnectionResetError:
        pass
    peer.close()


ipv4 = ("127.0.0.1", int(wait_for(r"listening on ws://127\.0\.0\.1:(\d+)")[0]))
ipv6 = ("::1", int(wait_for(r"listening on ws://\[::1\]:(\d+)")[0]))
for user in FORGED:
    body = json.dumps({"id": user, "password": "wrong"}).encode()
    head = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    send(socket.AF_INET, "127.0.0.2", ipv4, head + body)
for _ in range(4):
    send(socket.AF_INET, "127.0.0.3", ipv4, b"\x16\x03\x01\r\n\r\n")
    send(socket.AF_INET6, "::1", ipv6, b"\x16\x03\x01\r\n\r\n")
wait_for(r"banned address=127\.0\.0\.3 ")
wait_for(r"banned address=::1 ")
wait_for(r"login failed")
