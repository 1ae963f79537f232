/**
 * A text that is shown while it arrives, without freezing the page.
 *
 * Settled blocks are rendered once. The last block is rendered again at most 20 times a second. All work of all texts is
 * done in one loop with a time budget, which yields to the browser between two slices.
 */

import { type Block, BlockSplitter } from "./block_splitter";
import { addCodeTools, addTools } from "./code_block";
import { type InlineReference, referenceKey, renderMarkdown } from "./markdown";

const SLICE_MS = 12;
const TAIL_INTERVAL_MS = 50;
/** A tail that is costly to render is rendered more seldom: it may take a fifth of the time. */
const TAIL_SHARE = 5;
/** So many characters of one answer are shown; more wait behind a button. */
const TEXT_LIMIT = 4_000_000;
const INPUT_PIECE = 32_000;
const LONG_MESSAGE_BLOCKS = 60;

const waiting = new Set<StreamedMarkdown>();
let isScheduled = false;

function schedule(text: StreamedMarkdown): void {
  waiting.add(text);
  if (isScheduled) return;
  isScheduled = true;
  // Not requestAnimationFrame: a hidden tab would keep all that arrives until it is shown.
  setTimeout(workSlice, 4);
}

function workSlice(): void {
  isScheduled = false;
  const deadline = performance.now() + SLICE_MS;
  for (const text of [...waiting]) {
    if (text.work(deadline)) waiting.delete(text);
    if (performance.now() > deadline) break;
  }
  if (waiting.size === 0) return;
  isScheduled = true;
  setTimeout(workSlice, 16);
}

export class StreamedMarkdown {
  private splitter: BlockSplitter;
  private input: string[] = [];
  private ready: Block[] = [];
  private isComplete = false;
  private isFinished = false;
  private shown = 0;
  private blockCount = 0;
  private nextTail = 0;
  private tailShown = "";
  private readonly tailElement = document.createElement("div");
  private openCode: Text | null = null;
  /** The pieces of a code block that was too long for one block. */
  private codePieces: string[] = [];
  private removers: (() => void)[] = [];

  constructor(
    private readonly host: HTMLElement,
    private readonly references: Record<string, InlineReference>,
    private readonly isPlain: boolean,
  ) {
    this.splitter = new BlockSplitter(isPlain);
    this.tailElement.className = "block";
    host.replaceChildren(this.tailElement);
  }

  /** Append text. A long one is split, since each slice of work parses a bounded part. */
  append(text: string): void {
    for (let start = 0; start < text.length; start += INPUT_PIECE) this.input.push(text.slice(start, start + INPUT_PIECE));
    schedule(this);
  }

  /** Discard the text: the bot sent `replace_response`. */
  reset(): void {
    this.splitter = new BlockSplitter(this.isPlain);
    this.input = [];
    this.ready = [];
    this.isComplete = this.isFinished = false;
    this.shown = this.blockCount = 0;
    this.codePieces = [];
    this.removeTools();
    this.clearTail();
    this.host.replaceChildren(this.tailElement);
  }

  /** No more text arrives. */
  finish(): void {
    this.isComplete = true;
    schedule(this);
  }

  /** The host was removed from the page. */
  stop(): void {
    waiting.delete(this);
    this.removeTools();
  }

  private removeTools(): void {
    for (const remove of this.removers.splice(0)) remove();
  }

  /** Work until the deadline. Returns whether nothing is left to do. */
  work(deadline: number): boolean {
    do {
      const block = this.ready.shift();
      if (block) {
        this.insert(block);
      } else if (!this.takeInput()) {
        break;
      }
    } while (performance.now() < deadline);
    const isRead = this.ready.length === 0 && this.input.length === 0;
    if (isRead && !this.isFinished) this.showTail();
    return isRead && (this.isFinished || this.tailShown === this.splitter.tail);
  }

  private takeInput(): boolean {
    const text = this.input.length > 1 && this.input.length < 2_000 ? this.joinInput() : this.input.shift();
    if (text !== undefined) {
      this.ready.push(...this.splitter.push(text));
      return true;
    }
    if (!this.isComplete || this.isFinished) return false;
    this.isFinished = true;
    this.ready.push(...this.splitter.finish());
    this.clearTail();
    return this.ready.length > 0;
  }

  /** Small pieces are parsed together. */
  private joinInput(): string {
    let size = 0;
    let count = 0;
    while (count < this.input.length && size < INPUT_PIECE) size += this.input[count++]?.length ?? 0;
    return this.input.splice(0, count).join("");
  }

  private insert(block: Block): void {
    if (this.shown > TEXT_LIMIT) {
      this.keepBehindButton(block);
      return;
    }
    this.shown += block.source.length;
    this.blockCount += 1;
    if (this.blockCount === LONG_MESSAGE_BLOCKS) this.host.classList.add("long");
    if (this.splitter.tail === "" || block.kind !== "markdown") this.clearTail();
    const element = this.render(block);
    this.tailElement.before(element);
    if (block.kind === "code") this.addToolsToPieces(element, block.source);
    else this.codePieces = [];
  }

  /** The tools of a long code block stand under its last piece. */
  private addToolsToPieces(element: HTMLElement, piece: string): void {
    this.codePieces.push(piece);
    const fence = /^(`{3,}|~{3,})/.exec(this.codePieces[0] ?? "")?.[1] ?? "";
    if (!fence || !piece.trimEnd().endsWith(fence)) return;
    const [opening = "", ...lines] = this.codePieces.join("").trimEnd().split("\n");
    if (lines.pop()?.trim().startsWith(fence) !== true) return;
    const language = opening.slice(fence.length).trim().split(/\s+/)[0] ?? "";
    this.codePieces = [];
    this.removers.push(addTools(element, lines.join("\n") + "\n", language));
  }

  private keepBehindButton(block: Block): void {
    let button = this.host.querySelector<HTMLButtonElement>(":scope > button.more");
    if (!button) {
      const rest: Block[] = [];
      button = document.createElement("button");
      button.className = "more";
      button.textContent = "Show the rest of this answer";
      button.addEventListener("click", () => {
        button?.remove();
        this.shown = 0;
        this.ready.push(...rest);
        schedule(this);
      });
      button.addEventListener("rest", (event) => rest.push((event as CustomEvent<Block>).detail));
      this.tailElement.before(button);
    }
    button.dispatchEvent(new CustomEvent("rest", { detail: block }));
  }

  private render(block: Block): HTMLElement {
    const element = document.createElement("div");
    element.className = block.kind === "markdown" ? "block" : `block piece ${block.kind}`;
    if (block.kind === "markdown") {
      this.noteDefinitions(block.source);
      element.append(renderSafely(block.source, this.references));
      this.removers.push(...addCodeTools(element));
    } else {
      element.textContent = block.source;
    }
    return element;
  }

  /** `[label]: https://...` also serves the blocks after it. */
  private noteDefinitions(source: string): void {
    if (!source.includes("]:")) return;
    for (const [, label, href] of source.matchAll(/^\[([^\]\n]{1,200})\]:[ \t]*(https?:\S+)/gm)) {
      if (label && href) this.references[referenceKey(label)] ??= { href, title: "" };
    }
  }

  /** Show the last block, if it changed and it is time. */
  private showTail(): void {
    const tail = this.splitter.tail;
    const now = performance.now();
    if (tail === this.tailShown || now < this.nextTail) return;
    if (this.splitter.fence && tail.startsWith(this.splitter.fence)) this.showOpenCode(tail);
    else if (this.isPlain) this.tailElement.textContent = tail;
    else {
      this.openCode = null;
      this.tailElement.replaceChildren(renderSafely(tail, this.references));
    }
    this.tailShown = tail;
    this.nextTail = now + Math.max(TAIL_INTERVAL_MS, (performance.now() - now) * TAIL_SHARE);
  }

  /** Code is highlighted when its fence closes; until then what is new is appended. */
  private showOpenCode(tail: string): void {
    const code = tail.slice(tail.indexOf("\n") + 1);
    if (!this.openCode) {
      this.openCode = document.createTextNode("");
      const pre = document.createElement("pre");
      pre.className = "open-code";
      pre.append(this.openCode);
      this.tailElement.replaceChildren(pre);
    }
    if (code.startsWith(this.openCode.data)) this.openCode.appendData(code.slice(this.openCode.length));
    else this.openCode.data = code;
  }

  private clearTail(): void {
    this.tailElement.replaceChildren();
    this.openCode = null;
    this.tailShown = "";
  }
}

/** What the Markdown parser cannot read is shown as it is. */
function renderSafely(source: string, references: Record<string, InlineReference>): Node {
  try {
    return renderMarkdown(source, references);
  } catch (error) {
    console.error("Markdown that could not be rendered; it is shown as plain text", error);
    return document.createTextNode(source);
  }
}
