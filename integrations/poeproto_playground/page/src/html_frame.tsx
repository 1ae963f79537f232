/** A bot's HTML, in a frame of another origin: it can run scripts, and reach neither the page nor the backend. */

import { useEffect, useRef } from "preact/hooks";

const HEIGHT_LIMIT = 900;

export function HtmlFrame({ html, network, title }: { html: string; network: boolean; title: string }) {
  const frame = useRef<HTMLIFrameElement>(null);
  const source = network ? "/frame?network=1" : "/frame";
  useEffect(() => {
    // Once: a document that leads its frame to the address with network gets nothing that it could run there.
    let isSent = false;
    const onMessage = (event: MessageEvent) => {
      const element = frame.current;
      if (!element || event.source !== element.contentWindow) return;
      const data = event.data as { type?: unknown; height?: unknown } | null;
      // The frame's origin is opaque, so no other target origin is possible. The HTML is the bot's own.
      if (data?.type === "ready" && !isSent) {
        isSent = true;
        element.contentWindow?.postMessage({ type: "html", html }, "*");
      }
      if (data?.type === "height" && typeof data.height === "number") {
        element.style.height = `${Math.min(HEIGHT_LIMIT, Math.max(40, data.height))}px`;
      }
    };
    window.addEventListener("message", onMessage);
    return () => window.removeEventListener("message", onMessage);
  }, [html, source]);
  return <iframe key={source} ref={frame} class="html-frame" sandbox="allow-scripts" src={source} title={title} />;
}
