/**
 * What the page knows, as signals, and how the backend's changes alter it.
 *
 * The text of replies is not in signals: a `LiveText` passes what is appended to the one element that shows it, so that
 * an event of a reply renders nothing else again.
 */

import { batch, computed, effect, signal } from "@preact/signals";
import * as api from "./contract";
import type { Bot, Change, Charge, Conversation, Exchange, Fault, Log, Message, Recording, State } from "./contract";

export type Connection = "connecting" | "open" | "broken" | "refused";

export const connection = signal<Connection>("connecting");
export const title = signal("");
export const version = signal("");
export const poeAddress = signal("");
export const mode = signal<State["mode"]>("bot");
export const bots = signal<Bot[]>([]);
export const defaultBot = signal<string | null>(null);
export const conversations = signal<Conversation[]>([]);
export const exchanges = signal<Exchange[]>([]);
export const exchangesDropped = signal(0);
export const balance = signal(0);
export const charges = signal<Charge[]>([]);
export const logs = signal<Log[]>([]);
export const logsDropped = signal(0);
export const remoteMedia = signal(false);
export const faults = signal<Fault[]>([]);
export const recordings = signal<Recording[]>([]);

/** The messages of the conversation that is shown. */
export const messages = signal<Message[]>([]);
export const selectedConversation = signal<string | null>(null);
export const selectedExchange = signal<string | null>(null);
export const INSPECTOR_TABS = ["Exchanges", "Bots", "Poe", "Logs", "Request editor"] as const;
export const inspectorTab = signal<(typeof INSPECTOR_TABS)[number]>("Exchanges");
export const isInspectorOpen = signal(true);
export const EXCHANGE_TABS = ["Findings", "Request", "Events", "Raw", "Times", "Logs", "Edit"] as const;
export type ExchangeTab = (typeof EXCHANGE_TABS)[number];
/** The tab of the exchange that was chosen last stays for the next exchange; before, each shows what it has. */
export const exchangeTab = signal<ExchangeTab | null>(null);
/** Counts the requests to move the focus to the exchange that is shown. */
export const exchangeFocus = signal(0);
/** The part of the page that a narrow window shows. */
export const view = signal<"list" | "chat" | "inspector">("chat");
/** Read out by screen readers: what is visible in the chat. */
export const announcement = signal("");
/** Shown for a moment, and read out: what was done, or why it was not. */
export const notice = signal("");
/** Why the page shows nothing of a link that was opened while it had no token; empty if there was none. */
export const linkProblem = signal("");

export const conversation = computed(() => conversations.value.find((one) => one.id === selectedConversation.value));
export const botOfConversation = computed(() => {
  const name = conversation.value?.bot ?? defaultBot.value;
  return bots.value.find((bot) => bot.name === name);
});

const LOG_LIMIT = 1_000;
const SPOKEN_LIMIT = 300;

/** The text of one answer, and who shows it. */
export class LiveText {
  text = "";
  epoch = 0;
  onAppend: ((text: string) => void) | null = null;
  onReset: (() => void) | null = null;

  append(epoch: number, text: string): void {
    if (epoch !== this.epoch) {
      this.epoch = epoch;
      this.text = "";
      this.onReset?.();
    }
    this.text += text;
    this.onAppend?.(text);
  }

  /**
   * What stands at `start` of the text of that epoch; a part of it may be here already, since it was loaded meanwhile.
   * Returns whether the text is whole: not if what stands before `start` is missing.
   */
  extend(epoch: number, start: number, text: string): boolean {
    const known = epoch === this.epoch ? this.text.length : 0;
    if (start > known) return false;
    const repeated = known - start;
    if (repeated === 0) this.append(epoch, text);
    else this.replace(epoch, this.text.slice(0, start) + text);
    return true;
  }

  /** The whole text, from the backend: usually what is here already. */
  replace(epoch: number, text: string): void {
    // The longer of two equal beginnings: a change that was sent before the text was loaded brings nothing.
    if (epoch === this.epoch && this.text.startsWith(text)) return;
    if (epoch === this.epoch && text.startsWith(this.text)) {
      this.append(epoch, text.slice(this.text.length));
      return;
    }
    this.epoch = epoch;
    this.text = "";
    this.onReset?.();
    this.append(epoch, text);
  }
}

const liveTexts = new Map<string, LiveText>();

export function liveText(message: string, index: number): LiveText {
  const key = `${message}/${index}`;
  let text = liveTexts.get(key);
  if (!text) liveTexts.set(key, (text = new LiveText()));
  return text;
}

function readTexts(list: Message[]): void {
  for (const message of list) {
    for (const { index, epoch, text } of message.texts) liveText(message.id, index).replace(epoch, text);
  }
}

function replaced<T>(list: T[], isSame: (one: T) => boolean, newest: T, first = false): T[] {
  const index = list.findIndex(isSame);
  if (index < 0) return first ? [newest, ...list] : [...list, newest];
  return list.with(index, newest);
}

function applySnapshot(state: State): void {
  title.value = state.title;
  version.value = state.version;
  poeAddress.value = state.poe_address;
  mode.value = state.mode;
  bots.value = state.bots;
  defaultBot.value = state.default_bot;
  conversations.value = state.conversations;
  exchanges.value = state.exchanges;
  exchangesDropped.value = state.exchanges_dropped;
  balance.value = state.balance;
  charges.value = state.charges;
  logs.value = state.logs;
  logsDropped.value = state.logs_dropped;
  faults.value = state.faults;
  remoteMedia.value = state.remote_media;
  recordings.value = state.recordings;
  connection.value = "open";
  linkProblem.value = "";
  const wanted = selectedConversation.value;
  if (!state.conversations.some((one) => one.id === wanted)) {
    selectedConversation.value = state.conversations[0]?.id ?? null;
  }
  if (selectedConversation.value) void loadMessages(selectedConversation.value);
}

function applyText(change: Extract<Change, { type: "text" }>): void {
  const text = liveText(change.message, change.index);
  const isNew = text.text === "" && text.epoch === 0;
  if (!text.extend(change.epoch, change.start, change.append)) {
    if (change.conversation === selectedConversation.value) void loadMessages(change.conversation);
    return;
  }
  if (!isNew || change.conversation !== selectedConversation.value) return;
  // The first text of this index: the message must show one answer more.
  const message = messages.value.find((one) => one.id === change.message);
  if (!message || message.texts.some((one) => one.index === change.index)) return;
  const texts = [...message.texts, { index: change.index, epoch: change.epoch, text: "" }];
  texts.sort((one, other) => one.index - other.index);
  messages.value = replaced(messages.value, (one) => one.id === message.id, { ...message, texts });
}

function applyChange(change: Change): void {
  switch (change.type) {
    case "snapshot":
      return applySnapshot(change.state);
    case "bot":
      bots.value = replaced(bots.value, (bot) => bot.name === change.bot.name, change.bot);
      return;
    case "conversation":
      conversations.value = replaced(conversations.value, (one) => one.id === change.conversation.id, change.conversation, true);
      return;
    case "conversation-removed":
      conversations.value = conversations.value.filter((one) => one.id !== change.id);
      if (selectedConversation.value === change.id) selectConversation(conversations.value[0]?.id ?? null);
      return;
    case "messages":
      if (change.conversation !== selectedConversation.value) return;
      readTexts(change.messages);
      messages.value = change.messages;
      return;
    case "message":
      readTexts([change.message]);
      if (change.conversation !== selectedConversation.value) return;
      announce(change.message);
      messages.value = replaced(messages.value, (one) => one.id === change.message.id, change.message);
      return;
    case "text":
      return applyText(change);
    case "exchange":
      exchanges.value = replaced(exchanges.value, (one) => one.id === change.exchange.id, change.exchange);
      return;
    case "exchanges":
      exchanges.value = change.exchanges;
      exchangesDropped.value = change.exchanges_dropped;
      return;
    case "log":
      logs.value = [...logs.value, ...change.logs].slice(-LOG_LIMIT);
      logsDropped.value = change.logs_dropped;
      return;
    case "balance":
      balance.value = change.balance;
      charges.value = change.charges;
      return;
    case "faults":
      faults.value = change.faults;
      return;
    case "recordings":
      recordings.value = change.recordings;
  }
}

function announce(message: Message): void {
  const before = messages.value.find((one) => one.id === message.id);
  if (message.role !== "bot" || before?.status === message.status) return;
  const bot = message.bot ?? "The bot";
  const acts = { streaming: "is answering", complete: "has answered", stopped: "was stopped", failed: "failed" };
  const text = message.status === "complete" ? spokenText(message) : (message.error?.text ?? "");
  announcement.value = `${bot} ${acts[message.status]}${text ? `: ${text}` : "."}`;
}

/**
 * The beginning of a reply, for a screen reader. It is read once the reply is complete: a live region that has every
 * piece of a stream never becomes silent.
 */
function spokenText(message: Message): string {
  const texts = message.texts.map(({ index }) => liveText(message.id, index).text.slice(0, SPOKEN_LIMIT * 2));
  const text = texts.join(" ").replace(/[\s*_`#>|~\\]+/g, " ").trim();
  return text.length > SPOKEN_LIMIT ? `${text.slice(0, SPOKEN_LIMIT)}…` : text;
}

export function applyChanges(changes: Change[]): void {
  batch(() => {
    for (const change of changes) applyChange(change);
  });
}

async function loadMessages(id: string): Promise<void> {
  await attempt(async () => {
    const loaded = await api.getJson<{ messages: Message[] }>(`/api/conversations/${id}`);
    if (selectedConversation.value !== id) return;
    batch(() => {
      readTexts(loaded.messages);
      messages.value = loaded.messages;
    });
  });
}

export function selectConversation(id: string | null): void {
  if (id === selectedConversation.value) return;
  batch(() => {
    selectedConversation.value = id;
    messages.value = [];
  });
  if (id) void loadMessages(id);
}

/** Do it; if it fails, say why. Returns whether it was done. */
export async function attempt(act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    if (!(error instanceof api.CallError)) throw error;
    if (error.status === 403) connection.value = "refused";
    notice.value = error.message;
    return false;
  }
}

export async function newConversation(bot?: string): Promise<string | null> {
  let id: string | null = null;
  await attempt(async () => {
    const created = await api.postJson<Conversation>("/api/conversations", bot ? { bot } : {});
    applyChanges([{ type: "conversation", conversation: created }]);
    selectConversation(created.id);
    view.value = "chat";
    id = created.id;
  });
  return id;
}

/** Show this exchange in the inspector, with this tab if one is named, and move the focus to it. */
export function inspect(exchange: string | null, tab: ExchangeTab | null = exchangeTab.value): void {
  batch(() => {
    selectedExchange.value = exchange;
    exchangeTab.value = tab;
    inspectorTab.value = "Exchanges";
    isInspectorOpen.value = true;
    view.value = "inspector";
    exchangeFocus.value += 1;
  });
}

export async function copyText(text: string, what = "Copied."): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    notice.value = what;
  } catch (error) {
    notice.value = `The browser refused to copy: ${String(error)}`;
  }
}

/** Have the backend send a request to a bot, and select the new exchange. */
export async function sendRequest(path: string, fields?: object): Promise<void> {
  const exchange = await api.postJson<Exchange>(path, fields);
  applyChanges([{ type: "exchange", exchange }]);
  selectedExchange.value = exchange.id;
}

// --- the address and the connection

/** The hash is `token=...&conversation=...&exchange=...`. The token does not stay there. */
function readAddress(): void {
  const hash = new URLSearchParams(location.hash.slice(1));
  const token = hash.get("token");
  if (token) api.setToken(token);
  selectedConversation.value = hash.get("conversation") ?? sessionStorage.getItem("poeproto-conversation");
  selectedExchange.value = hash.get("exchange");
}

function writeAddress(): void {
  const hash = new URLSearchParams();
  if (selectedConversation.value) hash.set("conversation", selectedConversation.value);
  if (selectedExchange.value) hash.set("exchange", selectedExchange.value);
  const text = hash.toString();
  history.replaceState(null, "", text ? `#${text}` : location.pathname);
  if (selectedConversation.value) sessionStorage.setItem("poeproto-conversation", selectedConversation.value);
}

const RECONNECT_MS = 1_000;

/** Follow the backend's changes until aborted. */
async function follow(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await api.readChanges(applyChanges, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof api.CallError && error.status === 403) {
        connection.value = "refused";
        return;
      }
      console.info("The state stream ended; it is opened again.", error);
    }
    connection.value = "broken";
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  }
}

let following = new AbortController();

/** Connect to the backend; the connection before, which may have had another token, ends. */
export function connect(): void {
  following.abort();
  following = new AbortController();
  if (!api.hasToken()) {
    connection.value = "refused";
    return;
  }
  connection.value = "connecting";
  void follow(following.signal);
}

/** A link was pasted into the open page. Show what it names, or say what to do. */
function followLink(): void {
  const hash = new URLSearchParams(location.hash.slice(1));
  if (hash.has("token") || connection.value !== "open") {
    readAddress();
    writeAddress(); // the token does not stay, also where nothing else changes
    if (hash.has("token")) connect();
    else if (connection.value === "refused") {
      linkProblem.value = "This link has no token, so the page cannot show what it names.";
    }
    return;
  }
  const conversation = hash.get("conversation");
  const exchange = hash.get("exchange");
  const unknown =
    conversation !== null && !conversations.value.some((one) => one.id === conversation)
      ? "conversation"
      : exchange !== null && !exchanges.value.some((one) => one.id === exchange)
        ? "exchange"
        : "";
  if (unknown) {
    notice.value =
      `This playground has no such ${unknown}. ` +
      "If the link is of another launch, open the address that its poeproto play printed.";
  } else {
    if (conversation !== null) selectConversation(conversation);
    if (exchange !== null) inspect(exchange);
  }
  writeAddress();
}

export function start(): void {
  readAddress();
  effect(writeAddress);
  window.addEventListener("hashchange", followLink);
  connect();
}
