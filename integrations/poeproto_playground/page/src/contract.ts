/** What the backend sends and expects: the shapes of its JSON, and the calls. */

export interface Finding {
  side: "request" | "response";
  path: string;
  rule: string;
  level: "MUST" | "SHOULD" | "MAY";
  message: string;
  section: string;
  section_url: string;
  why: string;
  fix: string;
  event: number | null;
  offset: number | null;
}

export type Scalar = string | number | boolean;
export type Operand = { literal: Scalar } | { parameter_name: string };
export type Comparator = "eq" | "ne" | "gt" | "ge" | "lt" | "le";

interface Labelled {
  label: string;
  parameter_name: string;
  description?: string | null;
}

export type Control =
  | { control: "divider" }
  | (Labelled & { control: "text_field" | "text_area"; default_value?: string | null; placeholder?: string | null })
  | (Labelled & { control: "drop_down"; options: { value: string; name: string }[]; default_value?: string | null })
  | (Labelled & { control: "toggle_switch"; default_value?: boolean | null })
  | (Labelled & {
      control: "slider";
      min_value: number;
      max_value: number;
      step: number;
      default_value?: number | null;
    })
  | (Labelled & {
      control: "aspect_ratio";
      options: { width: number; height: number; value?: string | null }[];
      default_value?: string | null;
    })
  | {
      control: "condition";
      condition: { comparator: Comparator; left: Operand; right: Operand };
      controls: Control[];
    };

export interface Section {
  name?: string | null;
  controls?: Control[] | null;
  tabs?: { name?: string | null; controls: Control[] }[] | null;
  collapsed_by_default?: boolean | null;
}

export interface Settings {
  introduction_message?: string | null;
  allow_attachments?: boolean | null;
  parameter_controls?: { api_version: string; sections: Section[] } | null;
  [name: string]: unknown;
}

export interface Bot {
  name: string;
  kind: "target" | "url" | "placeholder";
  target: string | null;
  url: string | null;
  status: "starting" | "running" | "failed" | "stopped";
  error: string | null;
  generation: number;
  settings: Settings | null;
  settings_error: string | null;
  settings_findings: Finding[];
}

export type Parameters = Record<string, unknown>;

export interface Conversation {
  id: string;
  title: string;
  bot: string;
  created: number;
  messages: number;
  streaming: boolean;
  network: boolean;
  forked_from: { conversation: string; message: string } | null;
  parameters: Parameters;
}

export interface Attachment {
  url: string;
  content_type: string;
  name: string;
  inline_ref: string | null;
  size: number | null;
}

export interface Message {
  id: string;
  role: "user" | "bot";
  bot: string | null;
  texts: { index: number; epoch: number; text: string }[];
  content_type: string;
  status: "streaming" | "complete" | "stopped" | "failed";
  error: { text: string; type: string | null; allow_retry: boolean } | null;
  suggested_replies: string[];
  attachments: Attachment[];
  parameters: Parameters | null;
  feedback: "like" | "dislike" | null;
  reactions: string[];
  metadata: string | null;
  data_events: number;
  exchange: string | null;
  spent: number;
  at: number;
  first_event_ms: number | null;
  duration_ms: number | null;
}

export interface Exchange {
  id: string;
  source: string;
  direction: "to-bot" | "from-bot";
  kind: string;
  bot: string | null;
  conversation: string | null;
  message: string | null;
  parent: string | null;
  method: string;
  url: string;
  status: number | null;
  started: number;
  first_byte_ms: number | null;
  duration_ms: number | null;
  outcome: string | null;
  detail: string;
  request_size: number;
  response_size: number;
  reads: number;
  events: number;
  omitted: number;
  findings: Record<Finding["level"], number>;
  logs: number;
  resent_from: string | null;
}

export interface Bytes {
  size: number;
  text?: string;
  b64?: string;
  omitted?: number;
}

export type Header = [string, string];

export interface ExchangeDetail extends Exchange {
  request: { headers: Header[]; body: Bytes };
  response: { headers: Header[] } | null;
  findings_list: Finding[];
  log_list: Log[];
}

export interface Read extends Bytes {
  index: number;
  at_ms: number;
  gap_ms: number;
  offset: number;
}

export interface SentEvent {
  index: number;
  event: string;
  data: string;
  at_ms: number;
  gap_ms: number;
  offset: number;
  size: number;
  cut?: boolean;
}

export interface Charge {
  bot_query_id: string;
  bot_name: string;
  amount_usd_milli_cents: number;
  items: { amount_usd_milli_cents: number; description: string | null }[];
  message: string | null;
}

export interface Log {
  number: number;
  at: number;
  bot: string | null;
  level: string;
  logger: string;
  text: string;
  exchange: string | null;
}

export interface Fault {
  number: number;
  where: string;
  kind: string;
  times: number;
  arguments: Record<string, unknown>;
}

export interface Recording {
  id: string;
  name: string;
  exchanges: number;
  is_cut: boolean;
}

export interface State {
  version: string;
  mode: "bot" | "recording";
  title: string;
  poe_address: string;
  bots: Bot[];
  default_bot: string | null;
  conversations: Conversation[];
  exchanges: Exchange[];
  exchanges_dropped: number;
  balance: number;
  charges: Charge[];
  logs: Log[];
  logs_dropped: number;
  faults: Fault[];
  recordings: Recording[];
  /** Whether the page's policy allows pictures and media from elsewhere. */
  remote_media: boolean;
}

export type Change =
  | { type: "snapshot"; state: State }
  | { type: "bot"; bot: Bot }
  | { type: "conversation"; conversation: Conversation }
  | { type: "conversation-removed"; id: string }
  | { type: "messages"; conversation: string; messages: Message[] }
  | { type: "message"; conversation: string; message: Message }
  | { type: "text"; conversation: string; message: string; index: number; epoch: number; start: number; append: string }
  | { type: "exchange"; exchange: Exchange }
  | { type: "exchanges"; exchanges: Exchange[]; exchanges_dropped: number }
  | { type: "log"; logs: Log[]; logs_dropped: number }
  | { type: "balance"; balance: number; charges: Charge[] }
  | { type: "faults"; faults: Fault[] }
  | { type: "recordings"; recordings: Recording[] };

/** A call that the backend refused, or that did not reach it (status 0). */
export class CallError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const TOKEN_KEY = "poeproto-token";
let token = sessionStorage.getItem(TOKEN_KEY) ?? "";

export function setToken(value: string): void {
  token = value;
  sessionStorage.setItem(TOKEN_KEY, value);
}

export function hasToken(): boolean {
  return token !== "";
}

/** Call the backend; anything but a success raises a CallError with the backend's explanation. */
export async function call(method: string, path: string, body?: BodyInit, contentType?: string): Promise<Response> {
  const headers: Record<string, string> = { Authorization: `Bearer ${token}` };
  if (contentType) headers["Content-Type"] = contentType;
  let response: Response;
  try {
    response = await fetch(path, { method, headers, body, cache: "no-store" });
  } catch {
    throw new CallError(0, "The playground does not answer. Is `poeproto play` still running?");
  }
  if (!response.ok) throw new CallError(response.status, await explanation(response));
  return response;
}

async function explanation(response: Response): Promise<string> {
  const text = await response.text();
  try {
    const body = JSON.parse(text) as { error?: string };
    if (body.error) return body.error;
  } catch {
    // Not the backend's JSON: an HTTP server before it.
  }
  return `HTTP ${response.status}: ${text.slice(0, 200)}`;
}

export async function getJson<T>(path: string): Promise<T> {
  return (await (await call("GET", path)).json()) as T;
}

export async function postJson<T>(path: string, body: unknown = {}): Promise<T> {
  return (await (await call("POST", path, JSON.stringify(body), "application/json")).json()) as T;
}

export async function remove(path: string): Promise<void> {
  await call("DELETE", path);
}

/** Read the changes until the stream ends. `onChanges` is called with those of one line. */
export async function readChanges(onChanges: (changes: Change[]) => void, signal: AbortSignal): Promise<void> {
  const response = await fetch("/api/events", { headers: { Authorization: `Bearer ${token}` }, signal });
  if (!response.ok) throw new CallError(response.status, await explanation(response));
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let parts: string[] = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = value.split("\n");
    for (const [i, line] of lines.entries()) {
      parts.push(line);
      if (i === lines.length - 1) break;
      const whole = parts.join("");
      parts = [];
      if (whole) onChanges(JSON.parse(whole) as Change[]);
    }
  }
}
