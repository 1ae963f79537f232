/**
 * Markdown to safe HTML: GFM as Poe shows it, code highlighted, math as its source.
 *
 * Two layers keep a bot's text from running anything: markdown-it escapes HTML (`html: false`), and DOMPurify keeps only
 * the elements that markdown-it writes. The page's Content-Security-Policy is the third.
 */

import DOMPurify from "dompurify";
import hljs from "highlight.js/lib/common";
import MarkdownIt from "markdown-it";

/** What a reference such as `![title][ref]` may name: an attachment of the message. */
export interface InlineReference {
  href: string;
  title: string;
}

type Environment = { references: Record<string, InlineReference> };

/** Highlighting costs about 1 ms per 4 kB; a longer block is shown without colours. */
const HIGHLIGHT_LIMIT = 40_000;

const SAFE_LINK = /^(?:https?:|mailto:)/i;

const ALLOWED_TAGS = [
  ..."a blockquote br code del div em h1 h2 h3 h4 h5 h6 hr img li ol p pre s span strong".split(" "),
  ..."table tbody td th thead tr ul".split(" "),
];
const ALLOWED_ATTRIBUTES = ["alt", "aria-label", "class", "href", "role", "src", "start", "tabindex", "title"];

const markdown = new MarkdownIt({ html: false, linkify: true, breaks: false, maxNesting: 60 });
// Without this, `bot.py` becomes a link to Paraguay.
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
markdown.validateLink = (url) => SAFE_LINK.test(url);

/** Whether the URL is one of the playground's own: of a file that the bot or the user uploaded. */
export function isLocal(url: string): boolean {
  return url.startsWith(`${location.origin}/`);
}

let allowsRemoteMedia = false;

/** Whether pictures from elsewhere are shown: the user started the playground so, and its policy allows them. */
export function allowRemoteMedia(isAllowed: boolean): void {
  allowsRemoteMedia = isAllowed;
}

/** Whether a picture or a medium of that URL is shown, and not a link to it. */
export function mayLoad(url: string): boolean {
  return isLocal(url) || (allowsRemoteMedia && url.startsWith("https://"));
}

const MATH = [
  { open: "$$", close: "$$" },
  { open: "\\[", close: "\\]" },
  { open: "\\(", close: "\\)" },
  { open: "$", close: "$" },
];

/** The end of the formula that starts at `start`, or -1. `$` needs a neighbour that is no space, as in Pandoc. */
function mathEnd(source: string, start: number): number {
  for (const { open, close } of MATH) {
    if (!source.startsWith(open, start)) continue;
    const inside = start + open.length;
    const end = source.indexOf(close, inside);
    if (end <= inside) return -1;
    if (open === "$") {
      const body = source.slice(inside, end);
      if (/^\s|\s$|\n/.test(body) || /\d/.test(source.charAt(end + 1))) return -1;
    }
    return end + close.length;
  }
  return -1;
}

markdown.inline.ruler.before("escape", "math", (state, silent) => {
  const end = mathEnd(state.src, state.pos);
  if (end < 0 || end > state.posMax) return false;
  if (!silent) state.push("math", "span", 0).content = state.src.slice(state.pos, end);
  state.pos = end;
  return true;
});

/** GFM's task lists: `[x]` at the start of an item becomes a box that is a character, not an input. */
markdown.core.ruler.after("inline", "tasks", (state) => {
  for (let i = 2; i < state.tokens.length; i++) {
    const token = state.tokens[i];
    const isItem = state.tokens[i - 2]?.type === "list_item_open" && state.tokens[i - 1]?.type === "paragraph_open";
    const first = token?.children?.[0];
    if (!isItem || token?.type !== "inline" || first?.type !== "text") continue;
    const box = /^\[([ xX])\] /.exec(first.content);
    if (box) first.content = (box[1] === " " ? "☐ " : "☑ ") + first.content.slice(4);
  }
});

const escapeHtml = markdown.utils.escapeHtml;
const rules = markdown.renderer.rules;

rules["math"] = (tokens, i) => `<span class="math">${escapeHtml(tokens[i]?.content ?? "")}</span>`;
rules["fence"] = (tokens, i) => codeBlock(tokens[i]?.content ?? "", tokens[i]?.info.trim().split(/\s+/)[0] ?? "");
rules["code_block"] = (tokens, i) => codeBlock(tokens[i]?.content ?? "", "");

// The policy of the page forbids style attributes, so the alignment of a column is a class.
for (const name of ["th_open", "td_open"]) {
  rules[name] = (tokens, i, options, _env, renderer) => {
    const token = tokens[i];
    const side = /text-align:(\w+)/.exec(String(token?.attrGet("style") ?? ""))?.[1];
    if (token && side) token.attrs = [["class", `align-${side}`]];
    return renderer.renderToken(tokens, i, options);
  };
}

// A wide table scrolls in a box, which the keyboard must reach. The table itself stays one for screen readers.
rules["table_open"] = () => '<div class="table" tabindex="0" role="group" aria-label="table"><table>';
rules["table_close"] = () => "</table></div>";

// A picture from elsewhere would tell its server who reads the conversation. It becomes a link.
rules["image"] = (tokens, i, options, env, renderer) => {
  const token = tokens[i];
  const source = String(token?.attrGet("src") ?? "");
  const title = renderer.renderInlineAsText(token?.children ?? [], options, env);
  if (mayLoad(source)) return `<img src="${escapeHtml(source)}" alt="${escapeHtml(title)}">`;
  return `<a class="picture" href="${escapeHtml(source)}">${escapeHtml(title || source)}</a>`;
};

function codeBlock(code: string, language: string): string {
  const label = language ? ` aria-label="code: ${escapeHtml(language)}"` : ' aria-label="code"';
  const kind = language ? `hljs language-${escapeHtml(language)}` : "hljs";
  return `<pre tabindex="0" role="group"${label}><code class="${kind}">${highlight(code, language)}</code></pre>`;
}

/** The code as HTML: with colours if the language is known and the code is not long. */
export function highlight(code: string, language: string): string {
  if (code.length > HIGHLIGHT_LIMIT || !hljs.getLanguage(language)) return escapeHtml(code);
  return hljs.highlight(code, { language, ignoreIllegals: true }).value;
}

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName !== "A") return;
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener noreferrer");
});

/** Only what markdown-it writes survives: no form, input, button, style, svg or iframe; http, https, mailto or local. */
export function sanitise(html: string): DocumentFragment {
  if (!DOMPurify.isSupported) {
    // DOMPurify would hand the HTML back as it is.
    const fragment = document.createDocumentFragment();
    fragment.append(html);
    return fragment;
  }
  return DOMPurify.sanitize(html, {
    ALLOWED_TAGS,
    ALLOWED_ATTR: ALLOWED_ATTRIBUTES,
    // DOMPurify compares the values of all other attributes with the pattern of safe links.
    ADD_URI_SAFE_ATTR: ["aria-label", "start", "tabindex"],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    ALLOWED_URI_REGEXP: SAFE_LINK,
    RETURN_DOM_FRAGMENT: true,
  });
}

/** One block of Markdown, or a whole text, as nodes that are safe to insert. */
export function renderMarkdown(source: string, references: Record<string, InlineReference>): DocumentFragment {
  const environment: Environment = { references: { ...references } };
  return sanitise(markdown.render(source, environment));
}

/** The key under which markdown-it finds a reference. */
export function referenceKey(label: string): string {
  return markdown.utils.normalizeReference(label);
}
