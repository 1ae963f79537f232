/** The page: a list of conversations, the chat, and the inspector beside it. */

import { effect, signal, useSignal } from "@preact/signals";
import { render } from "preact";
import { Chat } from "./chat";
import { remove, setToken } from "./contract";
import { Inspector } from "./inspector";
import { allowRemoteMedia } from "./markdown";
import * as store from "./store";

type Theme = "system" | "light" | "dark";
const THEMES: readonly Theme[] = ["system", "light", "dark"];
const theme = signal<Theme>((localStorage.getItem("poeproto-theme") as Theme | null) ?? "system");

effect(() => {
  localStorage.setItem("poeproto-theme", theme.value);
  document.documentElement.dataset["theme"] = theme.value;
});
effect(() => {
  document.title = store.title.value ? `${store.title.value} – poeproto playground` : "poeproto playground";
});

const NOTICE_MS = 6_000;
let noticeTimer = 0;
effect(() => {
  if (!store.notice.value) return;
  clearTimeout(noticeTimer);
  noticeTimer = window.setTimeout(() => (store.notice.value = ""), NOTICE_MS);
});

function TokenForm() {
  const value = useSignal("");
  const submit = (event: Event) => {
    event.preventDefault();
    setToken(value.value.trim().replace(/^.*token=/, ""));
    store.connect();
  };
  return (
    <main class="token">
      <h1>poeproto playground</h1>
      {store.linkProblem.value && <p role="alert">{store.linkProblem.value}</p>}
      <p>
        Open the address that <code>poeproto play</code> printed: it carries a token that is made at each start. Or paste
        the token here.
      </p>
      <form class="inline-form" onSubmit={submit}>
        <label>
          Token
          <input required autocomplete="off" onInput={(event) => (value.value = event.currentTarget.value)} />
        </label>
        <button class="primary">Connect</button>
      </form>
    </main>
  );
}

function Conversations() {
  return (
    <nav class="conversations" aria-label="Conversations">
      <button class="primary" disabled={store.bots.value.length === 0} onClick={() => void store.newConversation().then(focusDraft)}>
        New conversation
      </button>
      <ul>
        {store.conversations.value.map((one) => (
          <li key={one.id}>
            <button
              class="conversation"
              aria-current={one.id === store.selectedConversation.value}
              onClick={() => {
                store.selectConversation(one.id);
                store.view.value = "chat";
              }}
            >
              <span>{one.title || "New conversation"}</span>
              <small>
                {one.bot}
                {one.forked_from && " · fork"}
                {one.streaming && " · answering"}
              </small>
            </button>
            <button
              class="delete"
              aria-label={`Delete ${one.title || "the conversation"}`}
              onClick={() => void store.attempt(() => remove(`/api/conversations/${one.id}`))}
            >
              ×
            </button>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function focusDraft(): void {
  document.getElementById("draft")?.focus();
}

function TopBar() {
  const views = { list: "Conversations", chat: "Chat", inspector: "Inspector" } as const;
  return (
    <header class="top-bar">
      <h1>
        {store.title.value || "poeproto"} <small>playground</small>
      </h1>
      <div class="views" role="group" aria-label="Parts of the page">
        {(["list", "chat", "inspector"] as const).map((name) => (
          <button key={name} aria-pressed={store.view.value === name} onClick={() => (store.view.value = name)}>
            {views[name]}
          </button>
        ))}
      </div>
      <button class="wide-only" aria-pressed={store.isInspectorOpen.value} onClick={() => (store.isInspectorOpen.value = !store.isInspectorOpen.value)}>
        Inspector
      </button>
      <label>
        <span class="hidden">Colours</span>
        <select value={theme} onChange={(event) => (theme.value = event.currentTarget.value as Theme)}>
          {THEMES.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
    </header>
  );
}

function App() {
  if (store.connection.value === "refused") return <TokenForm />;
  return (
    <div class={`app show-${store.view.value} ${store.isInspectorOpen.value ? "" : "no-inspector"}`}>
      <TopBar />
      {store.connection.value === "broken" && (
        <p class="banner" role="alert">
          The playground does not answer. Is <code>poeproto play</code> still running? The page connects again by itself.
        </p>
      )}
      <main class="columns">
        <Conversations />
        <Chat />
        {store.isInspectorOpen.value && <Inspector />}
      </main>
      <div class="hidden" role="status">
        {store.announcement.value}
      </div>
      <div class={store.notice.value ? "notice shown" : "notice"} role="status">
        {store.notice.value}
      </div>
    </div>
  );
}

effect(() => allowRemoteMedia(store.remoteMedia.value));
store.start();
const root = document.getElementById("app");
if (root) render(<App />, root);
