/**
 * A list of any length of which only the visible rows are in the page: a listbox with keys.
 *
 * All rows have one height, so the position of a row needs no measurement.
 */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef } from "preact/hooks";

interface Props {
  label: string;
  count: number;
  rowHeight: number;
  selected: number;
  onSelect: (index: number) => void;
  /** The content of a row; null while it is being loaded. */
  row: (index: number) => ComponentChildren;
  /** Called with the visible rows: what is missing may be loaded. */
  onRange?: (from: number, to: number) => void;
  /** Whether the list stays at its end when rows are added. */
  follow?: boolean;
}

const OVERSCAN = 6;

export function VirtualList({ label, count, rowHeight, selected, onSelect, row, onRange, follow = false }: Props) {
  const element = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const top = useSignal(0);
  const height = useSignal(300);
  const id = useId();
  const from = Math.max(0, Math.floor(top.value / rowHeight) - OVERSCAN);
  const to = Math.min(count, Math.ceil((top.value + height.value) / rowHeight) + OVERSCAN);

  useEffect(() => {
    if (!element.current) return;
    const observer = new ResizeObserver(([entry]) => (height.value = entry?.contentRect.height ?? 300));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => onRange?.(from, to), [from, to, count, onRange]);
  useLayoutEffect(() => {
    if (follow && isAtEnd.current && element.current) element.current.scrollTop = element.current.scrollHeight;
  }, [count]);
  useLayoutEffect(() => {
    const list = element.current;
    if (!list || selected < 0) return;
    const rowTop = selected * rowHeight;
    if (rowTop < list.scrollTop) list.scrollTop = rowTop;
    else if (rowTop + rowHeight > list.scrollTop + list.clientHeight) list.scrollTop = rowTop + rowHeight - list.clientHeight;
  }, [selected]);

  const onScroll = () => {
    const list = element.current;
    if (!list) return;
    top.value = list.scrollTop;
    isAtEnd.current = list.scrollHeight - list.scrollTop - list.clientHeight < rowHeight * 2;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(height.value / rowHeight) - 1);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -count, End: count };
    const step = steps[event.key];
    if (step === undefined || count === 0) return;
    event.preventDefault();
    onSelect(Math.min(count - 1, Math.max(0, selected + step)));
  };
  const indices = Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
  return (
    <div
      ref={element}
      class="virtual"
      role="listbox"
      aria-label={`${label}: ${count}`}
      aria-activedescendant={selected >= from && selected < to ? `${id}-${selected}` : undefined}
      tabIndex={0}
      onScroll={onScroll}
      onKeyDown={onKeyDown}
    >
      <div role="presentation" style={{ height: `${count * rowHeight}px`, position: "relative" }}>
        {indices.map((index) => (
          <div
            key={index}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === selected}
            aria-setsize={count}
            aria-posinset={index + 1}
            class="row"
            style={{ top: `${index * rowHeight}px`, height: `${rowHeight}px` }}
            onClick={() => onSelect(index)}
          >
            {row(index) ?? "…"}
          </div>
        ))}
      </div>
    </div>
  );
}
