// Node's ws with jsonwebtoken: the usual way to have authenticated WebSockets in Node, where the
// framing of one's own is wanted.
"use strict";

const http = require("node:http");
const { WebSocket, WebSocketServer } = require("ws");
const { verify, enter, leave, find, listen } = require("./service");

const CLOSE_CODE = 3000;
const REASON = "token rejected";

const server = http.createServer((request, response) => response.writeHead(404).end());
const sockets = new WebSocketServer({ server, path: "/ws", perMessageDeflate: false });
const members = new Set();

sockets.on("connection", (socket) => {
  // The first token binds a connection to its user.
  let user;
  // What was wrong does not matter: "close" follows.
  socket.on("error", () => {});
  socket.on("close", () => {
    members.delete(socket);
    if (user !== undefined) leave(user);
  });
  socket.on("message", (text) => {
    // The library goes on to read until the peer's Close.
    if (socket.readyState !== WebSocket.OPEN) return;
    const frame = parse(text);
    const subject = verify(frame.token);
    if (subject === undefined || (user !== undefined && user !== subject)) {
      return refuse(socket, frame.id);
    }
    if (user === undefined) {
      user = subject;
      enter(user);
      members.add(socket);
    }
    run(socket, user, frame);
  });
});

listen(server);

function parse(text) {
  try {
    return JSON.parse(text.toString()) ?? {};
  } catch {
    return {};
  }
}

function refuse(socket, id) {
  members.delete(socket);
  fail(socket, id, "unauthorized", REASON);
  socket.close(CLOSE_CODE, REASON);
}

function run(socket, user, { event, id, data }) {
  if (event === "getUser") {
    const found = find(data?.id);
    if (found === undefined) return fail(socket, id, "not_found", "no such user");
    reply(socket, event, id, found);
  } else if (event === "message") {
    const delivered = broadcast(JSON.stringify({ event, from: user, data: data ?? null }));
    if (id !== undefined) reply(socket, event, id, { delivered });
  } else {
    fail(socket, id, "unknown_event", "no such event");
  }
}

function broadcast(text) {
  for (const socket of members) socket.send(text);
  return members.size;
}

function fail(socket, id, code, reason) {
  reply(socket, "error", id, { code, reason });
}

function reply(socket, event, id, data) {
  socket.send(JSON.stringify({ event, id, data }));
}
