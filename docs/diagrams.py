"""Diagrams of the site: the part of Mermaid that our pages use, drawn by Graphviz.

A repository's browser draws Mermaid by itself. In the site it would take a script of 3 MB; here a diagram is an SVG in
the page, in the colours of its text. `dot` is Graphviz's program.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util.docutils import SphinxDirective

_NODE = re.compile(r'(\w+)\["([^"]*)"\]')
_TRANSITION = re.compile(r"(\[\*\]|\w+) --> (\[\*\]|\w+)(?:: (.*))?")
_ARROW = re.compile(r'(\w+) (-->|-\.->)\|"([^"]*)"\| (\w+)')
_DOT_HEAD = """\
digraph {
    bgcolor=transparent; fontname="sans-serif"; pad=0.1; nodesep=0.2; ranksep=0.3
    node [shape=box, style=rounded, fontname="sans-serif", fontsize=11, height=0.35, margin="0.12,0.06"]
    edge [fontname="sans-serif", fontsize=9, arrowsize=0.7]
"""
# Characters of a line of text in a node, and beside an arrow: a page has 736 pixels for a diagram.
_NODE_WIDTH = 18
_ARROW_WIDTH = 14
# To what share of its size a diagram may shrink on a narrow page, until it scrolls: smaller text is hard to read.
_SMALLEST = 0.85


def dot_of_mermaid(source: str) -> list[str]:
    """The diagram in Graphviz's language, in parts: states that hold at the same time stand between dashes.

    Raises:
        ValueError: for a line of Mermaid that no page used so far.
    """
    first, *lines = source.strip().split("\n")
    direction = "LR" if first.endswith("LR") else "TB"
    parts: list[list[str]] = [[]]
    for line in map(str.strip, lines):
        if line == "--":
            parts.append([])
        elif line != "}" and not re.fullmatch(r"state \w+ \{", line):
            parts[-1] += _statements(line)
    return ["\n".join([_DOT_HEAD, f"    rankdir={direction}", *statements, "}"]) for statements in parts]


def _statements(line: str) -> Iterator[str]:
    if node := _NODE.fullmatch(line):
        label = "\n".join(_wrapped(each, _NODE_WIDTH) for each in node[2].split("<br>"))
        yield f"    {node[1]} [label={_quoted(label)}]"
    elif arrow := _ARROW.fullmatch(line):
        style = "dashed" if arrow[2] == "-.->" else "solid"
        yield f"    {arrow[1]} -> {arrow[4]} [label={_quoted(_wrapped(arrow[3], _ARROW_WIDTH))}, style={style}]"
    elif move := _TRANSITION.fullmatch(line):
        source, target = (_state(name, is_source) for name, is_source in ((move[1], True), (move[2], False)))
        yield from (f"    {name} {shape}" for name, shape in (source, target))
        yield f"    {source[0]} -> {target[0]} [label={_quoted(_wrapped(move[3] or '', _ARROW_WIDTH))}]"
    else:
        raise ValueError(f"no diagram has had such a line so far: {line}")


def _state(name: str, is_source: bool) -> tuple[str, str]:
    if name == "[*]":
        shape = "circle" if is_source else "doublecircle"
        return (
            "start" if is_source else "end",
            f'[shape={shape}, label="", width=0.13, height=0.13, style=filled, fillcolor=black]',
        )
    return name, f"[label={_quoted(name)}]"


def _wrapped(text: str, width: int) -> str:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def svg_of_dot(source: str) -> str:
    """The diagram as an SVG element, in the colour of the text around it.

    Raises:
        SphinxError: when Graphviz is not installed, or refuses the source.
    """
    try:
        drawn = subprocess.run(["dot", "-Tsvg"], input=source, capture_output=True, text=True, check=True)
    except FileNotFoundError as exc:
        raise SphinxError("the diagrams need Graphviz: install the package graphviz, which has `dot`") from exc
    except subprocess.CalledProcessError as exc:
        raise SphinxError(f"dot: {exc.stderr}") from exc
    svg = drawn.stdout[drawn.stdout.index("<svg") :]
    svg = re.sub(r"<title>.*?</title>\n?|<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="[^"]*"', "", svg)
    svg = re.sub(r'width="(\d+)pt" height="\d+pt"', _style, svg, count=1)
    svg = svg.replace('stroke="black"', 'stroke="currentColor"').replace('fill="black"', 'fill="currentColor"')
    return svg.replace("<text ", '<text fill="currentColor" ')


def _style(size: re.Match[str]) -> str:
    pixels = int(size[1]) * 4 // 3
    return f'style="width: {pixels}px; min-width: {round(pixels * _SMALLEST)}px"'


class Mermaid(SphinxDirective):
    """A fenced block of Mermaid."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        try:
            svg = "".join(map(svg_of_dot, dot_of_mermaid("\n".join(self.content))))
        except ValueError as exc:
            raise self.error(str(exc)) from exc
        number = self.env.new_serialno("diagram") + 1
        label = f"Diagram {number}; the tables below it say the same"
        # A wide one scrolls by itself, with the keyboard too.
        html = f'<div class="diagram" role="region" tabindex="0" aria-label="{label}">{svg}</div>'
        return [nodes.raw("", html, format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("mermaid", Mermaid)
    return {"parallel_read_safe": True}
