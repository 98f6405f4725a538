"""Drives framegate with Python's websockets and aiohttp, and tokens of PyJWT."""

import asyncio
import json
import os
import time

import aiohttp
import jwt
import websockets

URL = os.environ["GATE_URL"]
GATE_SECRET = os.environ["GATE_SECRET"]


def token(user, **claims):
    claims = {"sub": user, "exp": int(time.time()) + 60, **claims}
    return jwt.encode(claims, GATE_SECRET, algorithm="HS256")


async def ask(socket, **frame):
    await socket.send(json.dumps(frame))
    return json.loads(await asyncio.wait_for(socket.recv(), 5))


async def refused(code, error, **frame):
    """One frame that must be the last: its error, and the close code behind it."""
    async with websockets.connect(URL) as socket:
        answer = await ask(socket, **frame)
        assert answer["event"] == "error" and answer["data"]["code"] == error, answer
        try:
            await asyncio.wait_for(socket.recv(), 5)
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd.code == code, closed
        else:
            raise AssertionError("the connection lives on")


async def heads():
    """An answer to HEAD has no content, which aiohttp would take for another answer."""
    origin = URL.replace("ws:", "http:").removesuffix("/ws")
    async with aiohttp.ClientSession() as session:
        for path, status in ("/health", 200), ("/nope", 404), ("/login", 405):
            async with session.head(origin + path) as answer:
                assert answer.status == status, answer
        async with session.get(origin + "/health") as answer:
            assert await answer.text() == "ok\n", answer


async def main():
    async with websockets.connect(URL) as alice, websockets.connect(
        URL, additional_headers={"Authorization": "Bearer " + token("bob")}
    ) as bob:
        login = await ask(
            alice, event="login", id=1, data={"id": "alice", "password": "alice's password"}
        )
        good = login["data"]["token"]
        assert jwt.decode(good, GATE_SECRET, algorithms=["HS256"])["sub"] == "alice"
        user = await ask(alice, token=good, event="getUser", id=2, data={"id": "bob"})
        assert user["data"]["online"] is True, user
        sent = await ask(alice, token=good, event="message", id=3, data={"text": "grüße 🌍"})
        assert sent["from"] == "alice", sent
        assert json.loads(await alice.recv())["data"] == {"delivered": 2}
        heard = json.loads(await asyncio.wait_for(bob.recv(), 5))
        assert heard["data"] == {"text": "grüße 🌍"}, heard

    offered = ["framegate.v1", "framegate.bearer." + token("alice")]
    async with websockets.connect(URL, subprotocols=offered) as socket:
        assert socket.subprotocol == "framegate.v1"

    await refused(3000, "unauthorized", event="getUser", data={"id": "bob"})
    forged = jwt.encode({"sub": "alice", "exp": 2_000_000_000}, "x" * 32, algorithm="HS256")
    await refused(3000, "unauthorized", token=forged, event="getUser", data={"id": "bob"})
    await refused(3000, "token_expired", token=token("alice", exp=1_700_000_000), event="refresh")
    await refused(3003, "forbidden", token=token("nobody"), event="refresh")
    await heads()
    print("Python's websockets, aiohttp and PyJWT: login, getUser, message, four refusals, HEAD")


asyncio.run(main())
