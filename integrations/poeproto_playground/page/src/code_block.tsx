/** What one can do with a code block of a reply: copy it, and run it if it is HTML. */

import { useSignal } from "@preact/signals";
import { render } from "preact";
import { HtmlFrame } from "./html_frame";
import * as store from "./store";

const RUNNABLE = new Set(["html", "htm", "xhtml", "svg"]);

function CodeTools({ code, language }: { code: string; language: string }) {
  const isRunning = useSignal(false);
  const canRun = RUNNABLE.has(language.toLowerCase());
  const name = language || "code";
  const copy = () => void store.copyText(code);
  return (
    <>
      <div class="code-bar">
        <span>{name}</span>
        {canRun && (
          <button
            aria-expanded={isRunning.value}
            aria-label={isRunning.value ? `Close the running ${name}` : `Run the ${name}`}
            onClick={() => (isRunning.value = !isRunning.value)}
          >
            {isRunning.value ? "Close" : "Run"}
          </button>
        )}
        <button aria-label={`Copy the ${name}`} onClick={copy}>
          Copy
        </button>
      </div>
      {isRunning.value && (
        <HtmlFrame html={code} network={store.conversation.value?.network ?? false} title={`Running ${name}`} />
      )}
    </>
  );
}

/** Add the tools to each code block in the element. Returns what removes them. */
export function addCodeTools(element: HTMLElement): (() => void)[] {
  return Array.from(element.querySelectorAll("pre"), (code) => {
    const language = /\blanguage-(\S+)/.exec(code.firstElementChild?.className ?? "")?.[1] ?? "";
    return addTools(code, code.textContent ?? "", language);
  });
}

/** Add the tools to the element, which shows the code or its last piece. Returns what removes them. */
export function addTools(element: HTMLElement, code: string, language: string): () => void {
  const block = document.createElement("div");
  block.className = "code-block";
  const host = document.createElement("div");
  element.replaceWith(block);
  block.append(element, host);
  render(<CodeTools code={code} language={language} />, host);
  return () => render(null, host);
}
