/** The conversation: its messages, the bot's introduction, and the field to write in. */

import { computed, effect, signal, useSignal } from "@preact/signals";
import { useCallback, useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { type Attachment, type Bot, call, type Conversation, type Message, type Parameters, postJson } from "./contract";
import { defaultParameters, ParameterControls, sectionsOf } from "./controls";
import { renderMarkdown } from "./markdown";
import { AttachmentView, Avatar, edited, MessageView } from "./message_view";
import * as store from "./store";

const parameters = signal<Parameters>({});
const attachments = signal<Attachment[]>([]);
const uploads = signal(0);
const draft = signal(sessionStorage.getItem("poeproto-draft") ?? "");

effect(() => sessionStorage.setItem("poeproto-draft", draft.value));

/** The bot that the draft is for: the one that `@` at its beginning names, or that of the conversation. */
const askedBot = computed(() => {
  const named = store.bots.value.filter(({ name }) => {
    return draft.value.startsWith(`@${name}`) && !/^[\p{L}\p{N}_-]/u.test(draft.value.slice(name.length + 1));
  });
  named.sort((one, other) => other.name.length - one.name.length);
  return named[0] ?? store.botOfConversation.value;
});

function allowsAttachments(bot: Bot | undefined): boolean {
  return bot?.settings?.allow_attachments !== false;
}

async function upload(files: Iterable<File>): Promise<void> {
  const bot = askedBot.value;
  if (!allowsAttachments(bot)) {
    store.notice.value = `${bot?.name ?? "The bot"} accepts no attachments: its settings say allow_attachments: false.`;
    return;
  }
  for (const file of files) {
    uploads.value += 1;
    await store.attempt(async () => {
      const path = `/api/files?name=${encodeURIComponent(file.name)}`;
      const response = await call("POST", path, file, file.type || "application/octet-stream");
      attachments.value = [...attachments.value, (await response.json()) as Attachment];
    });
    uploads.value -= 1;
  }
}

/** The parameters that have a control now: the bot may have been changed since others were set. */
function currentParameters(bot: Bot | undefined): Parameters | undefined {
  return sectionsOf(bot?.settings).length ? parameters.value : undefined;
}

interface Outgoing {
  text: string;
  attachments?: Attachment[];
  parameters?: Parameters | undefined;
}

/** Send a message of the user, in place of one that was edited if that is given. */
async function send(message: Outgoing, replaced: Message | null = null): Promise<boolean> {
  const id = store.selectedConversation.value ?? (await store.newConversation());
  if (!id) return false;
  return store.attempt(async () => {
    if (replaced) await postJson(`/api/conversations/${id}/edit`, { ...message, message: replaced.id });
    else await postJson(`/api/conversations/${id}/messages`, message);
  });
}

/** Send a suggested reply. What stands in the field is another message, and stays there. */
async function reply(text: string): Promise<void> {
  const bot = store.botOfConversation.value;
  await send({ text, parameters: bot === askedBot.value ? currentParameters(bot) : undefined });
}

/** What stands in a conversation without messages, of a bot without an introduction. */
function EmptyChat({ bot }: { bot: Bot }) {
  return (
    <div class="empty">
      <Avatar name={bot.name} />
      <h3>{bot.name}</h3>
      <p>Write a message. What Poe and the bot send each other is shown in the inspector.</p>
    </div>
  );
}

function Introduction({ bot, isAlone }: { bot: Bot | undefined; isAlone: boolean }) {
  const host = useRef<HTMLDivElement>(null);
  const text = bot?.settings?.introduction_message ?? "";
  useLayoutEffect(() => host.current?.replaceChildren(renderMarkdown(text, {})), [text]);
  if (!text) return isAlone && bot ? <EmptyChat bot={bot} /> : null;
  return (
    <article class="message bot" aria-label={`Introduction of ${bot?.name ?? "the bot"}`}>
      <header>
        <Avatar name={bot?.name ?? "Bot"} />
        <h3>{bot?.name}</h3>
      </header>
      <div ref={host} class="text" />
    </article>
  );
}

function BotState({ bot }: { bot: Bot | undefined }) {
  if (!bot) return <p class="quiet">There is no bot. Start one: <code>poeproto play cat.py:bot</code></p>;
  if (!bot.error && bot.status !== "failed") return <SettingsError bot={bot} />;
  const isOld = bot.status === "running";
  return (
    <details class="error" open>
      <summary>{isOld ? "The newest version does not start; the one before still runs" : "The bot does not run"}</summary>
      <pre tabIndex={0}>{bot.error ?? bot.status}</pre>
    </details>
  );
}

function SettingsError({ bot }: { bot: Bot }) {
  if (!bot.settings_error) return null;
  return (
    <p class="problem">
      The settings of {bot.name} could not be fetched: {bot.settings_error}
    </p>
  );
}

/**
 * Keeps the messages scrolled to their end while the reader is there, whatever grows: texts, pictures, buttons.
 * `content` changes when the reader should be taken to the end.
 */
function useScrolledToEnd(content: unknown[]) {
  const scroller = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const top = useRef(0);
  const scroll = () => {
    const element = scroller.current;
    if (element && isAtEnd.current) element.scrollTop = element.scrollHeight;
  };
  useEffect(() => {
    if (!scroller.current || !list.current) return;
    const observer = new ResizeObserver(scroll);
    observer.observe(scroller.current);
    observer.observe(list.current);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    isAtEnd.current = true;
    scroll();
  }, content);
  const onScroll = () => {
    const element = scroller.current;
    if (!element) return;
    // The event is late: what has grown since then is below, though nobody has scrolled up.
    if (element.scrollHeight - element.scrollTop - element.clientHeight < 40) isAtEnd.current = true;
    else if (element.scrollTop < top.current) isAtEnd.current = false;
    top.current = element.scrollTop;
  };
  return { scroller, list, onScroll };
}

export function Chat() {
  const isDropping = useSignal(false);
  const conversation = store.conversation.value;
  const messages = store.messages.value;
  const bot = store.botOfConversation.value;
  const asked = askedBot.value;
  const { scroller, list, onScroll } = useScrolledToEnd([conversation?.id, messages.length]);
  const defaults = JSON.stringify(defaultParameters(asked?.settings));
  useEffect(() => {
    const sentLast = asked === bot ? conversation?.parameters : undefined;
    parameters.value = { ...(JSON.parse(defaults) as Parameters), ...sentLast };
  }, [conversation?.id, asked?.name, defaults]);
  const onReply = useCallback((text: string) => void reply(text), []);
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    isDropping.value = false;
    if (event.dataTransfer) void upload(event.dataTransfer.files);
  };
  const onDragOver = (event: DragEvent) => {
    event.preventDefault();
    isDropping.value = true;
  };
  return (
    <section
      aria-label="Chat"
      class={isDropping.value ? "chat dropping" : "chat"}
      onDrop={onDrop}
      onDragOver={onDragOver}
      onDragLeave={() => (isDropping.value = false)}
    >
      <ChatHeader conversation={conversation} bot={bot} />
      <div ref={scroller} class="messages" onScroll={onScroll} tabIndex={0} role="region" aria-label="Messages">
        <div ref={list} class="message-list">
          <BotState bot={bot} />
          <Introduction bot={bot} isAlone={messages.length === 0} />
          {conversation &&
            messages.map((message, i) => (
              <MessageView
                key={message.id}
                message={message}
                conversation={conversation}
                isLast={i === messages.length - 1}
                reply={onReply}
              />
            ))}
        </div>
      </div>
      <Composer bot={asked} isStreaming={conversation?.streaming ?? false} />
    </section>
  );
}

function ChatHeader({ conversation, bot }: { conversation: Conversation | undefined; bot: Bot | undefined }) {
  const setNetwork = (network: boolean) =>
    store.attempt(async () => {
      await postJson(`/api/conversations/${conversation?.id}`, { network });
    });
  return (
    <header class="chat-header">
      <h2>{conversation?.title || bot?.name || store.title.value}</h2>
      {bot && <span class={`status ${bot.status}`}>{bot.status}</span>}
      {conversation && (
        <label class="check" title="HTML of the bot may load scripts and pictures from elsewhere">
          <input
            type="checkbox"
            checked={conversation.network}
            onChange={(event) => void setNetwork(event.currentTarget.checked)}
          />
          network for HTML
        </label>
      )}
    </header>
  );
}

/** The bots that `@` at the beginning of the draft may mean; null if it has none, or the list was closed. */
const mentioned = computed(() => {
  const prefix = /^@(\S*)$/.exec(draft.value)?.[1]?.toLowerCase();
  if (prefix === undefined || closedMention.value === draft.value) return null;
  const matching = store.bots.value.filter((bot) => bot.name.toLowerCase().startsWith(prefix));
  return matching.length ? matching : null;
});
const closedMention = signal<string | null>(null);
const mentionIndex = signal(0);
effect(() => {
  void mentioned.value;
  mentionIndex.value = 0;
});

function chooseMention(bot: Bot | undefined): void {
  if (bot) draft.value = `@${bot.name} `;
}

/** Keys of the list of bots. Returns whether the key was one. */
function moveInMentions(event: KeyboardEvent): boolean {
  const list = mentioned.value;
  if (!list || event.isComposing) return false;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) mentionIndex.value = (mentionIndex.value + step + list.length) % list.length;
  else if (event.key === "Escape") closedMention.value = draft.value;
  else if (event.key === "Enter" || (event.key === "Tab" && !event.shiftKey)) chooseMention(list[mentionIndex.value]);
  else return false;
  event.preventDefault();
  return true;
}

function Mentions() {
  const list = mentioned.value;
  if (!list) return null;
  return (
    <ul class="mentions" id="mentions" role="listbox" aria-label="Bots to ask">
      {list.map((bot, i) => (
        <li
          key={bot.name}
          id={`mention-${i}`}
          role="option"
          aria-selected={i === mentionIndex.value}
          // The focus stays in the field.
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => chooseMention(bot)}
        >
          <strong>@{bot.name}</strong> <span class={`status ${bot.status}`}>{bot.status}</span>
        </li>
      ))}
    </ul>
  );
}

function Pending() {
  if (attachments.value.length === 0 && uploads.value === 0) return null;
  return (
    <div class="pending">
      {attachments.value.map((attachment) => (
        <div key={attachment.url}>
          <AttachmentView attachment={attachment} />
          <button
            type="button"
            aria-label={`Remove ${attachment.name}`}
            onClick={() => (attachments.value = attachments.value.filter((one) => one !== attachment))}
          >
            Remove
          </button>
        </div>
      ))}
      {uploads.value > 0 && <span class="quiet">Uploading {uploads.value}…</span>}
    </div>
  );
}

function Composer({ bot, isStreaming }: { bot: Bot | undefined; isStreaming: boolean }) {
  const field = useRef<HTMLTextAreaElement>(null);
  const message = edited.value;
  useEffect(() => {
    if (!message) return;
    draft.value = store.liveText(message.id, 0).text;
    attachments.value = message.attachments;
    if (message.parameters) parameters.value = message.parameters;
    field.current?.focus();
  }, [message]);
  const submit = async (event?: Event) => {
    event?.preventDefault();
    if (isStreaming) return;
    if (uploads.value > 0) {
      store.notice.value = "A file is still being uploaded. Send the message when it is attached.";
      return;
    }
    const outgoing = { text: draft.value, attachments: attachments.value, parameters: currentParameters(bot) };
    if (!outgoing.text.trim() && outgoing.attachments.length === 0) return;
    draft.value = "";
    if (await send(outgoing, message)) {
      attachments.value = attachments.value.filter((one) => !outgoing.attachments.includes(one));
      edited.value = null;
    } else if (draft.value === "") {
      draft.value = outgoing.text;
    }
    field.current?.focus();
  };
  const stop = () =>
    store.attempt(async () => {
      await postJson(`/api/conversations/${store.selectedConversation.value}/stop`);
    });
  const onKeyDown = (event: KeyboardEvent) => {
    if (moveInMentions(event)) return;
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) void submit(event);
    if (event.key !== "Escape") return;
    if (message) cancelEdit();
    else if (isStreaming) void stop();
  };
  const onPaste = (event: ClipboardEvent) => {
    const files = event.clipboardData?.files;
    if (files?.length) void upload(files);
  };
  const controls = sectionsOf(bot?.settings).length > 0;
  const list = mentioned.value;
  return (
    <form class="composer" onSubmit={(event) => void submit(event)}>
      {message && (
        <p class="quiet">
          Editing a message: it and what follows it are replaced.{" "}
          <button type="button" onClick={cancelEdit}>
            Cancel
          </button>
        </p>
      )}
      <Mentions />
      <Pending />
      {controls && (
        <details class="parameter-panel">
          <summary>Parameters</summary>
          <ParameterControls settings={bot?.settings} values={parameters} />
        </details>
      )}
      <div class="row">
        {allowsAttachments(bot) && <AttachButton />}
        <label for="draft" class="hidden">
          Message
        </label>
        <textarea
          id="draft"
          ref={field}
          rows={1}
          value={draft}
          placeholder={`Message ${bot?.name ?? "the bot"}${store.bots.value.length > 1 ? ", or @" : ""}`}
          onInput={(event) => (draft.value = event.currentTarget.value)}
          onKeyDown={onKeyDown}
          onPaste={onPaste}
          aria-autocomplete="list"
          aria-controls={list ? "mentions" : undefined}
          aria-activedescendant={list ? `mention-${mentionIndex.value}` : undefined}
        />
        {isStreaming ? (
          <button type="button" class="primary stop" onClick={() => void stop()}>
            Stop
          </button>
        ) : (
          <button class="primary" disabled={store.mode.value === "recording"}>
            Send
          </button>
        )}
      </div>
    </form>
  );
}

// A message that is no longer shown cannot be edited: another conversation was chosen, or its reply was regenerated.
effect(() => {
  const id = edited.value?.id;
  if (id && !store.messages.value.some((one) => one.id === id)) cancelEdit();
});

function cancelEdit(): void {
  edited.value = null;
  draft.value = "";
  attachments.value = [];
}

function AttachButton() {
  const input = useRef<HTMLInputElement>(null);
  const onChange = async (event: { currentTarget: HTMLInputElement }) => {
    const element = event.currentTarget;
    await upload([...(element.files ?? [])]);
    element.value = "";
  };
  return (
    <>
      <input
        ref={input}
        type="file"
        multiple
        class="hidden"
        tabIndex={-1}
        aria-label="Files to attach"
        onChange={(event) => void onChange(event)}
      />
      <button type="button" onClick={() => input.current?.click()}>
        Attach
      </button>
    </>
  );
}
