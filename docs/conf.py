"""Settings of the documentation's site, which `make docs` builds with Sphinx.

Docstrings are written for `help()` and for editors: names and code stand in single backquotes, links as in Markdown.
The second half of this file gives them to Sphinx as it wants them, and links each public name to its place in the
reference.
"""

from __future__ import annotations

import os
import re
import sys
from enum import Enum, EnumType
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import attrs
from docutils import nodes
from pygments.lexers.special import TextLexer  # pyright: ignore[reportMissingTypeStubs]
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python._object import PyObject
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

sys.path.insert(0, str(Path(__file__).parent))
# Importing Locust would otherwise make the standard library cooperative, and Sphinx with it.
os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"

from generate import text_of_constant
from reference_pages import (
    PAGE_NAME,
    RETURNED,
    first_places,
    has_telling_values,
    public_classes,
    reference_pages,
    undocumented_members,
)

import poeproto
from poeproto.vocabulary.field_types import NO_EXTRA

logger = logging.getLogger(__name__)

project = "poeproto"
author = "the authors of poeproto"
copyright = author
version = release = poeproto.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "diagrams",
    "search_index",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["examples", "schemas", "performance/*.json"]
nitpicky = True

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
# Links to headings work as they do in a repository's browser.
myst_heading_anchors = 4

# A repository's browser draws these blocks; in the site `diagrams` does.
myst_fence_as_directive = ["mermaid"]

smartquotes_action = "q"  # a dash of `--option` stays two

html_theme = "furo"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["site.css"]
html_title = "poeproto"
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sphinx = False
# No font, script or picture from elsewhere: the site works from a folder, without a network.
html_theme_options: dict[str, Any] = {"navigation_with_keys": False}

autodoc_member_order = "groupwise"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True  # the names of constants, not their values
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True


@cache
def _public_places() -> dict[str, str]:
    """Where in the reference a name is, by the name itself and by the place of its definition."""
    return {spelling: place for place, spellings in first_places().items() for spelling in spellings}


_CODE = re.compile(r"(?<![`:])`([^`]+)`(?!`)")
_LINK = re.compile(r"\[([^\]]+)\]\((https?://[^)\s]+)\)")


def _as_restructured_text(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Write the code and the links of a docstring as Sphinx reads them."""
    if what == "data":  # Python gives a constant the docstring of its type
        lines[:] = text_of_constant(name).split("\n")
    text = "\n".join(lines)
    if not text.strip():
        logger.warning("%s has no docstring", name)
    if isinstance(obj, type) and issubclass(obj, Enum):
        text = _with_values(obj, text)

    def code(match: re.Match[str]) -> str:
        if page := PAGE_NAME.fullmatch(match[1]):
            return f":doc:`/{page[1]}`"
        end = (
            r"\ " if match.end() < len(text) and text[match.end()].isalnum() else ""
        )  # so that "`Route`s" is still valid Markdown
        return (f":py:obj:`{match[1]}`" if match[1] in _public_places() else f"``{match[1]}``") + end

    lines[:] = _LINK.sub(r"`\1 <\2>`__", _CODE.sub(code, text)).split("\n")
    if what in ("attribute", "data", "property"):
        # Napoleon takes what stands before a colon in the first line for a type; here an empty comment is the first.
        lines[:0] = ["..", ""]


def _with_values(enumeration: type[Enum], text: str) -> str:
    """The docstring of an enumeration, with the value of each member."""
    members: dict[str, Any] = {name: member.value for name, member in enumeration.__members__.items()}
    if has_telling_values(enumeration):
        return "\n".join(
            [text.rstrip(), "", "Attributes:", *(f"    {name}: {value}." for name, value in members.items())]
        )
    return re.sub(
        r"^(    )([A-Z_]+): ", lambda match: f"    {match[2]} ({members[match[2]]!r}): ", text, flags=re.MULTILINE
    )


# Defaults that are made again for each value, and functions, whose repr is not Python code.
_UNREADABLE = re.compile(r"\bNOTHING\b|'<\w+>'|<(?:[^<>]|<\w+>)*>")
# The constructor that attrs writes.
_ATTRS_DEFAULT = re.compile(r"\battr_dict\['(\w+)'\]\.default\b")
_PRIVATE_DEFAULT = re.compile(r"\s?=\s?(_\w+)\b")


def _signature_to_read(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returned: str | None
) -> tuple[str, str | None] | None:
    """Write a default without a public name as its number, or as an ellipsis.

    A class that nobody calls has none: a protocol, an enumeration, and the type of a function's result.
    """
    if signature is None:
        return None
    if getattr(obj, "_is_protocol", False) or isinstance(obj, EnumType) or name in RETURNED:
        return "", returned
    module = vars(sys.modules[getattr(obj, "__module__", "builtins")])

    def default(match: re.Match[str]) -> str:
        value = module.get(match[1])
        return f" = {value}" if isinstance(value, int | float) else " = ..."

    if isinstance(obj, type) and attrs.has(obj):
        fields = attrs.fields_dict(obj)
        signature = _ATTRS_DEFAULT.sub(lambda match: _default_text(fields[match[1]].default), signature)
    return _PRIVATE_DEFAULT.sub(default, _UNREADABLE.sub("...", signature)), returned


def _leave_private_bases(app: Sphinx, name: str, obj: object, options: object, bases: list[type]) -> None:
    bases[:] = [base for base in bases if base.__module__ == "builtins" or public_classes([base])] or bases


def _default_text(value: object) -> str:
    return "{}" if value is NO_EXTRA else repr(value)


def _link_public_names(app: Sphinx, doctree: nodes.document) -> None:
    """Resolve each name of a signature or a text to the public object of that name, in its own module first."""
    for node in doctree.findall(pending_xref):
        if node.get("refdomain") == "py":
            target = node["reftarget"]
            places = _public_places()
            place = places.get(f"{node.get('py:module')}.{target}") or places.get(target)
            if place is not None:
                node["reftarget"], node["refspecific"] = place, False


def _leave_private_names(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.Element
) -> nodes.Element | None:
    """A type that is not public here, as those of the standard library, is plain text."""
    return contnode if node.get("refdomain") == "py" else None


def _check_members(app: Sphinx) -> None:
    """Sphinx leaves out an object without a docstring; here it fails the build."""
    for place in undocumented_members():
        logger.warning("%s has no text", place)


def _describe(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Add the description that search engines and link previews show of a page: its first sentences."""
    paragraphs = list(doctree.findall(nodes.paragraph)) if doctree is not None else []
    paragraphs.sort(key=lambda each: not isinstance(each.parent, nodes.section))  # those of lists and tables last
    texts = (" ".join(each.astext().split()) for each in paragraphs)
    text = next((text for text in texts if len(text) >= _SHORTEST_DESCRIPTION), None)
    if text is not None:
        description = escape(text[:_LONGEST_DESCRIPTION], quote=True)
        context["metatags"] = f'{context.get("metatags", "")}\n<meta name="description" content="{description}">'


_SHORTEST_DESCRIPTION, _LONGEST_DESCRIPTION = 30, 300


def _write_reference(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "reference"
    folder.mkdir(exist_ok=True)
    vectors = (Path(app.srcdir).parent / "tests" / "vectors" / "README.md").read_text(encoding="utf-8")
    pages = reference_pages() | {"vectors.md": vectors.replace("../../docs/", "../")}
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:  # else Sphinx would read it again each time
            path.write_text(text, encoding="utf-8")


# Markup that the theme and Sphinx leave out, for people who use a keyboard or a screen reader.
_ACCESSIBLE = (
    ('<p class="caption" role="heading">', '<p class="caption" role="heading" aria-level="2">'),
    ('<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="Pages">'),
    ('<aside class="toc-drawer', '<aside aria-label="This page" class="toc-drawer'),
    ("<pre>", '<pre tabindex="0">'),
    ('<div class="table-wrapper', '<div tabindex="0" class="table-wrapper'),
)


# Between a field and its text; a screen reader reads both dashes aloud.
_DASHES = re.compile(r"((?:<li>|<dd[^>]*>)<p><(?:strong|a)\b[^\n]*?) -- ")


# The corner of a table heads nothing.
_EMPTY_HEAD = re.compile(r'<th class="head[^"]*"><p></p></th>')
_HEADING = re.compile(r'(?<=<h[1-6]>).*?(?=<a class="headerlink")')
_CODE_WORD = re.compile(r'(?<=<span class="pre">)[^<]+(?=</span>)')
_OPTION = re.compile(r"(?<![\w&-])--?[a-z][\w-]*")
_WITHIN_NAME = re.compile(r"(?<=\w[._/=:,])(?=\w)|(?<=\w_)(?=\w)")


def _with_breaks(text: str) -> str:
    """The name or the code, with places where a narrow page may begin a new line, and options that stay whole."""
    return _OPTION.sub(r'<span class="option">\g<0></span>', _WITHIN_NAME.sub("<wbr>", text))


def _heading_with_breaks(match: re.Match[str]) -> str:
    return re.sub(r"(?<=\w_)(?=\w)(?![^<]*>)", "<wbr>", match[0])


def _make_accessible(app: Sphinx, failure: Exception | None) -> None:
    if failure is None:
        for page in Path(app.outdir).rglob("*.html"):
            text = page.read_text(encoding="utf-8")
            for found, wanted in _ACCESSIBLE:
                text = text.replace(found, wanted)
            text = _EMPTY_HEAD.sub("<td></td>", text)
            text = _CODE_WORD.sub(lambda match: _with_breaks(match[0]), _HEADING.sub(_heading_with_breaks, text))
            if page.parent.name == "reference":
                text = _DASHES.sub(r"\1: ", text)
            page.write_text(text, encoding="utf-8")


class _DarkPictures(SphinxTransform):
    """Beside each picture `...-light.png`, show `...-dark.png` in dark colours, if there is one."""

    default_priority = 500

    def apply(self, **kwargs: Any) -> None:
        for image in list(self.document.findall(nodes.image)):
            path = image["uri"].replace("-light.", "-dark.")
            if path != image["uri"] and (Path(self.env.doc2path(self.env.docname)).parent / path).exists():
                dark = image.copy()
                dark["uri"] = path
                dark["classes"] = [*image["classes"], "only-dark"]
                image["classes"] = [*image["classes"], "only-light"]
                image.parent.insert(image.parent.index(image) + 1, dark)


def setup(app: Sphinx) -> None:
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Fields"  # as our docstrings have them; Sphinx says "Variables"
    app.add_lexer("haproxy", TextLexer)  # Pygments has none of its own
    app.add_transform(_DarkPictures)
    app.connect("build-finished", _make_accessible)
    app.connect("builder-inited", _check_members)
    app.connect("builder-inited", _write_reference)
    app.connect("html-page-context", _describe)
    app.connect("autodoc-process-docstring", _as_restructured_text, priority=100)
    app.connect("autodoc-process-bases", _leave_private_bases)
    app.connect("autodoc-process-signature", _signature_to_read)
    app.connect("doctree-read", _link_public_names)
    app.connect("missing-reference", _leave_private_names)
