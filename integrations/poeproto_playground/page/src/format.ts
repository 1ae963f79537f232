/** Figures and bytes as people read them. */

import type { Bytes } from "./contract";

export function bytes(size: number): string {
  if (size < 1_000) return `${size} B`;
  if (size < 1_000_000) return `${(size / 1_000).toFixed(1)} kB`;
  return `${(size / 1_000_000).toFixed(1)} MB`;
}

/** A number with its noun: "1 read", "2 reads". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

export function duration(ms: number | null): string {
  if (ms === null) return "…";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${ms.toFixed(0)} ms`;
  return `${(ms / 1_000).toFixed(2)} s`;
}

/** Thousandths of a US cent as dollars. */
export function money(milliCents: number): string {
  return `$${(milliCents / 100_000).toFixed(5).replace(/(\.\d\d\d*?)0+$/, "$1")}`;
}

export function clock(seconds: number): string {
  return new Date(seconds * 1_000).toLocaleTimeString(undefined, { hour12: false });
}

export function decodeBytes(value: Bytes): Uint8Array {
  if (value.b64 === undefined) return new TextEncoder().encode(value.text ?? "");
  return Uint8Array.from(atob(value.b64), (character) => character.charCodeAt(0));
}

/** Sixteen bytes a line: offset in the body, hexadecimal, and the printable ASCII characters. */
export function hexDump(data: Uint8Array, offset: number): string {
  const lines = [];
  for (let start = 0; start < data.length; start += 16) {
    const row = data.subarray(start, start + 16);
    const hex = Array.from(row, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = Array.from(row, (byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${(offset + start).toString(16).padStart(8, "0")}  ${hex.padEnd(47)}  ${text}`);
  }
  return lines.join("\n");
}

/** JSON with indentation; another text as it is. */
export function indented(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Control characters as escapes, so that a line of a list stays a line and shows what was sent. */
export function visible(text: string, limit: number): string {
  return text
    .slice(0, limit)
    .replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (character) =>
      character === "\n" ? "\\n" : character === "\r" ? "\\r" : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
}
