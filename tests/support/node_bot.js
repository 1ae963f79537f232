// A bot server in Node, without packages: it shares no code with us. Its key is in POE_ACCESS_KEY; it prints its port.
"use strict";

const http = require("node:http");
const { timingSafeEqual, createHash } = require("node:crypto");

const digest = (text) => createHash("sha256").update(text).digest();
const expected = digest(`Bearer ${process.env.POE_ACCESS_KEY}`);
const LIMIT = 1024 * 1024;

const answer = (response, status, value, headers = {}) => {
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  response.end(JSON.stringify(value));
};

const parse = (body) => {
  const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
  const request = JSON.parse(text);
  if (typeof request?.type !== "string") throw new TypeError("no type");
  if (request.type === "query" && typeof request.query.at(-1).content !== "string") throw new TypeError("no content");
  return request;
};

const reply = (response, request) => {
  response.writeHead(200, {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
  });
  for (const word of request.query.at(-1).content.split(/(?<= )/)) {
    response.write(`event: text\ndata: ${JSON.stringify({ text: word })}\n\n`);
  }
  response.end("event: done\ndata: {}\n\n");
};

const server = http.createServer((request, response) => {
  if (request.method !== "POST") return answer(response, 405, { error: "POST only" }, { Allow: "POST" });
  const given = (request.headers.authorization ?? "").replace(/^bearer /i, "Bearer ");
  if (!timingSafeEqual(digest(given), expected)) {
    return answer(response, 401, { error: "wrong key" }, { "WWW-Authenticate": "Bearer" });
  }
  const parts = [];
  let size = 0;
  request.on("data", (part) => {
    size += part.length;
    if (size <= LIMIT) parts.push(part);
    else if (!response.headersSent) answer(response, 413, { error: "too large" }, { Connection: "close" });
  });
  request.on("end", () => {
    if (response.headersSent) return;
    let body;
    try {
      body = parse(Buffer.concat(parts));
    } catch (error) {
      return answer(response, 400, { error: "not a request" });
    }
    switch (body.type) {
      case "query":
        return reply(response, body);
      case "settings":
        return answer(response, 200, { response_version: 2 });
      case "report_feedback":
      case "report_reaction":
      case "report_error":
        return answer(response, 200, {});
      default:
        return answer(response, 501, { error: "unknown type" });
    }
  });
});

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
