"""PyJWT and joserfc: tokens they sign, and their verdicts on the vectors.

    peers.py sign [named]    tokens that framegate must accept, one a line
    peers.py judge FILE      {"library": [accepted, ...], ...}
"""

import base64
import datetime
import json
import os
import sys
import time
import warnings

import jwt
import jwt.api_jwt
from joserfc import jwk
from joserfc import jwt as joserfc

NOW = int(time.time())

# What a token may say and still be one of ours.
SHAPES = [
    {},
    {"iat": NOW, "nbf": NOW},
    {"iat": NOW - 5, "jti": "2f1c", "roles": ["a", {"b": [1.5, None, True]}]},
    {"name": 'Jürgen "x" 😀', "http://example.com/is_root": True},
    {"exp": 253402300799},
    {"sub": "!~" * 64},
]


def claims_of(named):
    names = [{"iss": "joe", "aud": "us"}, {"iss": "joe", "aud": ["them", "us"]}] if named else [{}]
    for name in names:
        for shape in SHAPES:
            yield {"sub": "alice", "exp": NOW + 600, **name, **shape}


def sign(named):
    secret = os.environ["SECRET"]
    key = jwk.OctKey.import_key(secret)
    for claims in claims_of(named):
        print(jwt.encode(claims, secret, algorithm="HS256", headers={"kid": "1"}))
        print(jwt.encode(claims, secret, algorithm="HS256", headers={"typ": None}))
        print(joserfc.encode({"alg": "HS256"}, claims, key))


def pyjwt_judges(vector, secret):
    class Clock(datetime.datetime):
        """PyJWT reads a clock and takes none."""

        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(vector["now"], tz)

    jwt.api_jwt.datetime = Clock
    jwt.decode(
        vector["token"],
        secret,
        algorithms=["HS256"],
        leeway=vector["leeway"],
        issuer=vector["issuer"],
        audience=vector["audience"],
        options={"require": ["exp", "sub"]},
    )


def joserfc_judges(vector, secret):
    token = joserfc.decode(vector["token"], jwk.OctKey.import_key(secret), algorithms=["HS256"])
    wanted = {"sub": {"essential": True}, "exp": {"essential": True}}
    for claim, value in (("iss", vector["issuer"]), ("aud", vector["audience"])):
        if value is not None:
            wanted[claim] = {"essential": True, "value": value}
    registry = joserfc.JWTClaimsRegistry(now=vector["now"], leeway=vector["leeway"], **wanted)
    registry.validate(token.claims)


def accepts(peer, vector):
    secret = base64.urlsafe_b64decode(vector["secret"] + "==")
    try:
        peer(vector, secret)
    except Exception:  # whatever it raises, it is a refusal
        return False
    return True


def judge(path):
    warnings.simplefilter("ignore")
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)
    peers = {"PyJWT": pyjwt_judges, "joserfc": joserfc_judges}
    verdicts = {name: [accepts(peer, v) for v in vectors] for name, peer in peers.items()}
    print(json.dumps(verdicts))


if sys.argv[1] == "sign":
    sign("named" in sys.argv)
else:
    judge(sys.argv[2])
