/** One exchange: request, events, raw reads, times, findings and logs; and its copies. */

import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useMemo, useRef } from "preact/hooks";
import * as api from "./contract";
import type { Bytes, Exchange, ExchangeDetail, Finding, Header, Read, SentEvent } from "./contract";
import { bytes, clock, counted, decodeBytes, duration, hexDump, indented, visible } from "./format";
import { PagedItems } from "./pages";
import * as store from "./store";
import { TabBar } from "./tabs";
import { TimingPlot } from "./timing_plot";
import { VirtualList } from "./virtual_list";

/** A longer body is shown when asked for. */
const SHOWN_BODY_LIMIT = 100_000;
const ROW_HEIGHT = 26;
const PIECE = 20_000;

const chosenTab = store.exchangeTab;

let focusServed = 0;

/** Close the exchange; the focus returns to the list. */
function closeExchange(): void {
  store.selectedExchange.value = null;
  document.querySelector<HTMLElement>(".exchange-list [role=listbox]")?.focus();
}

export function ExchangeView({ exchange }: { exchange: Exchange }) {
  const tab = chosenTab.value ?? (exchange.events ? "Events" : "Request");
  const detail = useSignal<ExchangeDetail | null>(null);
  const selectedEvent = useSignal(-1);
  const element = useRef<HTMLElement>(null);
  const count = exchange.findings.MUST + exchange.findings.SHOULD + exchange.findings.MAY;
  useEffect(() => {
    selectedEvent.value = -1;
    detail.value = null;
  }, [exchange.id]);
  useEffect(() => {
    let isCurrent = true;
    void store.attempt(async () => {
      const loaded = await api.getJson<ExchangeDetail>(`/api/exchanges/${exchange.id}`);
      if (isCurrent) detail.value = loaded;
    });
    return () => void (isCurrent = false);
  }, [exchange.id, exchange.outcome, exchange.status, count, exchange.logs]);
  useEffect(() => {
    if (store.exchangeFocus.value === focusServed) return;
    focusServed = store.exchangeFocus.value;
    element.current?.focus();
  }, [exchange.id, store.exchangeFocus.value]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") closeExchange();
  };
  const goToEvent = (index: number) => {
    selectedEvent.value = index;
    chosenTab.value = "Events";
  };
  const known = detail.value?.id === exchange.id ? detail.value : null;
  const labels: Partial<Record<store.ExchangeTab, ComponentChildren>> = {
    Findings: `Findings ${count || ""}`,
    Events: `Events ${exchange.events || ""}`,
    Raw: `Raw ${exchange.reads || ""}`,
    Logs: `Logs ${exchange.logs || ""}`,
  };
  return (
    <section ref={element} tabIndex={-1} class="exchange" aria-label={`Exchange ${exchange.id}`} onKeyDown={onKeyDown}>
      <ExchangeHead exchange={exchange} />
      <TabBar label="Parts of the exchange" tabs={store.EXCHANGE_TABS} selected={tab} onSelect={(name) => (chosenTab.value = name)} labels={labels} />
      <div class="panel" role="tabpanel" aria-label={tab}>
        {tab === "Findings" && <Findings findings={known?.findings_list ?? []} goToEvent={goToEvent} />}
        {tab === "Request" && known && <RequestPart detail={known} />}
        {tab === "Events" && known && <EventList key={exchange.id} exchange={exchange} detail={known} selected={selectedEvent} />}
        {tab === "Raw" && <ReadList key={exchange.id} exchange={exchange} detail={known} />}
        {tab === "Times" && <TimingPlot exchange={exchange} />}
        {tab === "Logs" && <LogList logs={known?.log_list ?? []} />}
        {tab === "Edit" && known && <EditAndResend key={exchange.id} detail={known} />}
      </div>
    </section>
  );
}

function ExchangeHead({ exchange }: { exchange: Exchange }) {
  const withKey = useSignal(false);
  const resend = () => store.attempt(() => store.sendRequest(`/api/exchanges/${exchange.id}/resend`));
  const copy = (format: string) =>
    store.attempt(async () => {
      const query = `as=${format}&secrets=${withKey.value ? 1 : 0}`;
      const { text } = await api.getJson<{ text: string }>(`/api/exchanges/${exchange.id}/copy?${query}`);
      await store.copyText(text, `Copied as ${format}.`);
    });
  return (
    <header class="exchange-head">
      <h3>
        {exchange.kind} <small>{exchange.method} <code>{exchange.url}</code></small>
      </h3>
      <button class="close" aria-label="Close the exchange" onClick={closeExchange}>
        ×
      </button>
      <p class="quiet">
        <span class={isBad(exchange) ? "state-badge bad" : "state-badge"}>{exchange.status ?? "…"}</span> ·{" "}
        {exchange.outcome ?? "under way"} {exchange.detail} · {clock(exchange.started)} · first byte{" "}
        {duration(exchange.first_byte_ms)} · {duration(exchange.duration_ms)} · {bytes(exchange.response_size)} in {counted(exchange.reads, "read")}
        {exchange.omitted > 0 && ` · ${bytes(exchange.omitted)} were not kept`}
        {exchange.resent_from && ` · resent from ${exchange.resent_from}`}
      </p>
      <div class="actions">
        {exchange.direction === "to-bot" && exchange.source === "live" && <button onClick={() => void resend()}>Resend</button>}
        <span class="button-group">
          Copy as
          <span class="joined">
            <button aria-label="Copy as curl" onClick={() => void copy("curl")}>curl</button>
            <button aria-label="Copy as Python" onClick={() => void copy("python")}>Python</button>
            <button aria-label="Copy as pytest" onClick={() => void copy("pytest")}>pytest</button>
          </span>
        </span>
        <label class="check">
          <input type="checkbox" checked={withKey} onChange={(event) => (withKey.value = event.currentTarget.checked)} /> with key
        </label>
        <span class="button-group">
          Export
          <span class="joined">
            <button aria-label="Export recording" onClick={() => void exportExchanges("recording", [exchange.id])}>recording</button>
            <button aria-label="Export HAR" onClick={() => void exportExchanges("har", [exchange.id])}>HAR</button>
          </span>
        </span>
      </div>
    </header>
  );
}

/** Whether the exchange failed: by its status, or by how it ended. */
export function isBad({ status, outcome }: Exchange): boolean {
  return (status ?? 200) >= 400 || !["eof", null].includes(outcome);
}

/** Save exchanges as a file: those of the list, or all. */
export function exportExchanges(format: "recording" | "har", ids: string[]): Promise<boolean> {
  return store.attempt(async () => {
    const chosen = ids.length ? `&exchanges=${ids.join(",")}` : "";
    const response = await api.call("GET", `/api/export?format=${format}${chosen}`);
    save(await response.blob(), format === "har" ? "playground.har" : "playground.jsonl");
  });
}

function save(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function FindingView({ finding, goToEvent }: { finding: Finding; goToEvent?: (index: number) => void }) {
  const { event } = finding;
  return (
    <li class={`finding ${finding.level}`}>
      <p>
        <span class={`level ${finding.level}`}>{finding.level}</span> <code>{finding.path}</code> {finding.message}
      </p>
      <p class="quiet">
        {finding.section_url ? (
          <a href={finding.section_url} target="_blank" rel="noopener noreferrer">{finding.section}</a>
        ) : (
          finding.section
        )}
      </p>
      <details>
        <summary>{finding.rule}</summary>
        <p>Why: {finding.why}</p>
        {finding.fix && <p>Fix: {finding.fix}</p>}
      </details>
      {event !== null && goToEvent && <button onClick={() => goToEvent(event)}>Go to event {event}</button>}
    </li>
  );
}

/** The findings of one side that concern no single event, beside what they are about. */
function FindingsHere({ detail, side }: { detail: ExchangeDetail; side: Finding["side"] }) {
  const here = detail.findings_list.filter((finding) => finding.side === side && finding.event === null);
  if (here.length === 0) return null;
  return (
    <ul class="findings" aria-label={`Findings about the ${side}`}>
      {here.map((finding, i) => (
        <FindingView key={i} finding={finding} />
      ))}
    </ul>
  );
}

function Findings({ findings, goToEvent }: { findings: Finding[]; goToEvent: (index: number) => void }) {
  if (findings.length === 0) return <p class="quiet">No rule of the protocol is broken.</p>;
  return (
    <ul class="findings">
      {findings.map((finding, i) => (
        <FindingView key={i} finding={finding} goToEvent={goToEvent} />
      ))}
    </ul>
  );
}

export function Headers({ headers, label }: { headers: Header[]; label: string }) {
  return (
    <table class="headers" aria-label={label}>
      <tbody>
        {headers.map(([name, value], i) => (
          <tr key={i}>
            <th scope="row">{name}</th>
            <td>{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Text in pieces, of which the browser lays out those in view. */
export function LongText({ text, label }: { text: string; label: string }) {
  const pieces = [];
  for (let start = 0; start < text.length; start += PIECE) pieces.push(text.slice(start, start + PIECE));
  return (
    <pre class="long-text" tabIndex={0} role="region" aria-label={label}>
      {pieces.map((piece, i) => (
        <span key={i}>{piece}</span>
      ))}
    </pre>
  );
}

function BodyView({ body, label, exchange, side }: { body: Bytes; label: string; exchange: string; side: string }) {
  const isShown = useSignal(body.size <= SHOWN_BODY_LIMIT);
  const isHex = useSignal(body.b64 !== undefined);
  if (body.size === 0) return <p class="quiet">No body.</p>;
  const download = () =>
    store.attempt(async () => {
      const response = await api.call("GET", `/api/exchanges/${exchange}/body?side=${side}`);
      save(await response.blob(), `exchange-${exchange}-${side}`);
    });
  const text = isShown.value ? (isHex.value ? hexDump(decodeBytes(body), 0) : indented(body.text ?? "")) : "";
  return (
    <div>
      <div class="actions">
        {!isShown.value && <button onClick={() => (isShown.value = true)}>Show {bytes(body.size)}</button>}
        {isShown.value && body.text !== undefined && <HexButton isHex={isHex} />}
        <button onClick={() => void download()}>Save the bytes</button>
        {Boolean(body.omitted) && <span class="quiet">{bytes(body.omitted ?? 0)} were not kept</span>}
      </div>
      {isShown.value && <LongText text={text} label={label} />}
    </div>
  );
}

function RequestPart({ detail }: { detail: ExchangeDetail }) {
  return (
    <>
      <FindingsHere detail={detail} side="request" />
      <h4>Headers of the request</h4>
      <Headers headers={detail.request.headers} label="Headers of the request" />
      <h4>Body of the request, {bytes(detail.request.body.size)}</h4>
      <BodyView key={detail.id} body={detail.request.body} label="Body of the request" exchange={detail.id} side="request" />
      {detail.response && (
        <>
          <h4>Headers of the response</h4>
          <FindingsHere detail={detail} side="response" />
          <Headers headers={detail.response.headers} label="Headers of the response" />
          <ResponseBody key={detail.id} detail={detail} />
        </>
      )}
    </>
  );
}

/** The body of a response, as a whole; an event stream is also under Events and Raw. */
function ResponseBody({ detail }: { detail: ExchangeDetail }) {
  const body = useSignal<Uint8Array | null>(null);
  const isHex = useSignal(false);
  const isSmall = detail.response_size <= SHOWN_BODY_LIMIT;
  const load = (show: (response: Response) => Promise<void>) =>
    store.attempt(async () => show(await api.call("GET", `/api/exchanges/${detail.id}/body?side=response`)));
  const show = () => load(async (response) => void (body.value = new Uint8Array(await response.arrayBuffer())));
  const download = () => load(async (response) => save(await response.blob(), `exchange-${detail.id}-response`));
  useEffect(() => {
    if (isSmall && detail.events === 0 && detail.response_size > 0) void show();
  }, [detail.response_size, detail.events]);
  const text = body.value && (isHex.value ? hexDump(body.value, 0) : indented(new TextDecoder().decode(body.value)));
  return (
    <>
      <h4>Body of the response, {bytes(detail.response_size)}</h4>
      {detail.response_size > 0 && (
        <div class="actions">
          {text === null ? <button onClick={() => void show()}>Show {bytes(detail.response_size)}</button> : <HexButton isHex={isHex} />}
          <button onClick={() => void download()}>Save the bytes</button>
        </div>
      )}
      {text !== null && <LongText text={text} label="Body of the response" />}
    </>
  );
}

function usePages<T>(exchange: Exchange, key: "events" | "reads") {
  const pages = useMemo(() => new PagedItems<T>(`/api/exchanges/${exchange.id}/${key}`, key), [exchange.id, key]);
  const total = exchange[key];
  void pages.version.value; // read, so that items that arrive are shown
  const onRange = useCallback((from: number, to: number) => pages.request(from, to, total), [pages, total]);
  return { pages, total, onRange };
}

/** The worst level of the findings at each event. */
function levelsOf(findings: Finding[]): Map<number, Finding["level"]> {
  const order = { MUST: 0, SHOULD: 1, MAY: 2 };
  const levels = new Map<number, Finding["level"]>();
  for (const { event, level, side } of findings) {
    if (event === null || side !== "response") continue;
    const before = levels.get(event);
    if (!before || order[level] < order[before]) levels.set(event, level);
  }
  return levels;
}

interface ListProps {
  exchange: Exchange;
  detail: ExchangeDetail | null;
}

function EventList({ exchange, detail, selected }: ListProps & { detail: ExchangeDetail; selected: { value: number } }) {
  const { pages, total, onRange } = usePages<SentEvent>(exchange, "events");
  const levels = useMemo(() => levelsOf(detail.findings_list), [detail]);
  const row = (index: number) => {
    const event = pages.at(index);
    if (!event) return null;
    const level = levels.get(index);
    return (
      <>
        <span class="number">{index}</span>
        <span class="gap">+{event.gap_ms.toFixed(1)} ms</span>
        <span class="name">{event.event}</span>
        {level && <span class={`level ${level}`}>{level}</span>}
        <span class="data">{visible(event.data, 200)}</span>
      </>
    );
  };
  if (total === 0) return <p class="quiet">No events.</p>;
  const chosen = selected.value >= 0 ? pages.at(selected.value) : null;
  const here = detail.findings_list.filter((finding) => finding.event === selected.value && finding.side === "response");
  return (
    <>
      <VirtualList
        label="Events"
        count={total}
        rowHeight={ROW_HEIGHT}
        selected={selected.value}
        onSelect={(index) => (selected.value = index)}
        row={row}
        onRange={onRange}
        follow={exchange.outcome === null}
      />
      {chosen && (
        <div class="chosen">
          <ShownText key={chosen.index} text={chosen.data} label="Data of the event" offset={chosen.offset}>
            event {chosen.index}: {chosen.event} · offset {chosen.offset} · {bytes(chosen.size)} · at {duration(chosen.at_ms)}
            {chosen.cut && " · cut: see the raw reads"}
          </ShownText>
          {here.length > 0 && <ul class="findings">{here.map((finding, i) => <FindingView key={i} finding={finding} />)}</ul>}
        </div>
      )}
    </>
  );
}

interface ShownTextProps {
  text: string;
  label: string;
  offset: number;
  children: ComponentChildren;
}

function ShownText({ text, label, offset, children }: ShownTextProps) {
  const isHex = useSignal(false);
  const shown = isHex.value ? hexDump(new TextEncoder().encode(text), offset) : indented(text);
  return (
    <>
      <div class="chosen-head">
        <p class="quiet">{children}</p>
        <HexButton isHex={isHex} />
      </div>
      <LongText text={shown} label={label} />
    </>
  );
}

function HexButton({ isHex }: { isHex: Signal<boolean> }) {
  return (
    <button aria-pressed={isHex.value} onClick={() => (isHex.value = !isHex.value)}>
      Hex
    </button>
  );
}

function ReadList({ exchange, detail }: ListProps) {
  const { pages, total, onRange } = usePages<Read>(exchange, "reads");
  const selected = useSignal(0);
  const isHex = useSignal(true);
  const row = (index: number) => {
    const read = pages.at(index);
    if (!read) return null;
    return (
      <>
        <span class="number">{index}</span>
        <span class="gap">+{read.gap_ms.toFixed(1)} ms</span>
        <span class="name">{read.offset}</span>
        <span class="size">{bytes(read.size)}</span>
        <span class="data">{visible(read.text ?? read.b64 ?? "", 200)}</span>
      </>
    );
  };
  if (total === 0) return <p class="quiet">Nothing was read.</p>;
  const chosen = pages.at(selected.value);
  const findings = detail?.findings_list.filter((finding) => {
    return chosen && finding.offset !== null && finding.offset >= chosen.offset && finding.offset < chosen.offset + chosen.size;
  });
  return (
    <>
      <VirtualList
        label="Reads"
        count={total}
        rowHeight={ROW_HEIGHT}
        selected={selected.value}
        onSelect={(index) => (selected.value = index)}
        row={row}
        onRange={onRange}
      />
      {chosen && (
        <div class="chosen">
          <div class="chosen-head">
            <p class="quiet">
              read {chosen.index} · offset {chosen.offset} · {bytes(chosen.size)} · gap {duration(chosen.gap_ms)}
              {Boolean(chosen.omitted) && ` · ${bytes(chosen.omitted ?? 0)} were not kept`}
            </p>
            <HexButton isHex={isHex} />
          </div>
          {findings && findings.length > 0 && (
            <ul class="findings">{findings.map((finding, i) => <FindingView key={i} finding={finding} />)}</ul>
          )}
          <RawText key={chosen.index} read={chosen} isHex={isHex.value} />
        </div>
      )}
    </>
  );
}

function RawText({ read, isHex }: { read: Read; isHex: boolean }) {
  const isShown = useSignal(read.size <= SHOWN_BODY_LIMIT);
  if (!isShown.value) return <button onClick={() => (isShown.value = true)}>Show {bytes(read.size)}</button>;
  const data = decodeBytes(read);
  const text = isHex ? hexDump(data, read.offset) : new TextDecoder().decode(data);
  return <LongText text={text} label={isHex ? "The read in hexadecimal" : "The read as text"} />;
}

export function LogList({ logs }: { logs: api.Log[] }) {
  const selected = useSignal(-1);
  if (logs.length === 0) return <p class="quiet">Nothing was logged.</p>;
  const chosen = logs[selected.value];
  return (
    <>
      <VirtualList
        label="Logs"
        count={logs.length}
        rowHeight={ROW_HEIGHT}
        selected={selected.value}
        onSelect={(index) => (selected.value = index)}
        follow
        row={(index) => {
          const log = logs[index];
          return (
            log && (
              <>
                <span class="gap">{clock(log.at)}</span>
                <span class={`log-level ${log.level}`}>{log.level}</span>
                <span class="name">{log.bot}</span>
                <span class="data">{visible(log.text, 300)}</span>
              </>
            )
          );
        }}
      />
      {chosen && (
        <div class="chosen">
          <p class="quiet">
            {chosen.logger}{" "}
            {chosen.exchange && (
              <button onClick={() => store.inspect(chosen.exchange)}>exchange {chosen.exchange}</button>
            )}
          </p>
          <LongText text={chosen.text} label="The log record" />
        </div>
      )}
    </>
  );
}

function parseHeaders(text: string): Header[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, Math.max(0, colon)).trim(), line.slice(colon + 1).trim()];
  });
}

function EditAndResend({ detail }: { detail: ExchangeDetail }) {
  const headersBefore = detail.request.headers.map(([name, value]) => `${name}: ${value}`).join("\n");
  const body = useSignal(indented(detail.request.body.text ?? ""));
  const headers = useSignal(headersBefore);
  if (detail.direction !== "to-bot" || detail.source !== "live") {
    return <p class="quiet">Only a request of this session to a bot can be sent again. The request editor takes any JSON.</p>;
  }
  const send = (event: Event) => {
    event.preventDefault();
    void store.attempt(async () => {
      // Unchanged headers are not sent: the key in them is masked.
      const changed = headers.value === headersBefore ? {} : { headers: parseHeaders(headers.value) };
      await store.sendRequest(`/api/exchanges/${detail.id}/resend`, { body: body.value, ...changed });
    });
  };
  return (
    <form class="editor" onSubmit={send}>
      <label>
        Headers, one a line
        <textarea rows={5} spellcheck={false} value={headers} onInput={(event) => (headers.value = event.currentTarget.value)} />
      </label>
      <label>
        Body
        <textarea rows={16} spellcheck={false} value={body} onInput={(event) => (body.value = event.currentTarget.value)} />
      </label>
      <JsonState text={body.value} />
      <button class="primary">Send</button>
    </form>
  );
}

/** Whether the text is JSON. What is not may be sent all the same: a bot must survive it. */
export function JsonState({ text }: { text: string }) {
  try {
    JSON.parse(text);
    return <p class="quiet">Valid JSON.</p>;
  } catch (error) {
    return <p class="problem">Not JSON, sent as it is: {String(error)}</p>;
  }
}
