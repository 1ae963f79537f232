// Runs the protocol's test vectors on the SDK: node docs/examples/javascript/run_vectors.mjs tests/vectors

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { IncompleteReply, ReplyReader, SseDecoder, indexOf } from "./poe.mjs";

const folder = process.argv[2];
const casesOf = (file) => JSON.parse(readFileSync(`${folder}/${file}`, "utf8")).cases;

function wireOf(each) {
  if (each.wire !== undefined) return Buffer.from(each.wire, "utf8");
  if (each.wire_base64 !== undefined) return Buffer.from(each.wire_base64, "base64");
  return Buffer.from(each.wire_parts.map((part) => (typeof part === "string" ? part : part[0].repeat(part[1]))).join(""));
}

// Whole, one byte at a time, and cut in two at every place.
function* waysToCut(wire) {
  yield [wire];
  yield [...wire].map((byte) => Buffer.of(byte));
  for (let at = 0; at <= Math.min(wire.length, 500); at++) yield [wire.subarray(0, at), wire.subarray(at)];
}

let count = 0;
for (const each of casesOf("sse.json")) {
  const expected = each.records.map((given) => ({ event: "message", id: "", retry: null, ...given }));
  for (const parts of waysToCut(wireOf(each))) {
    const decoder = new SseDecoder(each.dispatch_without_data);
    assert.deepEqual(parts.flatMap((part) => decoder.receive(part)), expected, each.name);
  }
  count++;
}
for (const each of casesOf("replies.json")) {
  for (const parts of waysToCut(wireOf(each))) {
    const reader = new ReplyReader();
    const events = parts.flatMap((part) => reader.receive(part));
    events.push(...reader.end());
    assert.deepEqual(events, each.events, each.name);
    if (each.indexes) assert.deepEqual(events.map(([, payload]) => indexOf(payload)), each.indexes, each.name);
    const error = reader.error && (reader.error instanceof IncompleteReply ? { type: "incomplete" } : { type: "protocol", path: reader.error.path });
    assert.deepEqual(error, each.error, each.name);
  }
  count++;
}
console.log(`${count} vectors passed`);
