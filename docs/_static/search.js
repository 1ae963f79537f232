/* The site's search: ranks the parts of all pages by BM25 over their words, and shows the best pages with their best parts.

   A part is a section, or a name of the reference. `search_index.js` calls `setSearchIndex`; `stopwords` and `Stemmer` are
   Sphinx's (`language_data.js`). All is done in the browser, without a request: the site also works from a folder. */
"use strict";

/* How much a word counts by where it stands, and by how it was found. */
const IN_HEADING = 5, IN_PAGE_TITLE = 2.5, IN_KEYWORDS = 4, IN_TERMS = 1.5;
const SYNONYM = 0.55, PART_OF_NAME = 0.5, BEGINNING = 0.6, MISSPELT = 0.5, IN_FRAME = 0.4;
/* BM25's constants: how soon further occurrences count less, and how much long parts count less. */
const SATURATION = 1.4, LENGTH_SHARE = 0.5;
/* How much a share of the query that is missing costs; how much the whole page counts beside its part; and descriptions of
   names, unless the query is a name; and how much more a page counts that has the query in its title. */
const COVERAGE = 1, OF_PAGE = 0.4, REFERENCE = 0.6, TITLE = 1;
const MOST_PAGES = 20, MOST_PARTS = 4, SNIPPET = 220;

/* Words of questions, beside Sphinx's. */
for (const word of "use used using want need mean means work works help way possible please try trying happen happens".split(" ")) {
  stopwords.add(word);
}
stopwords.delete("who"); // it asks for people

/* Words of which the frame of a question is made, and which also are words of its subject: they count less, but
   not in capitals: GET. */
const frameWords = new Set(("who find out get know learn tell see make let one something anything already often").split(" "));

const stemmer = new Stemmer();
const stems = new Map();
let index = null;

function stem(word) {
  let found = stems.get(word);
  if (found === undefined) stems.set(word, (found = /^[a-z]+$/.test(word) ? stemmer.stemWord(word) : word));
  return found;
}

/* The words of a text. A name counts whole, and by its parts: `QueryRequest.user_id` has query, request, user and id. */
function words(text) {
  const found = [];
  for (const [raw] of text.matchAll(/[\p{Letter}\p{Number}_]+(?:['’]t\b)?/gu)) {
    const whole = raw.replace(/^_+|_+$/g, "").toLowerCase();
    if (!whole) continue;
    const parts = raw.split(/_+|(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/).filter((part) => part.length > 1);
    found.push({raw, spelt: whole, whole: stem(whole), parts: parts.length > 1 ? parts.map((part) => stem(part.toLowerCase())) : []});
  }
  return found;
}

/* Texts that are ranked: how often each word is in each of them, and how long they are. */
class Texts {
  postings = new Map(); // word -> Map(number of the text -> weighted number of occurrences)
  lengths = [];

  add(text, words, weight, isHeading) {
    let length = 0;
    const count = (word, by) => {
      if (!this.postings.has(word)) this.postings.set(word, new Map());
      const counts = this.postings.get(word);
      counts.set(text, (counts.get(text) ?? 0) + by);
      length += 1;
    };
    for (const {whole, parts} of words) {
      count(whole, weight);
      for (const part of new Set(parts)) if (part !== whole) count(part, weight * PART_OF_NAME);
    }
    this.lengths[text] = (this.lengths[text] ?? 0) + (isHeading ? 0 : length);
  }

  /* The score of each text that has a word of the query: BM25, times the share of the query that the text has. */
  scores(asked) {
    const average = this.lengths.reduce((sum, length) => sum + length, 0) / this.lengths.length;
    const found = new Map(); // text -> {score, covered}
    let total = 0;
    for (const {means, share} of asked) {
      const best = new Map();
      let rarity = 0;
      for (const [word, weight] of means) {
        const counts = this.postings.get(word);
        if (counts === undefined) continue;
        const idf = Math.log(1 + (this.lengths.length - counts.size + 0.5) / (counts.size + 0.5));
        if (weight === 1 || rarity === 0) rarity = idf;
        for (const [text, occurrences] of counts) {
          const normal = occurrences / (1 - LENGTH_SHARE + (LENGTH_SHARE * this.lengths[text]) / average);
          const score = (weight * idf * normal * (SATURATION + 1)) / (normal + SATURATION);
          if (!best.has(text) || best.get(text).score < score) best.set(text, {score, weight});
        }
      }
      total += rarity * share;
      for (const [text, {score, weight}] of best) {
        const sum = found.get(text) ?? {score: 0, covered: 0};
        sum.score += score * share;
        sum.covered += rarity * share * (weight === 1 ? 1 : 0.8);
        found.set(text, sum);
      }
    }
    return new Map([...found].map(([text, {score, covered}]) => [text, score * (covered / total) ** COVERAGE]));
  }
}

function setSearchIndex({pages, parts, synonyms}) {
  const sections = new Texts();
  const whole = new Texts();
  const add = (page, part, text, weight) => {
    const said = words(text);
    sections.add(part, said, weight, weight !== 1);
    whole.add(page, said, weight, weight !== 1);
  };
  parts.forEach(([page, anchor, heading, text, keywords, terms], part) => {
    add(page, part, heading, IN_HEADING);
    add(page, part, keywords, IN_KEYWORDS);
    add(page, part, terms, IN_TERMS);
    add(page, part, text, 1);
    if (anchor) sections.add(part, words(pages[page][1]), IN_PAGE_TITLE, true);
  });
  const meanings = new Map(); // word -> words that mean the same
  for (const group of synonyms) {
    const same = group.map((word) => words(word)[0].whole);
    for (const word of same) meanings.set(word, [...(meanings.get(word) ?? []), ...same]);
  }
  index = {pages, parts, sections, whole, meanings};
  showResults();
}

function isOneEditAway(one, other) {
  if (Math.abs(one.length - other.length) > 1) return false;
  let start = 0;
  while (start < one.length && one[start] === other[start]) start += 1;
  let end = 0;
  while (end < Math.min(one.length, other.length) - start && one.at(-1 - end) === other.at(-1 - end)) end += 1;
  const left = one.slice(start, one.length - end), right = other.slice(start, other.length - end);
  return (left.length <= 1 && right.length <= 1)
    || (left.length === 2 && left[0] === right[1] && left[1] === right[0]);
}

/* The words of the index that a word of the query means, each with its weight. */
function meaningsOf(word, spelt) {
  const known = index.sections.postings;
  const found = new Map();
  const add = (other, weight) => {
    if (known.has(other) && weight > (found.get(other) ?? 0)) found.set(other, weight);
  };
  add(word, 1);
  for (const other of index.meanings.get(word) ?? []) add(other, SYNONYM);
  if (found.size === 0 && spelt.length > 2) {
    for (const [other, itsStem] of stems) if (other.startsWith(spelt)) add(itsStem, BEGINNING);
    if (found.size === 0 && spelt.length > 3) {
      for (const [other, itsStem] of stems) if (isOneEditAway(spelt, other)) add(itsStem, MISSPELT);
    }
  }
  return found;
}

/* What a query asks for: for each of its words, what it means and how much it counts. */
function asked(query) {
  const all = words(query);
  const telling = all.filter(({whole}) => !stopwords.has(whole));
  const found = [];
  for (const {raw, spelt, whole, parts} of telling.length ? telling : all) {
    const means = meaningsOf(whole, spelt);
    if (means.size) found.push({means, share: frameWords.has(spelt) && raw !== raw.toUpperCase() ? IN_FRAME : 1});
    for (const part of parts) {
      const means = meaningsOf(part, part);
      if (means.size && !stopwords.has(part)) found.push({means, share: PART_OF_NAME / parts.length});
    }
  }
  return found;
}

/* How much of the words of a query stands in a title. */
function shareOfTitle(title, asked) {
  const said = new Set(words(title).flatMap(({whole, parts}) => [whole, ...parts]));
  let all = 0, there = 0;
  for (const {means, share} of asked) {
    const [[word]] = means;
    const telling = share * Math.log(index.parts.length / index.sections.postings.get(word).size);
    all += telling;
    if (means.get(word) === 1 && said.has(word)) there += telling;
  }
  return there / (all || 1);
}

/* A part counts more if the words of the query stand in it side by side. */
function phraseFactor(text, query) {
  const spoken = query.toLowerCase().match(/[\p{Letter}\p{Number}_]+/gu) ?? [];
  const plain = ` ${(text.toLowerCase().match(/[\p{Letter}\p{Number}_]+/gu) ?? []).join(" ")} `;
  let pairs = 0;
  for (let each = 1; each < spoken.length; each += 1) {
    const pair = spoken.slice(each - 1, each + 1);
    if (!pair.every((word) => stopwords.has(word)) && plain.includes(` ${pair.join(" ")} `)) pairs += 1;
  }
  return 1 + (spoken.length > 1 ? (0.6 * pairs) / (spoken.length - 1) : 0);
}

/* The pages that answer a query, best first, each with its best parts: `{page, title, parts: [{anchor, heading, text}]}`. */
function search(query) {
  const {pages, parts, sections, whole} = index;
  const asName = query.trim().replace(/\(\)$/, "").toLowerCase();
  const isName = /^\w*(?:[._]|[a-z][A-Z])[\w.]*$/.test(query.trim().replace(/\(\)$/, ""));
  const wanted = asked(query);
  const ofPages = whole.scores(wanted);
  const ranked = [...sections.scores(wanted)].map(([part, score]) => {
    const [page] = parts[part];
    const [, title, weight, isReference] = pages[page];
    const factor = weight * (isReference && !isName ? REFERENCE : 1) * (1 + TITLE * shareOfTitle(title, wanted));
    return {part, score: (score + OF_PAGE * ofPages.get(page)) * factor};
  });
  ranked.sort((one, other) => other.score - one.score);
  const best = ranked.slice(0, 200);
  for (const each of best) {
    const [, anchor, heading, text, keywords] = parts[each.part];
    each.score *= phraseFactor(`${heading} . ${keywords} . ${text}`, query);
    const name = heading.toLowerCase();
    if (anchor && (name === asName || name.endsWith(`.${asName}`))) each.score *= 2;
    else if (isName && asName.startsWith(`${name.split(".").at(-1)}.`)) each.score *= 1.5; // a field of it
  }
  best.sort((one, other) => other.score - one.score);
  const found = new Map();
  for (const {part, score} of best) {
    const [page, anchor, heading, text] = parts[part];
    const [name, title] = pages[page];
    if (!found.has(page)) found.set(page, {page: name, title, score, parts: []});
    found.get(page).parts.push({anchor, heading, text, score});
  }
  for (const each of found.values()) {
    const further = each.parts.slice(1, 4).reduce((sum, part) => sum + part.score, 0);
    each.score += 0.15 * further;
    each.parts = each.parts.filter((part) => part.score > each.parts[0].score / 4).slice(0, MOST_PARTS);
  }
  return [...found.values()].sort((one, other) => other.score - one.score).slice(0, MOST_PAGES);
}

/* Some words of a part, with those of the query marked, from where most of them are. */
function snippet(text, query) {
  const wanted = new Set(asked(query).flatMap(({means}) => [...means.keys()]));
  const places = [...text.matchAll(/[\p{Letter}\p{Number}_]+/gu)]
    .filter(([raw]) => words(raw).some(({whole, parts}) => [whole, ...parts].some((word) => wanted.has(word))))
    .map((match) => [match.index, match.index + match[0].length]);
  let start = 0, most = 0;
  for (const [from] of places) {
    const inside = places.filter(([place]) => place >= from && place < from + SNIPPET).length;
    if (inside > most) [start, most] = [from, inside];
  }
  start = start < 60 ? 0 : text.indexOf(" ", start - 40) + 1;
  const end = Math.min(text.length, start + SNIPPET);
  const shown = document.createElement("p");
  let last = start;
  if (start) shown.append("… ");
  for (const [from, to] of places) {
    if (from < last || to > end) continue;
    const mark = document.createElement("mark");
    mark.textContent = text.slice(from, to);
    shown.append(text.slice(last, from), mark);
    last = to;
  }
  shown.append(text.slice(last, end), end < text.length ? " …" : "");
  return shown;
}

function link(page, anchor, text) {
  const element = document.createElement("a");
  const {URL_ROOT = "./", LINK_SUFFIX = ".html"} = DOCUMENTATION_OPTIONS;
  element.href = `${URL_ROOT}${page}${LINK_SUFFIX}${anchor && "#"}${anchor}`;
  element.textContent = text;
  return element;
}

function shown({page, title, parts}, query) {
  const item = document.createElement("li");
  const head = document.createElement("h2");
  head.append(link(page, parts.length === 1 ? parts[0].anchor : "", title));
  item.append(head);
  const sections = document.createElement("ul");
  for (const {anchor, heading} of parts) {
    if (!anchor) continue;
    const section = document.createElement("li");
    section.append(link(page, anchor, heading));
    sections.append(section);
  }
  item.append(snippet(parts[0].text, query));
  if (sections.childElementCount) item.append(sections);
  return item;
}

function showResults() {
  const field = document.querySelector(".search-form input");
  const query = field.value.trim();
  const found = index && query ? search(query) : [];
  document.getElementById("search-results").replaceChildren(...found.map((each) => shown(each, query)));
  document.getElementById("search-status").textContent = !query || !index ? ""
    : found.length ? `${found.length === MOST_PAGES ? "The best" : ""} ${found.length} pages`.trim()
    : "No page has these words. Try fewer words, or the index of all public names.";
}

document.addEventListener("DOMContentLoaded", () => {
  const query = new URLSearchParams(location.search).get("q") ?? "";
  for (const field of document.querySelectorAll('input[name="q"]')) field.value = query;
  document.querySelector(".search-form input").addEventListener("input", (event) => {
    history.replaceState(null, "", `?${new URLSearchParams({q: event.target.value})}`);
    showResults();
  });
  showResults();
});
