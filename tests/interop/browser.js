// A page in Chromium, once from an origin in ORIGINS and once from another: the port of pages and
// the server's log are the arguments.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const http = require("node:http");
const os = require("node:os");
const path = require("node:path");
const { spawn } = require("node:child_process");

const PATIENCE_MS = 60000;
const [port, log] = process.argv.slice(2);

// Runs in the page, and returns what a script is shown.
async function look(url) {
  const body = JSON.stringify({ id: "alice", password: "alice's password" });
  const login = async (options) => {
    try {
      const answer = await fetch(url.replace("ws:", "http:").replace("/ws", "/login"), {
        method: "POST",
        body,
        ...options,
      });
      return [answer.status, await answer.json()];
    } catch (error) {
      return [error.name];
    }
  };
  const socket = (protocols, frame) =>
    new Promise((resolve) => {
      const socket = new WebSocket(url, protocols);
      const seen = [];
      socket.onopen = () => {
        seen.push(socket.protocol);
        if (frame) socket.send(JSON.stringify(frame));
      };
      socket.onmessage = (message) => seen.push(JSON.parse(message.data).event);
      socket.onclose = (close) => resolve([...seen, close.code]);
    });
  const [status, session] = await login({});
  // A preflight asks whether JSON may be sent.
  const json = await login({ headers: { "Content-Type": "application/json" } });
  const token = session?.token ?? "none";
  const protocols = ["framegate.v1", `framegate.bearer.${token}`];
  return {
    login: status,
    json: json[0],
    // The logout ends it.
    socket: await socket(protocols, { token, event: "logout" }),
    forged: await socket(["framegate.v1", "framegate.bearer.a.b.c"]),
  };
}

const page = `<!doctype html><title>framegate</title><script>
${look}
look(${JSON.stringify(process.env.GATE_URL)})
  .catch((error) => String(error))
  .then((seen) => fetch("/seen", { method: "POST", body: JSON.stringify(seen) }));
</script>`;

// Serves the page, and resolves with what it saw.
function serve() {
  let resolve;
  const seen = () => new Promise((done) => (resolve = done));
  const server = http.createServer(async (request, response) => {
    let text = "";
    for await (const part of request) text += part;
    response.setHeader("Content-Type", "text/html");
    response.end(request.url === "/" ? page : "");
    if (request.url === "/seen") resolve(JSON.parse(text));
  });
  return new Promise((done) => server.listen(port, "127.0.0.1", () => done({ server, seen })));
}

async function visit(host, seen) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "framegate-chromium-"));
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
  flags.push("--disable-background-networking", "--disable-component-update", "--disable-sync");
  flags.push("--disable-dev-shm-usage", `--user-data-dir=${profile}`);
  const browser = spawn("chromium", [...flags, `http://${host}:${port}/`], {
    stdio: ["ignore", "ignore", fs.openSync(path.join(profile, "stderr"), "w")],
    detached: true,
  });
  const ended = new Promise((resolve) => browser.on("exit", resolve));
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${host}: Chromium says nothing`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([seen(), late]);
  } finally {
    clearTimeout(timer);
    // The group is Chromium's own.
    process.kill(-browser.pid, "SIGKILL");
    await ended;
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

const logins = () => fs.readFileSync(log, "utf8").split("logged in").length;

async function main() {
  const { server, seen } = await serve();
  try {
    assert.deepEqual(await visit("localhost", seen), {
      login: 200,
      json: 200,
      socket: ["framegate.v1", "logout", 1000],
      forged: ["framegate.v1", "error", 3000],
    });
    const before = logins();
    assert.deepEqual(await visit("127.0.0.1", seen), {
      login: "TypeError",
      json: "TypeError",
      socket: [1006],
      forged: [1006],
    });
    assert.equal(logins(), before);
  } finally {
    server.close();
    server.closeAllConnections();
  }
  console.log("Chromium: fetch of /login and a WebSocket, from a page in ORIGINS and from another");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
