// Drives framegate with Node's ws and tokens of jsonwebtoken; with --verify, verifies one of
// framegate's own.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const jwt = require("jsonwebtoken");
const WebSocket = require("ws");

const url = process.env.GATE_URL;
const secret = process.env.GATE_SECRET;
const mint = (user, options) => jwt.sign({}, secret, { subject: user, expiresIn: 60, ...options });

class Peer {
  constructor(...options) {
    this.socket = new WebSocket(url, ...options);
    this.heard = [];
    this.closed = new Promise((resolve) => this.socket.on("close", (code) => resolve(code)));
    this.socket.on("message", (data) => {
      this.heard.push(JSON.parse(data));
      this.wake?.();
    });
  }

  open() {
    return new Promise((resolve, reject) => {
      this.socket.on("open", () => resolve(this));
      this.socket.on("error", reject);
    });
  }

  say(frame) {
    this.socket.send(JSON.stringify(frame));
  }

  async hear() {
    while (this.heard.length === 0) {
      await new Promise((resolve, reject) => {
        this.wake = resolve;
        setTimeout(() => reject(new Error("nothing heard for 5 s")), 5000).unref();
      });
    }
    return this.heard.shift();
  }
}

async function refused(code, error, frame) {
  const peer = await new Peer().open();
  peer.say(frame);
  assert.equal((await peer.hear()).data.code, error);
  assert.equal(await peer.closed, code);
}

async function main() {
  const alice = await new Peer().open();
  const bob = await new Peer({ headers: { Authorization: `Bearer ${mint("bob")}` } }).open();
  alice.say({ event: "login", id: "a", data: { id: "alice", password: "alice's password" } });
  const { token } = (await alice.hear()).data;
  assert.equal(jwt.verify(token, secret, { algorithms: ["HS256"] }).sub, "alice");
  alice.say({ token: mint("alice"), event: "getUser", id: "b", data: { id: "bob" } });
  const user = await alice.hear();
  assert.deepEqual([user.id, user.data.online], ["b", true]);
  alice.say({ token, event: "message", to: "bob", data: ["hi"] });
  assert.deepEqual(await bob.hear(), { event: "message", from: "alice", to: "bob", data: ["hi"] });
  alice.say({ token, event: "logout", id: "c" });
  assert.deepEqual(await alice.hear(), { event: "logout", id: "c", data: {} });
  assert.equal(await alice.closed, 1000);
  bob.socket.close();

  const getUser = { event: "getUser", data: { id: "bob" } };
  await refused(3000, "unauthorized", getUser);
  await refused(3000, "unauthorized", { ...getUser, token: jwt.sign({}, "x".repeat(32)) });
  await refused(3000, "token_revoked", { ...getUser, token });
  await refused(3003, "forbidden", { ...getUser, token: mint("nobody") });
  console.log("Node's ws and jsonwebtoken: login, getUser, message, logout, four refusals");
}

if (process.argv.includes("--verify")) {
  const claims = jwt.verify(fs.readFileSync(0, "utf8").trim(), secret, { algorithms: ["HS256"] });
  assert.equal(claims.sub, "alice");
  console.log("jsonwebtoken accepts framegate's token");
} else {
  main().catch((error) => {
    console.error(error);
    process.exit(1);
  });
}
