/** A message of the conversation: its texts, attachments, error, and what one can do with it. */

import { signal, useSignal } from "@preact/signals";
import { memo } from "preact/compat";
import { useLayoutEffect, useRef } from "preact/hooks";
import { type Attachment, type Conversation, type Message, postJson } from "./contract";
import { bytes, duration, money } from "./format";
import { HtmlFrame } from "./html_frame";
import { type InlineReference, isLocal, mayLoad, referenceKey } from "./markdown";
import * as store from "./store";
import { StreamedMarkdown } from "./streamed_markdown";

const REACTIONS = ["👍", "👎", "❤️", "😂", "😮", "😢"];

/** The user's message that is being edited. */
export const edited = signal<Message | null>(null);

function inlineReferences(attachments: Attachment[]): Record<string, InlineReference> {
  const references: Record<string, InlineReference> = {};
  for (const { inline_ref, url, name } of attachments) {
    if (inline_ref) references[referenceKey(inline_ref)] = { href: url, title: name };
  }
  return references;
}

function AnswerText({ message, index }: { message: Message; index: number }) {
  const host = useRef<HTMLDivElement>(null);
  const shown = useRef<StreamedMarkdown | null>(null);
  const referenceCount = message.attachments.filter((one) => one.inline_ref).length;
  useLayoutEffect(() => {
    if (!host.current) return;
    const live = store.liveText(message.id, index);
    const references = inlineReferences(message.attachments);
    const isPlain = message.content_type === "text/plain" || message.role === "user";
    const text = new StreamedMarkdown(host.current, references, isPlain);
    shown.current = text;
    text.append(live.text);
    live.onAppend = (more) => text.append(more);
    live.onReset = () => text.reset();
    return () => {
      live.onAppend = live.onReset = null;
      text.stop();
    };
    // A reference that arrives late is seen by all blocks: they are rendered anew.
  }, [message.id, index, message.content_type, referenceCount]);
  useLayoutEffect(() => {
    if (message.status !== "streaming") shown.current?.finish();
  }, [message.id, message.status, message.content_type, referenceCount]);
  const isWaiting = message.status === "streaming" && store.liveText(message.id, index).text === "";
  return <div ref={host} class={isWaiting ? "text waiting" : "text"} />;
}

function HtmlAnswer({ message, index, network }: { message: Message; index: number; network: boolean }) {
  if (message.status === "streaming") return <p class="quiet">The HTML is shown when it is complete.</p>;
  const html = store.liveText(message.id, index).text;
  return <HtmlFrame html={html} network={network} title={`HTML of ${message.bot ?? "the bot"}`} />;
}

function Answers({ message, network }: { message: Message; network: boolean }) {
  const isHtml = message.content_type === "text/html";
  const texts = message.texts.length ? message.texts : [{ index: 0 }];
  return (
    <div class={texts.length > 1 ? "answers several" : "answers"}>
      {texts.map(({ index }) => (
        <div key={index} class="answer">
          {texts.length > 1 && <h4>Answer {index + 1}</h4>}
          {isHtml ? (
            <HtmlAnswer message={message} index={index} network={network} />
          ) : (
            <AnswerText message={message} index={index} />
          )}
        </div>
      ))}
    </div>
  );
}

export function AttachmentView({ attachment, network = false }: { attachment: Attachment; network?: boolean }) {
  const { url, name, content_type: type, size } = attachment;
  const html = useSignal<string | null>(null);
  const link = (
    <a href={url} target="_blank" rel="noopener noreferrer" class="attachment-link">
      {name} <small>{type}{size !== null ? `, ${bytes(size)}` : ""}</small>
    </a>
  );
  // A file from elsewhere is not loaded: its server would learn who reads the conversation.
  if (!mayLoad(url)) return <div class="attachment">{link}</div>;
  const isShowable = isLocal(url) && /^(?:text\/html|application\/xhtml\+xml)\b/.test(type);
  const preview = async () => {
    try {
      const response = await fetch(url);
      if (!response.ok) throw new TypeError(`HTTP ${response.status}`);
      html.value = await response.text();
    } catch (error) {
      store.notice.value = `${name} could not be loaded: ${String(error)}`;
    }
  };
  return (
    <figure class="attachment">
      {type.startsWith("image/") && <img src={url} alt={name} loading="lazy" />}
      {type.startsWith("audio/") && <audio controls src={url} aria-label={name} />}
      {type.startsWith("video/") && <video controls src={url} aria-label={name} />}
      <figcaption>
        {link}
        {isShowable && (
          <button
            aria-expanded={html.value !== null}
            aria-label={`${html.value === null ? "Run" : "Close"} ${name}`}
            onClick={() => (html.value === null ? void preview() : (html.value = null))}
          >
            {html.value === null ? "Run" : "Close"}
          </button>
        )}
      </figcaption>
      {html.value !== null && <HtmlFrame html={html.value} network={network} title={name} />}
    </figure>
  );
}

function ErrorView({ message, conversation }: { message: Message; conversation: Conversation }) {
  const error = message.error;
  if (!error) return null;
  const exchange = store.exchanges.value.find((one) => one.id === message.exchange);
  const retry = () =>
    store.attempt(() => postJson(`/api/conversations/${conversation.id}/retry`, { message: message.id }));
  return (
    <div class="error" role="alert">
      <strong>{error.type ?? "The bot failed"}</strong>
      <p>{error.text || "The bot sent an error without a text."}</p>
      <div class="error-actions">
        {error.allow_retry ? <button onClick={() => void retry()}>Retry</button> : <small>The bot allows no retry.</small>}
        {Boolean(exchange?.logs) && <button onClick={() => store.inspect(message.exchange, "Logs")}>What the bot logged</button>}
      </div>
    </div>
  );
}

function sendFeedback(message: Message, type: "like" | "dislike", reason?: string): void {
  void store.attempt(() => postJson(`/api/messages/${message.id}/feedback`, { feedback_type: type, reason }));
}

function Feedback({ message }: { message: Message }) {
  const isAsking = useSignal(false);
  const reason = useSignal("");
  const submit = (event: Event) => {
    event.preventDefault();
    isAsking.value = false;
    sendFeedback(message, "dislike", reason.value || undefined);
  };
  return (
    <>
      <button aria-pressed={message.feedback === "like"} onClick={() => sendFeedback(message, "like")}>
        Like
      </button>
      <button
        aria-pressed={message.feedback === "dislike"}
        aria-expanded={isAsking.value}
        onClick={() => (isAsking.value = !isAsking.value)}
      >
        Dislike
      </button>
      {isAsking.value && (
        <form class="reason" onSubmit={submit}>
          <label>
            Why? <input value={reason} onInput={(event) => (reason.value = event.currentTarget.value)} />
          </label>
          <button>Send</button>
        </form>
      )}
    </>
  );
}

function Reactions({ message }: { message: Message }) {
  const isOpen = useSignal(false);
  const toggle = (reaction: string) => {
    const action = message.reactions.includes(reaction) ? "removed" : "added";
    isOpen.value = false;
    void store.attempt(() => postJson(`/api/messages/${message.id}/reactions`, { reaction, action }));
  };
  const offered = isOpen.value ? [...new Set([...REACTIONS, ...message.reactions])] : message.reactions;
  return (
    <>
      <button aria-expanded={isOpen.value} onClick={() => (isOpen.value = !isOpen.value)}>
        React
      </button>
      {offered.map((reaction) => (
        <button
          key={reaction}
          class="reaction"
          aria-label={`Reaction ${reaction}`}
          aria-pressed={message.reactions.includes(reaction)}
          onClick={() => toggle(reaction)}
        >
          {reaction}
        </button>
      ))}
    </>
  );
}

/** Whether Poe keeps the reply, so that there is something that feedback can be about. */
function isReportable({ id, role, status, texts }: Message): boolean {
  const hasText = texts.some(({ index }) => store.liveText(id, index).text !== "");
  return role === "bot" && (status === "complete" || (status === "stopped" && hasText));
}

function Actions({ message, conversation }: { message: Message; conversation: Conversation }) {
  const fork = () =>
    store.attempt(async () => {
      const created = await postJson<Conversation>(`/api/conversations/${conversation.id}/fork`, { message: message.id });
      store.applyChanges([{ type: "conversation", conversation: created }]);
      store.selectConversation(created.id);
    });
  const retry = () =>
    store.attempt(() => postJson(`/api/conversations/${conversation.id}/retry`, { message: message.id }));
  const copy = () => {
    const texts = message.texts.map(({ index }) => store.liveText(message.id, index).text);
    void store.copyText(texts.join("\n\n"));
  };
  const inspect = () => store.inspect(message.exchange);
  const isBusy = conversation.streaming;
  return (
    <div class="actions">
      {isReportable(message) && <Feedback message={message} />}
      {isReportable(message) && <Reactions message={message} />}
      {message.role === "bot" && !isBusy && !message.error && <button onClick={() => void retry()}>Regenerate</button>}
      {message.role === "user" && !isBusy && <button onClick={() => (edited.value = message)}>Edit</button>}
      {!isBusy && <button onClick={() => void fork()}>Fork</button>}
      <button onClick={copy}>Copy</button>
      {message.exchange && <button onClick={inspect}>Inspect</button>}
    </div>
  );
}

function Facts({ message }: { message: Message }) {
  const facts = [];
  if (message.first_event_ms !== null) facts.push(`first event ${duration(message.first_event_ms)}`);
  if (message.duration_ms !== null) facts.push(duration(message.duration_ms));
  if (message.spent) facts.push(money(message.spent));
  if (message.metadata !== null) facts.push(`metadata ${bytes(message.metadata.length)}`);
  if (message.status === "stopped") facts.push("stopped");
  return facts.length ? <small class="facts">{facts.join(" · ")}</small> : null;
}

/** The first letter of the bot's name in a disc: Poe's pictures of bots are not here. */
export function Avatar({ name }: { name: string }) {
  return (
    <span class="avatar" aria-hidden="true">
      {[...name][0]?.toUpperCase()}
    </span>
  );
}

interface MessageProps {
  message: Message;
  conversation: Conversation;
  isLast: boolean;
  reply: (text: string) => void;
}

export const MessageView = memo(function MessageView({ message, conversation, isLast, reply }: MessageProps) {
  const name = message.role === "user" ? "You" : (message.bot ?? "Bot");
  const element = useRef<HTMLElement>(null);
  const references = message.attachments.filter((one) => one.inline_ref && one.content_type.startsWith("image/"));
  const separate = message.attachments.filter((one) => !references.includes(one) || !mayLoad(one.url));
  const isEmpty =
    message.role === "bot" && message.status === "complete" && message.texts.every(({ text }) => text === "") && !message.attachments.length;
  return (
    <article ref={element} class={`message ${message.role}`} aria-label={`${name}`} data-message={message.id}>
      <header>
        {message.role === "bot" && <Avatar name={name} />}
        <h3>{name}</h3>
        {message.role === "user" && message.bot && message.bot !== conversation.bot && <small>to {message.bot}</small>}
        <Facts message={message} />
      </header>
      <Answers message={message} network={conversation.network} />
      {isEmpty && <p class="quiet">An answer without text.</p>}
      {separate.map((attachment) => (
        <AttachmentView key={attachment.url} attachment={attachment} network={conversation.network} />
      ))}
      <ErrorView message={message} conversation={conversation} />
      {message.status !== "streaming" && <Actions message={message} conversation={conversation} />}
      {isLast && message.status !== "streaming" && message.suggested_replies.length > 0 && (
        <div class="suggestions" role="group" aria-label="Suggested replies">
          {message.suggested_replies.map((text) => (
            <button key={text} onClick={() => reply(text)}>
              {text}
            </button>
          ))}
        </div>
      )}
    </article>
  );
});
