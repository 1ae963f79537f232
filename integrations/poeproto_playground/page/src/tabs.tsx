/** A row of tabs, which the arrow keys move through. */

import type { Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";

interface Props<T extends string> {
  label: string;
  tabs: readonly T[];
  selected: Signal<T>;
  labels?: Partial<Record<T, ComponentChildren>>;
}

export function TabBar<T extends string>({ label, tabs, selected, labels = {} }: Props<T>) {
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const bar = event.currentTarget as HTMLElement;
    const index = (tabs.indexOf(selected.value) + step + tabs.length) % tabs.length;
    const next = tabs[index];
    if (next === undefined) return;
    selected.value = next;
    (bar.children[index] as HTMLElement).focus();
  };
  return (
    <div role="tablist" aria-label={label} class="tabs" onKeyDown={onKeyDown}>
      {tabs.map((tab) => (
        <button
          key={tab}
          type="button"
          role="tab"
          aria-selected={tab === selected.value}
          tabIndex={tab === selected.value ? 0 : -1}
          onClick={() => (selected.value = tab)}
        >
          {labels[tab] ?? tab}
        </button>
      ))}
    </div>
  );
}
