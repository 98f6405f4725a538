// What the servers here share, so that only their WebSocket library tells them apart: how they
// are started, whose token a frame carries, by jsonwebtoken, and who is logged in.
"use strict";

const { createSecretKey } = require("node:crypto");
const { parseArgs } = require("node:util");
const jwt = require("jsonwebtoken");

const CREATED_AT = 1_700_000_000;

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    // Give the library the secret as text, from which it makes a key for every token anew.
    "text-secret": { type: "boolean", default: false },
  },
});

const secret = setting("LOCAL_JWT_SECRET");
const key = options["text-secret"] ? secret : createSecretKey(secret, "utf8");

// `aa`, `ab` and so on to `zz`: users are few, and their tokens short.
const letter = (number) => String.fromCharCode(97 + (number % 26));
const users = new Map();
for (let number = 0; number < Number(setting("USERS")); number += 1) {
  const id = letter(Math.floor(number / 26)) + letter(number);
  users.set(id, { id, name: `User ${id}`, createdAt: CREATED_AT });
}

// How many logged-in connections each user has; none is no entry.
const online = new Map();

function setting(name) {
  const value = process.env[name];
  if (value) return value;
  console.error(`${name} is not set`);
  process.exit(2);
}

// The user whose token this is, or undefined.
function verify(token) {
  try {
    const { sub, exp } = jwt.verify(token, key, { algorithms: ["HS256"] });
    return exp !== undefined && users.has(sub) ? sub : undefined;
  } catch {
    return undefined;
  }
}

function enter(user) {
  online.set(user, (online.get(user) ?? 0) + 1);
}

function leave(user) {
  const count = online.get(user) - 1;
  if (count > 0) online.set(user, count);
  else online.delete(user);
}

// The data of an answer to getUser, or undefined.
function find(id) {
  const user = users.get(id);
  return user && { ...user, online: online.has(id) };
}

function listen(server) {
  server.listen(Number(options.port), "127.0.0.1", () => {
    console.log(`listening on 127.0.0.1:${server.address().port}`);
  });
}

module.exports = { verify, enter, leave, find, listen };
