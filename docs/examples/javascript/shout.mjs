// A bot on the SDK: POE_ACCESS_KEY=... node docs/examples/javascript/shout.mjs [PORT]

import { createServer } from "node:http";

import { botServer } from "./poe.mjs";

async function* shout(request) {
  for (const word of request.query.at(-1).content.split(" ")) yield `${word.toUpperCase()} `;
  yield ["suggested_reply", { text: "louder" }];
}

const server = createServer(botServer(shout, { accessKey: process.env.POE_ACCESS_KEY }));
server.listen(Number(process.argv[2] ?? 8080), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
