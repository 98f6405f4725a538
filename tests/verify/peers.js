// jsonwebtoken, jose and fast-jwt: tokens they sign, and their verdicts on the vectors.
//
//     peers.js sign [named]    tokens that framegate must accept, one a line
//     peers.js judge FILE      {"library": [accepted, ...], ...}
"use strict";

const fs = require("node:fs");
const { pathToFileURL } = require("node:url");
const jsonwebtoken = require("jsonwebtoken");
const fastJwt = require("fast-jwt");
// It is a module of the newer kind, which NODE_PATH does not lead to.
const loadJose = () => import(pathToFileURL(require.resolve("jose")));

const now = Math.floor(Date.now() / 1000);

// What a token may say and still be one of ours.
const shapes = [
  {},
  { iat: now, nbf: now },
  { iat: now - 5, jti: "2f1c", roles: ["a", { b: [1.5, null, true] }] },
  { name: "Jürgen \"x\" 😀", "http://example.com/is_root": true },
  { exp: 253402300799 },
  { sub: "!~".repeat(64) },
];

function claimsOf(named) {
  const names = named ? [{ iss: "joe", aud: "us" }, { iss: "joe", aud: ["them", "us"] }] : [{}];
  return names.flatMap((name) => shapes.map((shape) => ({ sub: "alice", exp: now + 600, ...name, ...shape })));
}

async function sign(named) {
  const secret = process.env.SECRET;
  const jose = await loadJose();
  for (const claims of claimsOf(named)) {
    const options = { algorithm: "HS256", noTimestamp: true };
    console.log(jsonwebtoken.sign(claims, secret, { ...options, keyid: "1" }));
    console.log(fastJwt.createSigner({ key: secret, ...options })(claims));
    for (const header of [{ alg: "HS256" }, { alg: "HS256", typ: "jwt", kid: "1", x: [1] }]) {
      const signer = new jose.SignJWT(claims).setProtectedHeader(header);
      console.log(await signer.sign(Buffer.from(secret)));
    }
  }
}

// Each is told all that ours is told, and told to be as strict as it can.
const peers = {
  jsonwebtoken(vector, secret) {
    jsonwebtoken.verify(vector.token, secret, {
      algorithms: ["HS256"],
      clockTimestamp: vector.now,
      clockTolerance: vector.leeway,
      issuer: vector.issuer ?? undefined,
      audience: vector.audience ?? undefined,
    });
  },
  async jose(vector, secret) {
    const jose = await loadJose();
    await jose.jwtVerify(vector.token, secret, {
      algorithms: ["HS256"],
      currentDate: new Date(vector.now * 1000),
      clockTolerance: vector.leeway,
      issuer: vector.issuer ?? undefined,
      audience: vector.audience ?? undefined,
      requiredClaims: ["sub", "exp"],
    });
  },
  "fast-jwt"(vector, secret) {
    fastJwt.createVerifier({
      key: secret,
      algorithms: ["HS256"],
      clockTimestamp: vector.now * 1000,
      clockTolerance: vector.leeway * 1000,
      allowedIss: vector.issuer ?? undefined,
      allowedAud: vector.audience ?? undefined,
      // Names that are asked for are checked only where they are.
      requiredClaims: ["sub", "exp", ...(vector.issuer ? ["iss"] : []), ...(vector.audience ? ["aud"] : [])],
      cache: false,
    })(vector.token);
  },
};

async function accepts(peer, vector) {
  try {
    await peer(vector, Buffer.from(vector.secret, "base64url"));
    return true;
  } catch {
    return false;
  }
}

async function judge(file) {
  const verdicts = {};
  for (const [name, peer] of Object.entries(peers)) {
    verdicts[name] = [];
    for (const vector of JSON.parse(fs.readFileSync(file, "utf8"))) {
      verdicts[name].push(await accepts(peer, vector));
    }
  }
  console.log(JSON.stringify(verdicts));
}

const [mode, argument] = process.argv.slice(2);
(mode === "sign" ? sign(argument === "named") : judge(argument)).catch((error) => {
  console.error(error);
  process.exit(1);
});
