/** A row of tabs, which the arrow keys move through. */

import type { ComponentChildren } from "preact";

interface Props<T extends string> {
  label: string;
  tabs: readonly T[];
  selected: T;
  onSelect: (tab: T) => void;
  labels?: Partial<Record<T, ComponentChildren>>;
}

export function TabBar<T extends string>({ label, tabs, selected, onSelect, labels = {} }: Props<T>) {
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const bar = event.currentTarget as HTMLElement;
    const index = (tabs.indexOf(selected) + step + tabs.length) % tabs.length;
    const next = tabs[index];
    if (next === undefined) return;
    onSelect(next);
    (bar.children[index] as HTMLElement).focus();
  };
  return (
    <div role="tablist" aria-label={label} class="tabs" onKeyDown={onKeyDown}>
      {tabs.map((tab) => (
        <button
          key={tab}
          type="button"
          role="tab"
          aria-selected={tab === selected}
          tabIndex={tab === selected ? 0 : -1}
          onClick={() => onSelect(tab)}
        >
          {labels[tab] ?? tab}
        </button>
      ))}
    </div>
  );
}
