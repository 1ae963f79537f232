"""The index of the site's search: one part for each section, and for each name of the reference.

Sphinx's own search finds whole pages, and only those that have each word of the query. This one finds sections, ranks
them by how much of the query they answer, and knows words that mean the same (`search_words.toml`). It works from a
folder: `_static/search.js` loads the index as a script.

Why no library: Pagefind loads its index as a module, which browsers refuse to a page from a folder. With this index,
its weights and synonyms, MiniSearch 7 has the answer among its first three pages for 58 of 70 questions of newcomers,
and for 64 of them as words; lunr 2 for 44 and 47; `search.js`, which was adjusted to some of them, for 62 and 67.
(Those that it answers are in `tests/site/test_search.py`.) MiniSearch would replace a third of `search.js`, and
`make docs` would need Node.js.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

# What a reader does not see as text: a diagram is an SVG.
_WITHOUT_TEXT = (nodes.raw, nodes.comment, nodes.meta)


class _Part(NamedTuple):
    """A part of a page.

    Attributes:
        terms: what its tables and lists are about: the first cell of a row, and the bold words that begin a paragraph.
    """

    anchor: str
    heading: str
    texts: list[str]
    terms: list[str]


def _parts(page: nodes.document) -> Iterator[tuple[str, str, str, str]]:
    """The anchor, the heading, the text and the terms of each part. The first is the page itself, without an anchor."""
    parts = [_Part("", "", [], [])]

    def walk(node: nodes.Node, part: _Part) -> None:
        if isinstance(node, _WITHOUT_TEXT):
            return
        if isinstance(node, nodes.section):
            title = node.next_node(nodes.title)
            heading = title.astext() if title is not None else ""
            part = _begin(parts, "" if isinstance(node.parent, nodes.document) else node["ids"][0], heading)
        elif isinstance(node, addnodes.desc):
            signature = node.next_node(addnodes.desc_signature)
            if signature is not None and signature["ids"]:
                part = _begin(parts, signature["ids"][0], signature["ids"][0])
        elif isinstance(node, nodes.TextElement):
            if not (isinstance(node, nodes.title) and isinstance(node.parent, nodes.section)):
                part.texts.append(_text(node))
                if node.children and isinstance(node.children[0], nodes.strong):
                    part.terms.append(node.children[0].astext())
            return
        elif isinstance(node, nodes.row) and isinstance(node.parent, nodes.tbody):
            part.terms.append(node.children[0].astext())
        for child in node.children:
            walk(child, part)

    walk(page, parts[0])
    for part in parts:
        text = " ".join(" ".join(part.texts).split())
        if part.heading or text:
            yield part.anchor, part.heading, text, " ".join(part.terms)


def _text(node: nodes.TextElement) -> str:
    """Its text as a reader sees it. A type in a signature has its name twice, of which Sphinx shows one."""
    if isinstance(node, addnodes.desc_signature):
        node = node.deepcopy()
        for choice in list(node.findall(addnodes.pending_xref_condition)):
            if choice["condition"] == "*":
                choice.parent.remove(choice)
    return node.astext()


def _begin(parts: list[_Part], anchor: str, heading: str) -> _Part:
    part = _Part(anchor, heading, [], [])
    parts.append(part)
    return part


def _index(app: Sphinx) -> dict[str, Any]:
    words = tomllib.loads((Path(app.srcdir) / "search_words.toml").read_text(encoding="utf-8"))
    keywords: dict[str, str] = dict(words["keywords"])
    pages: list[list[object]] = []
    parts: list[list[object]] = []
    for name in sorted(app.env.found_docs):
        folder = f"{name.rpartition('/')[0]}/"
        weight = words["weights"].get(name, words["weights"].get(folder, 1))
        describes_names = name.startswith("reference/poeproto")
        pages.append([name, app.env.titles[name].astext(), weight, int(describes_names)])
        for anchor, heading, text, terms in _parts(app.env.get_doctree(name)):
            place = f"{name}#{anchor}" if anchor else name
            said = keywords.pop(place, "") if heading else ""
            parts.append([len(pages) - 1, anchor, heading, text, said, "" if describes_names else terms])
    if keywords:
        raise ExtensionError(f"search_words.toml names places that no page has: {', '.join(keywords)}")
    return {"pages": pages, "parts": parts, "synonyms": words["synonyms"]}


def _write_index(app: Sphinx, failure: Exception | None) -> None:
    if failure is None and app.builder.format == "html":
        text = json.dumps(_index(app), ensure_ascii=False, separators=(",", ":"))
        (Path(app.outdir) / "_static" / "search_index.js").write_text(f"setSearchIndex({text});\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", _write_index)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
