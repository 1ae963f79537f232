/**
 * Blocks of Markdown, cut from a text that is still arriving.
 *
 * A settled block never changes again, so it is rendered once. A block is settled when the next one has begun: after a
 * blank line that no list continues, or after the fence that closes code. A block that grows beyond a bound is cut into
 * pieces that are shown as plain text, since the time to parse it again and again would grow with its square.
 */

export type BlockKind = "markdown" | "plain" | "code";

export interface Block {
  kind: BlockKind;
  source: string;
}

const MARKDOWN_LIMIT = 16_000;
const CODE_LIMIT = 40_000;
/** Delimiters are what makes parsing of a short text slow: `**a**` by the thousand. */
const DELIMITER_LIMIT = 2_000;

const FENCE = /^( *)(`{3,}|~{3,})/;
const LIST_ITEM = /^(?:[-*+]|\d{1,9}[.)])(?:\s|$)/;

export class BlockSplitter {
  /** The text of the block that is not settled. */
  tail = "";
  /** The fence that is open in the tail, or "". */
  fence = "";
  private scanned = 0;
  private afterBlank = false;
  private isList = false;
  private isFirstLine = true;
  private fenceIsTop = false;
  /** The kind of the pieces that the block under way was cut into; null while it is whole. */
  private cutAs: BlockKind | null = null;

  constructor(private readonly isPlain: boolean) {
    if (isPlain) this.cutAs = "plain";
  }

  /** Add text; return the blocks that are settled by it. */
  push(text: string): Block[] {
    const blocks: Block[] = [];
    this.tail += text;
    for (;;) {
      const end = this.tail.indexOf("\n", this.scanned);
      if (end < 0) break;
      this.readLine(this.tail.slice(this.scanned, end), end + 1, blocks);
    }
    // The first character of a line under way already says that it continues nothing.
    const begun = this.tail.charAt(this.scanned);
    if (this.afterBlank && !this.isList && !this.isPlain && begun.trim() !== "") this.settle(this.scanned, blocks);
    this.cutIfLong(blocks);
    return blocks;
  }

  /** The last block, when the text is complete. */
  finish(): Block[] {
    const blocks: Block[] = [];
    this.settle(this.tail.length, blocks);
    return blocks;
  }

  private readLine(line: string, next: number, blocks: Block[]): void {
    const start = this.scanned;
    this.scanned = next;
    if (this.isPlain) return;
    if (this.fence) {
      const closing = FENCE.exec(line);
      const marker = closing?.[2] ?? "";
      if (!marker.startsWith(this.fence) || line.trim() !== marker) return;
      this.fence = "";
      if (this.fenceIsTop) this.settle(next, blocks);
      return;
    }
    if (line.trim() === "") {
      this.afterBlank = true;
      return;
    }
    const opening = FENCE.exec(line);
    const indent = opening?.[1]?.length ?? 0;
    const continuesList = this.isList && LIST_ITEM.test(line);
    const isBoundary = this.afterBlank && !/^\s/.test(line) && !continuesList;
    if (isBoundary || (opening && indent === 0)) this.settle(start, blocks);
    this.afterBlank = false;
    if (opening && (indent <= 3 || this.isList)) {
      this.fence = opening[2] ?? "";
      this.fenceIsTop = indent === 0;
    } else if (this.isFirstLine) {
      this.isList = LIST_ITEM.test(line);
    }
    this.isFirstLine = false;
  }

  /** Move what stands before `end` out of the tail, as a block of its own. */
  private settle(end: number, blocks: Block[]): void {
    const source = this.tail.slice(0, end);
    if (source.trim() !== "" || this.isPlain) this.emit(source, blocks);
    this.tail = this.tail.slice(end);
    this.scanned = Math.max(0, this.scanned - end);
    this.isList = false;
    this.afterBlank = false;
    this.isFirstLine = true;
    if (!this.isPlain) this.cutAs = null;
  }

  private emit(source: string, blocks: Block[]): void {
    const tooDense = source.length > DELIMITER_LIMIT && delimiters(source) > DELIMITER_LIMIT;
    const kind = this.cutAs ?? (tooDense && !source.startsWith("```") ? "plain" : "markdown");
    if (source) blocks.push(...(kind === "markdown" ? [{ kind, source }] : pieces(source, kind)));
  }

  private cutIfLong(blocks: Block[]): void {
    const limit = this.fence && this.fenceIsTop ? CODE_LIMIT : MARKDOWN_LIMIT;
    const isDense = !this.fence && this.tail.length > DELIMITER_LIMIT && delimiters(this.tail) > DELIMITER_LIMIT;
    if (this.tail.length <= limit && !isDense) return;
    this.cutAs ??= this.fence ? "code" : "plain";
    // A line under way stays, so that no piece ends within a line if that can be avoided.
    const newline = this.tail.lastIndexOf("\n") + 1;
    const end = newline || lastBreak(this.tail, this.tail.length);
    if (end === 0) return;
    blocks.push(...pieces(this.tail.slice(0, end), this.cutAs));
    this.tail = this.tail.slice(end);
    this.scanned = Math.max(0, this.scanned - end);
  }
}

/** A text in pieces of a few kilobytes: the browser lays out only those in view. */
export function pieces(source: string, kind: BlockKind): Block[] {
  const size = 8_000;
  const result: Block[] = [];
  let start = 0;
  while (source.length - start > size) {
    const newline = source.lastIndexOf("\n", start + size) + 1;
    const end = newline > start ? newline : lastBreak(source, start + size, start);
    result.push({ kind, source: source.slice(start, end) });
    start = end;
  }
  if (start < source.length) result.push({ kind, source: source.slice(start) });
  return result;
}

/** Where the text can be cut before `end`: after a space, and never within a surrogate pair. */
function lastBreak(source: string, end: number, start = 0): number {
  const space = source.lastIndexOf(" ", end - 1) + 1;
  if (space > start + (end - start) / 2) return space;
  const code = source.charCodeAt(end - 1);
  return code >= 0xd800 && code < 0xdc00 ? end - 1 : end;
}

function delimiters(source: string): number {
  let count = 0;
  for (let i = 0; i < source.length; i++) {
    const code = source.charCodeAt(i);
    // * _ ~ ` [ > $
    if (code === 42 || code === 95 || code === 126 || code === 96 || code === 91 || code === 62 || code === 36) count++;
  }
  return count;
}
