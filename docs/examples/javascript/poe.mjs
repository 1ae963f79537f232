// A small SDK for Poe server bots: a client and a server, without packages, for Node 18 or later.
//
// Client:  for await (const event of query(url, [{role: "user", content: "hello"}], {accessKey})) ...
// Server:  http.createServer(botServer(async function* (request) { yield "hello"; }, {accessKey})).listen(8080)

import { timingSafeEqual, createHash } from "node:crypto";

export class ProtocolError extends Error {
  constructor(message, path = "") {
    super(path ? `${path}: ${message}` : message);
    this.path = path; // of the field that is wrong
  }
}
export class IncompleteReply extends Error {}
export class RequestRefused extends Error {
  constructor(status, body, retryAfter) {
    super(`the bot answered with status ${status}: ${body}`);
    Object.assign(this, { status, retryAfter });
  }
}

// --- server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html

const LF = 10;
const CR = 13;

export class SseDecoder {
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #rest = []; // bytes of a line that has not ended
  #afterCr = false; // an LF that follows belongs to the line end before it
  #isFirst = true;
  #record = { event: "", data: [] };
  #id = "";
  #retry = null;
  #withoutData;

  // `withoutData`: names of events that need no data line.
  constructor(withoutData = []) {
    this.#withoutData = new Set(withoutData);
  }

  // Bytes in, the records that are complete out. A record without its blank line is never one.
  receive(bytes) {
    const records = [];
    let start = 0;
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte === LF && this.#afterCr) {
        this.#afterCr = false;
        start = at + 1;
      } else if (byte === LF || byte === CR) {
        this.#rest.push(bytes.subarray(start, at));
        start = at + 1;
        this.#afterCr = byte === CR;
        this.#line(this.#takeLine(), records);
      } else {
        this.#afterCr = false;
      }
    }
    if (start < bytes.length) this.#rest.push(bytes.slice(start));
    return records;
  }

  #takeLine() {
    const parts = this.#rest;
    this.#rest = [];
    // Lines are decoded whole, so that a character that two reads share is not broken.
    const text = this.#decoder.decode(parts.length === 1 ? parts[0] : Buffer.concat(parts));
    const line = this.#isFirst && text.startsWith("\ufeff") ? text.slice(1) : text;
    this.#isFirst = false;
    return line;
  }

  #line(line, records) {
    if (line === "") return this.#dispatch(records);
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "event") this.#record.event = value;
    else if (name === "data") this.#record.data.push(value);
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) this.#retry = Number(value);
  }

  #dispatch(records) {
    const { event, data } = this.#record;
    this.#record = { event: "", data: [] };
    if (data.length || this.#withoutData.has(event)) {
      records.push({ event: event || "message", data: data.join("\n"), id: this.#id, retry: this.#retry });
    }
  }
}

// --- the events of a reply

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const STRING = (value) => typeof value === "string";
const BOOLEAN = (value) => typeof value === "boolean";
// The fields of each event: its type, and what a missing field or null means; undefined: it is required; ABSENT: it stays away.
const ABSENT = Symbol("absent");
const FIELDS = {
  meta: {
    content_type: [STRING, "text/markdown"],
    suggested_replies: [BOOLEAN, false],
    linkify: [BOOLEAN, ABSENT],
    refetch_settings: [BOOLEAN, ABSENT],
  },
  text: { text: [STRING] },
  replace_response: { text: [STRING] },
  suggested_reply: { text: [STRING] },
  data: { metadata: [STRING] },
  file: { url: [STRING], name: [STRING], content_type: [STRING], inline_ref: [STRING, null] },
  json: {},
  error: { allow_retry: [BOOLEAN, true], text: [STRING, ABSENT], error_type: [STRING, ABSENT], raw_response: [() => true, ABSENT] },
};

function readPayload(name, data) {
  let payload;
  try {
    payload = JSON.parse(data);
  } catch (cause) {
    throw new ProtocolError(`the data of ${name} is not JSON: ${cause.message}`);
  }
  if (!isObject(payload)) throw new ProtocolError(`the data of ${name} is not a JSON object`);
  const read = { ...payload };
  for (const [field, [isValid, missing]] of Object.entries(FIELDS[name])) {
    if (payload[field] === undefined || payload[field] === null) {
      if (missing === undefined) throw new ProtocolError("a string is required", field);
      if (missing === ABSENT) delete read[field];
      else read[field] = missing;
    } else if (!isValid(payload[field])) {
      throw new ProtocolError(`unexpected ${typeof payload[field]}`, field);
    }
  }
  if (name !== "json" && payload.index === null) delete read.index;
  if (read.index === 0) read.index = 0; // not -0
  return read;
}

// Which of several answers an event belongs to; null for the only one.
export const indexOf = (payload) => (Number.isSafeInteger(payload?.index) ? payload.index : null);

// A bot in JavaScript can cut its text between the two halves of a character. Each half arrives alone, and neither can be printed.
// A first half at the end of a text waits for the next text of its index; a half that finds no other becomes U+FFFD.
class HalfCharacters {
  #waiting = new Map();

  join(name, payload) {
    const index = indexOf(payload);
    const before = name === "text" ? (this.#waiting.get(index) ?? "") : "";
    this.#waiting.delete(index);
    let text = before + payload.text;
    if (/[\ud800-\udbff]$/.test(text)) {
      this.#waiting.set(index, text.at(-1));
      text = text.slice(0, -1);
      if (!text && name === "text") return null;
    }
    return { ...payload, text: text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd") };
  }

  flush() {
    const texts = [...this.#waiting.keys()].map((index) => [
      "text",
      index === null ? { text: "\ufffd" } : { text: "\ufffd", index },
    ]);
    this.#waiting.clear();
    return texts;
  }
}

// Reads the body of a reply: `receive` and `end` return events as pairs of name and payload. After a fault, `error` is set.
export class ReplyReader {
  #sse = new SseDecoder(["done"]);
  #halves = new HalfCharacters();
  #isLate = false; // for `meta`
  isEnded = false;
  error = null;

  receive(bytes) {
    const events = [];
    if (this.error) return events;
    for (const { event, data } of this.#sse.receive(bytes)) {
      if (this.isEnded) break; // what comes after the end does not count
      try {
        this.#read(event, data, events);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        this.error = error;
        events.push(...this.#halves.flush());
        break;
      }
    }
    return events;
  }

  end() {
    if (this.error || this.isEnded) return [];
    this.error = new IncompleteReply("the reply ended without done or error");
    return this.#halves.flush();
  }

  #read(name, data, events) {
    if (name === "ping" || (name === "meta" && this.#isLate)) return;
    if (name === "done") {
      let payload = {};
      try {
        payload = JSON.parse(data);
      } catch {} // it has no meaning
      events.push(...this.#halves.flush(), ["done", isObject(payload) ? payload : {}]);
      this.isEnded = true;
      return;
    }
    if (!Object.hasOwn(FIELDS, name)) {
      events.push([name, data]); // of a later version
      return;
    }
    let payload = readPayload(name, data);
    if (name === "text" || name === "replace_response") payload = this.#halves.join(name, payload);
    this.#isLate = true;
    if (name === "error") {
      events.push(...this.#halves.flush());
      this.isEnded = true;
    }
    if (payload) events.push([name, payload]);
  }
}

// --- the client

// Queries a bot server, and yields events as pairs of name and payload, the last of which is `done` or `error`.
export async function* query(url, messages, { accessKey, signal } = {}) {
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: "text/event-stream",
      ...(accessKey && { Authorization: `Bearer ${accessKey}` }),
    },
    body: JSON.stringify({ version: "1.2", type: "query", query: messages, user_id: "", conversation_id: "", message_id: "" }),
    redirect: "manual", // a redirect would carry the key to another server
    signal,
  });
  if (response.status !== 200 || !/^text\/event-stream\b/i.test(response.headers.get("content-type") ?? "")) {
    throw new RequestRefused(response.status, (await response.text()).slice(0, 1024), response.headers.get("retry-after"));
  }
  const reader = new ReplyReader();
  for await (const bytes of response.body) {
    yield* reader.receive(bytes);
    if (reader.error) throw reader.error;
    if (reader.isEnded) return;
  }
  yield* reader.end();
  if (reader.error) throw reader.error;
}

// --- the server

const LIMIT = 16 * 1024 * 1024;
const HEARTBEAT = 15_000;
const digest = (text) => createHash("sha256").update(text).digest();
const record = (name, payload) => `event: ${name}\ndata: ${JSON.stringify(payload)}\n\n`;

// A request listener for http.createServer. `bot` takes the request and a signal, and yields texts, or pairs of name and payload.
export function botServer(bot, { accessKey, settings = {}, onError = console.error }) {
  const expected = digest(`Bearer ${accessKey}`);
  return async (request, response) => {
    const answer = (status, value, headers = {}) => {
      response.writeHead(status, { "Content-Type": "application/json", ...headers });
      response.end(JSON.stringify(value));
    };
    if (request.method !== "POST") return answer(405, { error: "send POST" }, { Allow: "POST" });
    const given = (request.headers.authorization ?? "").replace(/^bearer +/i, "Bearer ");
    if (!timingSafeEqual(digest(given), expected)) {
      return answer(401, { error: "the access key is missing or wrong" }, { "WWW-Authenticate": "Bearer" });
    }
    let body;
    try {
      body = await readBody(request);
    } catch (error) {
      return answer(error instanceof RangeError ? 413 : 400, { error: error.message }, { Connection: "close" });
    }
    if (body.type === "query") return stream(bot, body, response, onError);
    if (body.type === "settings") return answer(200, { response_version: 2, ...settings });
    if (/^report_(feedback|reaction|error)$/.test(body.type)) return answer(200, {});
    return answer(501, { error: `requests of type ${body.type} are not implemented` });
  };
}

async function readBody(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > LIMIT) throw new RangeError(`the body is larger than ${LIMIT} bytes`);
    parts.push(part);
  }
  const body = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts)));
  if (typeof body?.type !== "string") throw new TypeError("type: a string is required");
  if (body.type === "query" && !body.query?.every((message) => STRING(message?.role) && STRING(message?.content))) {
    throw new TypeError("query: a list of messages is required");
  }
  return body;
}

async function stream(bot, request, response, onError) {
  response.writeHead(200, {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
  });
  response.flushHeaders(); // Poe waits five seconds for them
  response.socket?.setNoDelay(true);
  const stopped = new AbortController();
  response.on("close", () => stopped.abort()); // the client has disconnected, or the reply has ended
  const beating = setInterval(() => response.write(": \n\n"), HEARTBEAT);
  try {
    for await (const event of bot(request, stopped.signal)) {
      if (stopped.signal.aborted) return;
      const [name, payload] = STRING(event) ? ["text", { text: event }] : event;
      if (!response.write(record(name, payload))) {
        await new Promise((resolve) => response.once("drain", resolve).once("close", resolve)); // the client reads slowly
      }
    }
  } catch (error) {
    if (stopped.signal.aborted) return;
    onError(error);
    response.write(record("error", { allow_retry: true, text: "Something went wrong in this bot." }));
  } finally {
    clearInterval(beating);
  }
  response.end(record("done", {}));
}
