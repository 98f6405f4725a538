// Drives framegate with Node's http, ws and tokens of jsonwebtoken; with --verify, verifies one of
// framegate's own.
"use strict";

const assert = require("node:assert");
const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
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

// A request whose body is written in parts: Node makes chunks of them.
function ask(method, path, ...parts) {
  return new Promise((resolve, reject) => {
    const request = http.request(new URL(path, url.replace("ws:", "http:")), { method });
    request.on("error", reject);
    request.on("response", async (response) => {
      let text = "";
      for await (const part of response) text += part;
      resolve([response.statusCode, text]);
    });
    parts.forEach((part) => request.write(part));
    request.end();
  });
}

// ESP8266 and ESP32 libraries make keys whose unused bits are set.
function upgrade(key) {
  const headers = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": key,
  };
  return new Promise((resolve, reject) => {
    const request = http.request(url.replace("ws:", "http:"), { headers });
    request.on("error", reject);
    request.on("response", (response) => reject(new Error(`refused: ${response.statusCode}`)));
    request.on("upgrade", (response, socket) => {
      socket.destroy();
      resolve(response.headers["sec-websocket-accept"]);
    });
    request.end();
  });
}

async function habits() {
  const [status, text] = await ask("POST", "/login", '{"id":"alice",', '"password":"alice\'s password"}');
  assert.equal(status, 200, text);
  assert.equal(jwt.verify(JSON.parse(text).token, secret, { algorithms: ["HS256"] }).sub, "alice");
  assert.deepEqual(await ask("HEAD", "/health"), [200, ""]);

  const key = "AQIDBAUGBwgJCgsMDQ4PEC==";
  const hashed = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  assert.equal(await upgrade(key), crypto.createHash("sha1").update(hashed).digest("base64"));

  const leaving = await new Peer().open();
  leaving.socket.close(1014);
  assert.equal(await leaving.closed, 1014);

  // Electron and Cordova have pages without a host, browsers send Basic by themselves.
  const page = await new Peer({ origin: "file://" }).open();
  page.socket.close();
  const offered = ["framegate.v1", `framegate.bearer.${mint("bob")}`];
  const basic = await new Peer(offered, { headers: { Authorization: "Basic YTpi" } }).open();
  assert.equal(basic.socket.protocol, "framegate.v1");
  basic.socket.close();
  console.log("Node's http and ws: chunks, HEAD, a key with unused bits, Close 1014, file://, Basic");
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
  assert.equal(claims.sub, "carol");
  console.log("jsonwebtoken accepts framegate's token");
} else {
  main().then(habits).catch((error) => {
    console.error(error);
    process.exit(1);
  });
}
