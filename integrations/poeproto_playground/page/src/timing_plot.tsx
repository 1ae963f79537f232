/** When the events of an exchange arrived: the gap before each, and events a second, while they arrive. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { type Exchange, getJson } from "./contract";
import { duration } from "./format";
import { attempt } from "./store";

const REFRESH_MS = 500;
const BUCKETS = 60;
/** More points than pixels only cost time. */
const POINT_LIMIT = 2_000;

interface Figures {
  events: number;
  first: number;
  median: number;
  percentile95: number;
  longest: number;
}

function gapsOf(times: number[]): number[] {
  return times.map((time, i) => time - (times[i - 1] ?? 0));
}

function figuresOf(times: number[]): Figures | null {
  const first = times[0];
  if (first === undefined) return null;
  const sorted = gapsOf(times).slice(1).sort((one, other) => one - other);
  const quantile = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return {
    events: times.length,
    first,
    median: quantile(0.5),
    percentile95: quantile(0.95),
    longest: sorted[sorted.length - 1] ?? 0,
  };
}

/** Of each group of neighbours, the one with the longest gap: an outlier is never left out. */
function thinned(times: number[], gaps: number[]): [number[], number[]] {
  const group = Math.ceil(times.length / POINT_LIMIT);
  if (group <= 1) return [times.map((time) => time / 1_000), gaps];
  const x: number[] = [];
  const y: number[] = [];
  for (let start = 0; start < times.length; start += group) {
    let longest = start;
    for (let i = start; i < Math.min(start + group, times.length); i++) {
      if ((gaps[i] ?? 0) > (gaps[longest] ?? 0)) longest = i;
    }
    x.push((times[longest] ?? 0) / 1_000);
    y.push(gaps[longest] ?? 0);
  }
  return [x, y];
}

function ratesOf(times: number[]): [number[], number[]] {
  const end = Math.max(1, times[times.length - 1] ?? 0);
  const width = end / BUCKETS;
  const counts = new Array<number>(BUCKETS).fill(0);
  for (const time of times) {
    const bucket = Math.min(BUCKETS - 1, Math.floor(time / width));
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }
  const x = counts.map((_, i) => ((i + 0.5) * width) / 1_000);
  return [x, counts.map((count) => (count * 1_000) / width)];
}

/** What a CSS colour is in the colours of the page: a canvas knows neither variables nor light-dark(). */
function colourOf(colour: string, host: HTMLElement): string {
  const sample = document.createElement("span");
  sample.style.color = colour;
  host.append(sample);
  const resolved = getComputedStyle(sample).color;
  sample.remove();
  return resolved;
}

function makePlot(host: HTMLElement, label: string, unit: string, isBars: boolean): uPlot {
  const text = getComputedStyle(host).color;
  const accent = colourOf("var(--plot)", host);
  const axis = { stroke: text, grid: { stroke: "rgba(128,128,128,0.25)", width: 1 }, ticks: { show: false } };
  const series: uPlot.Series = isBars
    ? { label, stroke: accent, fill: accent, paths: uPlot.paths.bars?.({ size: [0.8] }), points: { show: false } }
    : { label, stroke: accent, paths: () => null, points: { show: true, size: 4, fill: accent } };
  return new uPlot(
    {
      width: Math.max(200, host.clientWidth),
      height: 150,
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      scales: { x: { time: false } },
      axes: [
        { ...axis, label: "seconds", labelSize: 16, size: 30 },
        { ...axis, label: unit, labelSize: 16, size: 55 },
      ],
      series: [{}, series],
    },
    [[], []],
    host,
  );
}

export function TimingPlot({ exchange }: { exchange: Exchange }) {
  const gapHost = useRef<HTMLDivElement>(null);
  const rateHost = useRef<HTMLDivElement>(null);
  const figures = useSignal<Figures | null>(null);
  const isRunning = exchange.outcome === null;
  useEffect(() => {
    if (!gapHost.current || !rateHost.current) return;
    const gapPlot = makePlot(gapHost.current, "gap", "gap, ms", false);
    const ratePlot = makePlot(rateHost.current, "rate", "events a second", true);
    let isOpen = true;
    const refresh = async () => {
      await attempt(async () => {
        const { times } = await getJson<{ times: number[] }>(`/api/exchanges/${exchange.id}/times`);
        if (!isOpen) return;
        figures.value = figuresOf(times);
        gapPlot.setData(thinned(times, gapsOf(times)));
        ratePlot.setData(ratesOf(times));
      });
      if (isOpen && isRunning) setTimeout(() => void refresh(), REFRESH_MS);
    };
    void refresh();
    const resize = new ResizeObserver(([entry]) => {
      const width = Math.max(200, entry?.contentRect.width ?? 0);
      gapPlot.setSize({ width, height: 150 });
      ratePlot.setSize({ width, height: 150 });
    });
    resize.observe(gapHost.current);
    return () => {
      isOpen = false;
      resize.disconnect();
      gapPlot.destroy();
      ratePlot.destroy();
    };
  }, [exchange.id, isRunning]);
  const known = figures.value;
  return (
    <div class="timing">
      <dl class="figures">
        <dt>events</dt><dd>{known?.events ?? 0}</dd>
        <dt>first event</dt><dd>{known ? duration(known.first) : "none yet"}</dd>
        <dt>median gap</dt><dd>{known ? duration(known.median) : "–"}</dd>
        <dt>95 % of gaps below</dt><dd>{known ? duration(known.percentile95) : "–"}</dd>
        <dt>longest gap</dt><dd>{known ? duration(known.longest) : "–"}</dd>
      </dl>
      <div ref={gapHost} role="img" aria-label="Gap before each event, over time; the figures above sum it up" />
      <div ref={rateHost} role="img" aria-label="Events a second, over time" />
    </div>
  );
}
