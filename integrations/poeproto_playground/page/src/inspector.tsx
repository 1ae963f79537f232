/** The inspector: exchanges, bots, the simulated Poe and the logs. */

import { signal, useComputed, useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import * as api from "./contract";
import type { Bot, Exchange } from "./contract";
import { ExchangeView, exportExchanges, FindingView, isBad, JsonState, LogList, LongText } from "./exchange_view";
import { bytes, counted, duration, money } from "./format";
import * as store from "./store";
import { TabBar } from "./tabs";
import { VirtualList } from "./virtual_list";

const tab = store.inspectorTab;
const ROW_HEIGHT = 30;

export function Inspector() {
  return (
    <section class="inspector" aria-label="Inspector">
      <h2 class="hidden">Inspector</h2>
      <TabBar label="Inspector" tabs={store.INSPECTOR_TABS} selected={tab.value} onSelect={(name) => (tab.value = name)} labels={{ Logs: `Logs ${store.logs.value.length || ""}` }} />
      <div class="panel" role="tabpanel" aria-label={tab.value}>
        {tab.value === "Exchanges" && <Exchanges />}
        {tab.value === "Bots" && <Bots />}
        {tab.value === "Poe" && <SimulatedPoe />}
        {tab.value === "Logs" && <Logs />}
        {tab.value === "Request editor" && <RequestEditor />}
      </div>
    </section>
  );
}

function Logs() {
  const dropped = store.logsDropped.value;
  return (
    <>
      {dropped > 0 && <p class="quiet">{counted(dropped, "older record")} dropped.</p>}
      <LogList logs={store.logs.value} />
    </>
  );
}

function matches(exchange: Exchange, filter: string): boolean {
  const text = `${exchange.id} ${exchange.kind} ${exchange.bot ?? ""} ${exchange.url} ${exchange.status ?? ""} ${exchange.outcome ?? ""}`;
  return text.toLowerCase().includes(filter.toLowerCase());
}

function stateOf({ outcome, status }: Exchange): string {
  if (outcome === null) return "…";
  return outcome === "eof" ? String(status) : outcome;
}

function ExchangeRow({ exchange }: { exchange: Exchange }) {
  const { MUST, SHOULD, MAY } = exchange.findings;
  return (
    <>
      <span class="number">{exchange.id}</span>
      <span class={exchange.parent ? "name call" : "name"}>{exchange.parent ? `↳ ${exchange.kind}` : exchange.kind}</span>
      <span class="bot">{exchange.bot}</span>
      <span class={isBad(exchange) ? "state bad" : "state"}>{stateOf(exchange)}</span>
      <span class="gap">{duration(exchange.duration_ms)}</span>
      <span class="size">{bytes(exchange.response_size)}</span>
      {MUST > 0 && <span class="level MUST">{MUST} MUST</span>}
      {SHOULD > 0 && <span class="level SHOULD">{SHOULD} SHOULD</span>}
      {MAY > 0 && <span class="level MAY">{MAY} MAY</span>}
    </>
  );
}

function Exchanges() {
  const filter = useSignal("");
  const isOfConversation = useSignal(false);
  const shown = useComputed(() => {
    const conversation = isOfConversation.value ? store.selectedConversation.value : null;
    return store.exchanges.value.filter((one) => {
      return matches(one, filter.value) && (!conversation || one.conversation === conversation);
    });
  });
  const idsShown = () => shown.value.map((one) => one.id);
  const index = shown.value.findIndex((one) => one.id === store.selectedExchange.value);
  const selected = store.exchanges.value.find((one) => one.id === store.selectedExchange.value);
  return (
    <>
      <div class="toolbar">
        <label>
          <span class="hidden">Filter the exchanges</span>
          <input
            type="search"
            placeholder="Filter"
            value={filter}
            onInput={(event) => (filter.value = event.currentTarget.value)}
          />
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={isOfConversation}
            onChange={(event) => (isOfConversation.value = event.currentTarget.checked)}
          />{" "}
          this conversation
        </label>
        <OpenRecording />
        {shown.value.length > 0 && (
          <span class="button-group">
            Export all
            <span class="joined">
              <button aria-label="Export all as a recording" onClick={() => void exportExchanges("recording", idsShown())}>recording</button>
              <button aria-label="Export all as HAR" onClick={() => void exportExchanges("har", idsShown())}>HAR</button>
            </span>
          </span>
        )}
      </div>
      <Recordings />
      {store.exchangesDropped.value > 0 && <p class="quiet">{counted(store.exchangesDropped.value, "older exchange")} dropped.</p>}
      {shown.value.length === 0 ? (
        <p class="empty">{store.exchanges.value.length ? "No exchange matches the filter." : "No exchange yet. Send a message, or open a recording."}</p>
      ) : (
        <div class="exchange-list" style={{ height: `min(30vh, ${shown.value.length * ROW_HEIGHT + 2}px)` }}>
          <VirtualList
            label="Exchanges"
            count={shown.value.length}
            rowHeight={ROW_HEIGHT}
            selected={index}
            onSelect={(i) => (store.selectedExchange.value = shown.value[i]?.id ?? null)}
            row={(i) => {
              const exchange = shown.value[i];
              return exchange && <ExchangeRow exchange={exchange} />;
            }}
            follow
          />
        </div>
      )}
      {selected && <ExchangeView exchange={selected} />}
    </>
  );
}

function OpenRecording() {
  const input = useRef<HTMLInputElement>(null);
  const onChange = (event: { currentTarget: HTMLInputElement }) => {
    const element = event.currentTarget;
    const file = element.files?.[0];
    if (!file) return;
    void store.attempt(async () => {
      const path = `/api/recordings?name=${encodeURIComponent(file.name)}`;
      const response = await api.call("POST", path, file, "application/octet-stream");
      const opened = (await response.json()) as api.Recording;
      element.value = "";
      store.selectedExchange.value = `${opened.id}-1`;
      const cut = opened.is_cut ? " Its last line is incomplete." : "";
      store.notice.value = `${opened.name}: ${counted(opened.exchanges, "exchange")}.${cut}`;
    });
  };
  return (
    <>
      <input ref={input} type="file" class="hidden" tabIndex={-1} aria-label="Recording to open" onChange={onChange} />
      <button onClick={() => input.current?.click()}>Open a recording</button>
    </>
  );
}

function Recordings() {
  if (store.recordings.value.length === 0) return null;
  return (
    <ul class="plain-list">
      {store.recordings.value.map((recording) => (
        <li key={recording.id}>
          {recording.name}, {counted(recording.exchanges, "exchange")}{recording.is_cut && ", its last line incomplete"}{" "}
          <button onClick={() => void store.attempt(() => api.remove(`/api/recordings/${recording.id}`))}>Close</button>
        </li>
      ))}
    </ul>
  );
}

// --- bots

function Bots() {
  return (
    <>
      {store.bots.value.map((bot) => (
        <BotView key={bot.name} bot={bot} />
      ))}
      <AddBot />
    </>
  );
}

function postTo(bot: Bot, path: string, body: unknown = {}): void {
  void store.attempt(async () => {
    const answer = await api.postJson<Partial<Bot>>(`/api/bots/${encodeURIComponent(bot.name)}/${path}`, body);
    if (answer.name) store.applyChanges([{ type: "bot", bot: answer as Bot }]);
  });
}

function BotView({ bot }: { bot: Bot }) {
  return (
    <section class="card" aria-label={bot.name}>
      <h3>
        {bot.name} <span class={`status ${bot.status}`}>{bot.status}</span>
      </h3>
      <p class="quiet">
        {bot.target ?? bot.url ?? "no server"} · version {bot.generation}
      </p>
      <div class="actions">
        <button onClick={() => postTo(bot, "settings")}>Fetch settings</button>
        {bot.kind === "target" && <button onClick={() => postTo(bot, "reload")}>Reload</button>}
        <button onClick={() => void store.newConversation(bot.name)}>New conversation</button>
      </div>
      {bot.error && <LongText text={bot.error} label={`Why ${bot.name} does not start`} />}
      {bot.settings_error && <p class="problem">{bot.settings_error}</p>}
      {bot.settings_findings.length > 0 && (
        <ul class="findings">
          {bot.settings_findings.map((finding, i) => (
            <FindingView key={i} finding={finding} />
          ))}
        </ul>
      )}
      {bot.settings && (
        <details>
          <summary>Settings</summary>
          <LongText text={JSON.stringify(bot.settings, null, 2)} label={`Settings of ${bot.name}`} />
        </details>
      )}
      <ReportError bot={bot} />
    </section>
  );
}

function ReportError({ bot }: { bot: Bot }) {
  const message = useSignal("");
  const submit = (event: Event) => {
    event.preventDefault();
    postTo(bot, "errors", { message: message.value });
    message.value = "";
  };
  return (
    <form class="inline-form" onSubmit={submit}>
      <label>
        Report an error to the bot
        <input required value={message} onInput={(event) => (message.value = event.currentTarget.value)} />
      </label>
      <button>Send report_error</button>
    </form>
  );
}

function AddBot() {
  const name = useSignal("");
  const url = useSignal("");
  const key = useSignal("");
  const submit = (event: Event) => {
    event.preventDefault();
    void store.attempt(async () => {
      const body = { name: name.value, url: url.value, access_key: key.value || undefined };
      const bot = await api.postJson<Bot>("/api/bots", body);
      store.applyChanges([{ type: "bot", bot }]);
      name.value = url.value = key.value = "";
    });
  };
  return (
    <form class="card stacked-form" onSubmit={submit} aria-label="Add a bot">
      <h3>Add a bot</h3>
      <label>
        Name <input required value={name} onInput={(event) => (name.value = event.currentTarget.value)} />
      </label>
      <label>
        URL{" "}
        <input
          required
          type="url"
          placeholder="http://127.0.0.1:8080/"
          value={url}
          onInput={(event) => (url.value = event.currentTarget.value)}
        />
      </label>
      <label>
        Access key{" "}
        <input
          type="password"
          autocomplete="off"
          value={key}
          onInput={(event) => (key.value = event.currentTarget.value)}
        />
      </label>
      <button>Add</button>
    </form>
  );
}

// --- the simulated Poe

function SimulatedPoe() {
  const newBalance = useSignal("");
  const setBalance = (event: Event) => {
    event.preventDefault();
    void store.attempt(async () => {
      await api.postJson("/api/balance", { balance: Math.round(Number(newBalance.value) * 100_000) });
      newBalance.value = "";
    });
  };
  return (
    <>
      <section class="card" aria-label="Balance">
        <h3>Balance {money(store.balance.value)}</h3>
        <form class="inline-form" onSubmit={setBalance}>
          <label>
            New balance in dollars
            <input
              required
              type="number"
              min="0"
              step="any"
              value={newBalance}
              onInput={(event) => (newBalance.value = event.currentTarget.value)}
            />
          </label>
          <button>Set</button>
        </form>
        <Charges />
      </section>
      <Faults />
      <p class="quiet">
        Bots call this Poe at <code>{store.poeAddress.value}</code>
      </p>
    </>
  );
}

function Charges() {
  if (store.charges.value.length === 0) return <p class="quiet">No charges.</p>;
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Bot</th>
          <th scope="col">For</th>
          <th scope="col">Amount</th>
        </tr>
      </thead>
      <tbody>
        {store.charges.value.map((charge, i) => (
          <tr key={i}>
            <td>{charge.bot_name}</td>
            <td>{charge.items.map((item) => item.description ?? "–").join(", ")}</td>
            <td>{money(charge.amount_usd_milli_cents)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The arguments that each kind of fault takes, with their initial values. */
const FAULT_ARGUMENTS: Record<string, Record<string, number>> = {
  status: { status: 503 },
  rate_limited: { retry_after: 1 },
  truncate_events: { events: 1 },
  truncate: { size: 20 },
  reset: {},
  slow: { seconds: 1 },
  silent: { seconds: 10 },
  garbage: {},
};

function Faults() {
  const where = useSignal("");
  const kind = useSignal("status");
  const times = useSignal(1);
  const values = useSignal<Record<string, number>>({});
  const names = FAULT_ARGUMENTS[kind.value] ?? {};
  const bots = store.bots.value;
  const submit = (event: Event) => {
    event.preventDefault();
    void store.attempt(async () => {
      const place = where.value || bots[0]?.name;
      await api.postJson("/api/faults", { where: place, kind: kind.value, times: times.value, ...names, ...values.value });
    });
  };
  return (
    <section class="card" aria-label="Faults">
      <h3>Faults</h3>
      <p class="quiet">What the next calls of bots to Poe meet.</p>
      <form class="inline-form" onSubmit={submit}>
        <label>
          Bot that is called
          <select value={where.value || bots[0]?.name} onChange={(event) => (where.value = event.currentTarget.value)}>
            {bots.map((bot) => (
              <option key={bot.name}>{bot.name}</option>
            ))}
          </select>
        </label>
        <label>
          Kind
          <select
            value={kind}
            onChange={(event) => {
              kind.value = event.currentTarget.value;
              values.value = {};
            }}
          >
            {Object.keys(FAULT_ARGUMENTS).map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
        {Object.entries(names).map(([name, initial]) => (
          <label key={name}>
            {name}
            <input
              type="number"
              min="0"
              step="any"
              value={values.value[name] ?? initial}
              onInput={(event) => (values.value = { ...values.value, [name]: event.currentTarget.valueAsNumber })}
            />
          </label>
        ))}
        <label>
          Times
          <input type="number" min="1" value={times} onInput={(event) => (times.value = event.currentTarget.valueAsNumber)} />
        </label>
        <button>Plan</button>
      </form>
      {store.faults.value.length > 0 && (
        <>
          <ul class="plain-list">
            {store.faults.value.map((fault) => (
              <li key={fault.number}>
                {fault.where}: {fault.kind} {JSON.stringify(fault.arguments)}, {counted(fault.times, "time")}
              </li>
            ))}
          </ul>
          <button onClick={() => void store.attempt(() => api.remove("/api/faults"))}>Clear</button>
        </>
      )}
    </section>
  );
}

// --- the request editor

const IDENTIFIERS = { user_id: "u-1", conversation_id: "c-1", message_id: "m-1" };
const TEMPLATES: Record<string, unknown> = {
  query: {
    version: "1.2",
    type: "query",
    query: [{ role: "user", content: "Hello", content_type: "text/markdown", timestamp: 0, message_id: "m-0", feedback: [], attachments: [] }],
    ...IDENTIFIERS,
    metadata: "",
  },
  settings: { version: "1.2", type: "settings" },
  report_feedback: { version: "1.2", type: "report_feedback", ...IDENTIFIERS, feedback_type: "like" },
  report_reaction: { version: "1.2", type: "report_reaction", ...IDENTIFIERS, reaction: "heart" },
  report_error: { version: "1.2", type: "report_error", message: "what went wrong", metadata: {} },
};

const editorBody = signal(JSON.stringify(TEMPLATES["query"], null, 2));

function RequestEditor() {
  const chosen = useSignal("");
  const bots = store.bots.value;
  const submit = (event: Event) => {
    event.preventDefault();
    void store.attempt(async () => {
      const body = { bot: chosen.value || bots[0]?.name, body: editorBody.value };
      await store.sendRequest("/api/requests", body);
      tab.value = "Exchanges";
    });
  };
  return (
    <form class="editor" onSubmit={submit}>
      <div class="actions" role="group" aria-label="Templates">
        {Object.keys(TEMPLATES).map((name) => (
          <button key={name} type="button" onClick={() => (editorBody.value = JSON.stringify(TEMPLATES[name], null, 2))}>
            {name}
          </button>
        ))}
      </div>
      <label>
        To the bot
        <select value={chosen.value || bots[0]?.name} onChange={(event) => (chosen.value = event.currentTarget.value)}>
          {bots.map((bot) => (
            <option key={bot.name}>{bot.name}</option>
          ))}
        </select>
      </label>
      <label>
        Body of the request
        <textarea
          rows={20}
          spellcheck={false}
          value={editorBody}
          onInput={(event) => (editorBody.value = event.currentTarget.value)}
        />
      </label>
      <JsonState text={editorBody.value} />
      <button class="primary">Send</button>
    </form>
  );
}
