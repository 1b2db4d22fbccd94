// function_worker.c for Node, with its own modules alone: [--reply] [--hold MS].
"use strict";
const http = require("node:http");

const reply = process.argv.includes("--reply");
const at = process.argv.indexOf("--hold");
const holdMs = at > 0 ? Number(process.argv[at + 1]) : 0;
const batch = "application/cloudevents-batch+json";
let replies = 0;

function event() {
  const id = String(++replies);
  return { specversion: "1.0", id, type: "bench.done", source: "/bench", data: { ok: true } };
}

function send(response, kind, body, headers) {
  const length = Buffer.byteLength(body);
  response.writeHead(200, { ...headers, "Content-Type": kind, "Content-Length": length });
  response.end(body);
}

function answer(request, body, response) {
  if (!reply) {
    response.writeHead(204).end();
  } else if ((request.headers["content-type"] || "").startsWith(batch)) {
    send(response, batch, JSON.stringify(JSON.parse(body).map(event)), {});
  } else {
    const { data, ...attributes } = event();
    const headers = Object.entries(attributes).map(([name, value]) => ["ce-" + name, value]);
    send(response, "application/json", JSON.stringify(data), Object.fromEntries(headers));
  }
}

const server = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const body = Buffer.concat(parts);
    if (holdMs > 0) setTimeout(answer, holdMs, request, body, response);
    else answer(request, body, response);
  });
});
server.keepAliveTimeout = 60000;
server.listen(Number(process.env.PORT), "127.0.0.1");
