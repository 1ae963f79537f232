// Asks a bot: POE_ACCESS_KEY=... node docs/examples/javascript/ask.mjs http://127.0.0.1:8080/ "hello there"

import { query } from "./poe.mjs";

const [url, text] = process.argv.slice(2);
for await (const [name, payload] of query(url, [{ role: "user", content: text }], { accessKey: process.env.POE_ACCESS_KEY })) {
  if (name === "text") process.stdout.write(payload.text);
  if (name === "error") throw new Error(`the bot reported an error: ${payload.text ?? "without a text"}`);
}
console.log();
