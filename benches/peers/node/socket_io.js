// express with socket.io and jsonwebtoken: the stack most people use today, over its own framing.
// Each packet is looked at by a middleware; who is logged in is in a room.
"use strict";

const http = require("node:http");
const express = require("express");
const { Server } = require("socket.io");
const { verify, enter, leave, find, listen } = require("./service");

const MEMBERS = "members";

const server = http.createServer(express());
const io = new Server(server);

io.on("connection", (socket) => {
  // The first token binds a connection to its user.
  let user;
  socket.use(([, frame], next) => {
    const subject = verify(frame?.token);
    if (subject === undefined || (user !== undefined && user !== subject)) {
      fail(socket, frame?.id, "unauthorized", "token rejected");
      return socket.disconnect(true);
    }
    if (user === undefined) {
      user = subject;
      enter(user);
      socket.join(MEMBERS);
    }
    next();
  });
  socket.on("disconnect", () => {
    if (user !== undefined) leave(user);
  });
  socket.on("getUser", ({ id, data }) => {
    const found = find(data?.id);
    if (found === undefined) return fail(socket, id, "not_found", "no such user");
    socket.emit("getUser", { id, data: found });
  });
  socket.on("message", ({ id, data }) => {
    io.to(MEMBERS).emit("message", { from: user, data: data ?? null });
    const delivered = io.sockets.adapter.rooms.get(MEMBERS).size;
    if (id !== undefined) socket.emit("message", { id, data: { delivered } });
  });
});

listen(server);

function fail(socket, id, code, reason) {
  socket.emit("error", { id, data: { code, reason } });
}
