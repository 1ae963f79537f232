"""The index of the site's search: one part for each section, and for each name of the reference.

Sphinx's own search finds whole pages, and only those that have each word of the query. This one finds sections, ranks
them by how much of the query they answer, and knows words that mean the same (`search_words.toml`). It works from a
folder: `_static/search.js` loads the index as a script.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

# What a reader does not see as text: a diagram is an SVG.
_WITHOUT_TEXT = (nodes.raw, nodes.comment, nodes.meta)


def _parts(page: nodes.document) -> Iterator[tuple[str, str, str]]:
    """The anchor, the heading and the text of each part. The first is the page itself, without an anchor."""
    parts: list[tuple[str, str, list[str]]] = [("", "", [])]

    def walk(node: nodes.Node, texts: list[str]) -> None:
        if isinstance(node, _WITHOUT_TEXT):
            return
        if isinstance(node, nodes.section):
            title = node.next_node(nodes.title)
            heading = title.astext() if title is not None else ""
            texts = _begin(parts, "" if isinstance(node.parent, nodes.document) else node["ids"][0], heading)
        elif isinstance(node, addnodes.desc):
            signature = node.next_node(addnodes.desc_signature)
            if signature is not None and signature["ids"]:
                texts = _begin(parts, signature["ids"][0], signature["ids"][0])
        elif isinstance(node, nodes.TextElement):
            if not (isinstance(node, nodes.title) and isinstance(node.parent, nodes.section)):
                texts.append(_text(node))
            return
        for child in node.children:
            walk(child, texts)

    walk(page, parts[0][2])
    for anchor, heading, texts in parts:
        text = " ".join(" ".join(texts).split())
        if heading or text:
            yield anchor, heading, text


def _text(node: nodes.TextElement) -> str:
    """Its text as a reader sees it. A type in a signature has its name twice, of which Sphinx shows one."""
    if isinstance(node, addnodes.desc_signature):
        node = node.deepcopy()
        for choice in list(node.findall(addnodes.pending_xref_condition)):
            if choice["condition"] == "*":
                choice.parent.remove(choice)
    return node.astext()


def _begin(parts: list[tuple[str, str, list[str]]], anchor: str, heading: str) -> list[str]:
    texts: list[str] = []
    parts.append((anchor, heading, texts))
    return texts


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
        for anchor, heading, text in _parts(app.env.get_doctree(name)):
            place = f"{name}#{anchor}" if anchor else name
            parts.append([len(pages) - 1, anchor, heading, text, keywords.pop(place, "") if heading else ""])
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
