/** Items of an exchange (its events or its reads), loaded by the page as they come into view. */

import { signal } from "@preact/signals";
import { getJson } from "./contract";
import { attempt } from "./store";

const PAGE_SIZE = 200;
/** A page that is still growing is not loaded more often. */
const RELOAD_MS = 300;

export class PagedItems<T> {
  /** Changes whenever items arrived. */
  readonly version = signal(0);
  private pages = new Map<number, T[]>();
  private loading = new Set<number>();
  private wanted: { from: number; to: number; total: number } | null = null;

  constructor(
    private readonly path: string,
    private readonly key: "events" | "reads",
  ) {}

  at(index: number): T | null {
    return this.pages.get(Math.floor(index / PAGE_SIZE))?.[index % PAGE_SIZE] ?? null;
  }

  /** Load what is missing of the range. `total` is how many there are now. */
  request(from: number, to: number, total: number): void {
    this.wanted = { from, to, total };
    for (let page = Math.floor(from / PAGE_SIZE); page * PAGE_SIZE < Math.min(to, total); page++) {
      const there = this.pages.get(page)?.length ?? 0;
      if (there < Math.min(PAGE_SIZE, total - page * PAGE_SIZE) && !this.loading.has(page)) void this.load(page);
    }
  }

  private async load(page: number): Promise<void> {
    this.loading.add(page);
    const isLoaded = await attempt(async () => {
      const query = `from=${page * PAGE_SIZE}&limit=${PAGE_SIZE}`;
      const answer = await getJson<Record<"events" | "reads", T[]>>(`${this.path}?${query}`);
      this.pages.set(page, answer[this.key]);
      this.version.value += 1;
    });
    await new Promise((resolve) => setTimeout(resolve, RELOAD_MS));
    this.loading.delete(page);
    if (isLoaded && this.wanted) this.request(this.wanted.from, this.wanted.to, this.wanted.total);
  }
}
