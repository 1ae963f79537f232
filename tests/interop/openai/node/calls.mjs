// Makes the calls that standard input lists with the Node SDK, and prints what the SDK reported of each.
import OpenAI, { APIError, OpenAIError } from "openai";

const BOUND = 8; // calls at once

function recorder() {
  return { content: "", reasoning: "", calls: new Map(), finish: null, usage: null, poe: [] };
}

function addChunk(result, chunk) {
  if (chunk.usage) {
    result.usage = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens, chunk.usage.total_tokens];
  }
  for (const choice of chunk.choices) {
    result.content += choice.delta.content ?? "";
    result.reasoning += choice.delta.reasoning_content ?? "";
    for (const piece of choice.delta.tool_calls ?? []) {
      if (!result.calls.has(piece.index)) result.calls.set(piece.index, { id: "", name: "", arguments: "" });
      const call = result.calls.get(piece.index);
      call.id += piece.id ?? "";
      call.name += piece.function?.name ?? "";
      call.arguments += piece.function?.arguments ?? "";
    }
    if (choice.finish_reason) {
      result.finish = choice.finish_reason;
      result.poe = Object.keys(chunk.poe ?? {});
    }
  }
}

function addCompletion(result, completion) {
  const [choice] = completion.choices;
  const usage = completion.usage;
  if (usage) result.usage = [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens];
  if (completion.poe) result.poe = Object.keys(completion.poe);
  result.content = choice.message.content ?? "";
  result.reasoning = choice.message.reasoning_content ?? "";
  result.finish = choice.finish_reason;
  (choice.message.tool_calls ?? []).forEach((call, index) => {
    result.calls.set(index, { id: call.id, name: call.function.name, arguments: call.function.arguments });
  });
}

function addEvent(result, event) {
  if (event.type === "response.output_text.delta") {
    result.content += event.delta;
  } else if (event.type === "response.output_item.added" && event.item.type === "function_call") {
    result.calls.set(event.output_index, { id: event.item.call_id, name: event.item.name, arguments: "" });
  } else if (event.type === "response.function_call_arguments.delta") {
    result.calls.get(event.output_index).arguments += event.delta;
  } else if (["response.completed", "response.incomplete", "response.failed"].includes(event.type)) {
    const streamed = JSON.stringify([result.content, [...result.calls.values()]]);
    addResponse(result, event.response);
    if (streamed !== JSON.stringify([result.content, [...result.calls.values()]])) {
      result.finish = "the whole differs from what was streamed";
    }
  }
}

function addResponse(result, response) {
  const messages = response.output.filter((item) => item.type === "message");
  result.content = messages.flatMap((item) => item.content.map((part) => part.text ?? "")).join("");
  result.calls = new Map();
  response.output.forEach((item, index) => {
    if (item.type === "function_call") {
      result.calls.set(index, { id: item.call_id, name: item.name, arguments: item.arguments });
    }
  });
  result.finish = response.incomplete_details?.reason ?? response.status;
  const usage = response.usage;
  if (usage) result.usage = [usage.input_tokens, usage.output_tokens, usage.total_tokens];
  if (response.poe) result.poe = Object.keys(response.poe);
}

async function read(client, { api, mode, body }, result) {
  const chat = client.chat.completions;
  if (mode === "create") {
    if (api === "chat") addCompletion(result, await chat.create(body));
    else addResponse(result, await client.responses.create(body));
  } else if (mode === "stream") {
    if (api === "chat") for await (const chunk of await chat.create({ ...body, stream: true })) addChunk(result, chunk);
    else for await (const event of await client.responses.create({ ...body, stream: true })) addEvent(result, event);
  } else if (api === "chat") {
    const stream = chat.stream(body);
    for await (const chunk of stream) addChunk(result, chunk);
    await stream.finalChatCompletion();
  } else {
    const stream = client.responses.stream(body);
    for await (const event of stream) addEvent(result, event);
    await stream.finalResponse();
  }
}

async function call(client, task) {
  const result = recorder();
  let failure = {};
  try {
    await read(client, task, result);
  } catch (error) {
    if (!(error instanceof OpenAIError)) throw new Error(`${task.name}: not the SDK's exception`, { cause: error });
    failure = { error: error.constructor.name };
    if (error instanceof APIError) {
      failure = { ...failure, status: error.status ?? null, code: error.code ?? null, param: error.param ?? null };
    }
  }
  const calls = [...result.calls.entries()].sort(([left], [right]) => left - right).map(([, each]) => each);
  return { ...result, calls, ...failure };
}

let input = "";
for await (const piece of process.stdin) input += piece;
const { key, tasks, ...options } = JSON.parse(input);
const clients = new Map();

function clientOf(address) {
  if (!clients.has(address)) {
    clients.set(address, new OpenAI({ baseURL: address, apiKey: key, logLevel: "off", ...options }));
  }
  return clients.get(address);
}

const results = new Array(tasks.length);
let next = 0;
await Promise.all(
  Array.from({ length: BOUND }, async () => {
    while (next < tasks.length) {
      const number = next++;
      results[number] = await call(clientOf(tasks[number].address), tasks[number]);
    }
  }),
);
process.stdout.write(JSON.stringify(results));
