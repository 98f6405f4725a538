"""Tokens by PyJWT: prints some that must be accepted, or verifies one of framegate's."""

import os
import sys
import time

import jwt

secret = os.environ["GATE_SECRET"]
now = int(time.time())

if "--verify" in sys.argv:
    claims = jwt.decode(sys.stdin.readline().strip(), secret, algorithms=["HS256"])
    assert claims["sub"] == "carol" and claims["exp"] > now, claims
    print("PyJWT accepts framegate's token")
else:
    # carol logs out nowhere: after a logout, a token that says no `iat` is taken as revoked, and one
    # that framegate mints in the same second is dated in the next, which PyJWT does not accept yet.
    for claims in (
        {"sub": "carol", "exp": now + 60},
        {"sub": "carol", "exp": now + 60, "iat": now, "nbf": now},
        {"sub": "carol", "exp": now + 60, "jti": "x", "roles": ["a", {"b": 1.5}]},
    ):
        print(jwt.encode(claims, secret, algorithm="HS256", headers={"kid": "1"}))
