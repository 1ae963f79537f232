"""The pages of the reference: each public name of each package, once, from its docstring.

`make docs` writes them into `docs/reference/`, and Sphinx fills them in.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import cache, cached_property
from importlib import import_module
from types import ModuleType
from typing import Any

import click

from poeproto_cli.commands import main as command

# The public modules, and the second half of their pages' titles.
PUBLIC_MODULES = {
    "poeproto": "the core",
    "poeproto.flows": "calls of several steps",
    "poeproto.http": "HTTP for integrations",
    "poeproto.lint": "the rules, applied",
    "poeproto.conversation": "messages for a model",
    "poeproto.auth": "access keys",
    "poeproto.identifiers": "Poe's identifiers",
    "poeproto.markdown": "links and images",
    "poeproto.reactions": "names of reactions",
    "poeproto.schemas": "JSON Schemas",
    "poeproto.extras": "missing dependencies",
    "poeproto.testing": "tests without a network",
    "poeproto_runtime": "a bot on any server",
    "poeproto_asgi": "bots on ASGI servers",
    "poeproto_h11": "HTTP/1.1, both sides",
    "poeproto_httpx": "calls over httpx",
    "poeproto_simulator": "a stand-in for Poe",
    "poeproto_record": "recordings",
    "poeproto_check": "conformance of a server",
    "poeproto_openai": "OpenAI's API, both ways",
    "poeproto_pytest": "a plugin for pytest",
    "poeproto_load": "load and its results",
    "poeproto_locust": "load with Locust",
    "poeproto_otel": "traces and metrics",
    "poeproto_playground": "bots in a browser",
    "poeproto_compat": "fastapi_poe's names",
}


@cache
def first_places() -> dict[str, list[str]]:
    """Each public name, where the reference describes it, and the other spellings of it.

    A name that several modules have is described where it comes first in `PUBLIC_MODULES`.
    """
    places: dict[int, str] = {}
    spellings: dict[str, list[str]] = {}
    bare: set[str] = set()
    for module_name in PUBLIC_MODULES:
        module = import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            place = f"{module_name}.{name}"
            first = places.setdefault(id(value), place) if _is_described_once(value) else place
            own = spellings.setdefault(first, [])
            own += [place, f"{getattr(value, '__module__', module_name)}.{getattr(value, '__qualname__', name)}"]
            if name not in bare:  # the shortest spelling means the first of that name
                bare.add(name)
                own.append(name)
    return spellings


def _is_described_once(value: Any) -> bool:
    """Whether modules that have the value have the same thing; equal strings and numbers may mean different ones."""
    return not isinstance(value, str | int | float)


def undocumented_members() -> Iterator[str]:
    """The places of public methods and properties of public classes that have no docstring, nor inherit one."""
    for place in first_places():
        module_name, _, name = place.rpartition(".")
        value = getattr(import_module(module_name), name)
        if inspect.isclass(value):
            members: dict[str, object] = dict(vars(value))
            for member, defined in members.items():
                if (
                    _is_code(defined)
                    and not member.startswith("_")
                    and not inspect.getdoc(_described(value, member, defined))
                ):
                    yield f"{place}.{member}"


def _is_code(defined: object) -> bool:
    return inspect.isroutine(defined) or isinstance(defined, property | cached_property)


def _described(owner: type, member: str, defined: object) -> object:
    """What has the docstring: a method may inherit it, a property is asked itself."""
    return getattr(owner, member) if inspect.isroutine(defined) else defined


def reference_pages() -> dict[str, str]:
    """The text of each page, by its file name."""
    pages = {f"{name}.md": "\n".join(_page(name)) for name in PUBLIC_MODULES}
    return pages | {"command.md": "\n".join(_commands())}


def _page(module_name: str) -> Iterator[str]:
    module = import_module(module_name)
    yield f"# {module_name}: {PUBLIC_MODULES[module_name]}\n\n{_module_text(module)}\n"
    yield f"```{{eval-rst}}\n.. py:module:: {module_name}\n```\n"
    groups: dict[str, list[str]] = {"Functions": [], "Classes": [], "Exceptions": [], "Constants and types": []}
    elsewhere: list[str] = []
    for name in sorted(module.__all__, key=str.lower):
        value = getattr(module, name)
        if f"{module_name}.{name}" not in first_places():
            elsewhere.append(name)
        elif inspect.isclass(value) and issubclass(value, BaseException):
            groups["Exceptions"].append(f".. autoexception:: {module_name}.{name}\n   :show-inheritance:")
        elif inspect.isclass(value):
            groups["Classes"].append(f".. autoclass:: {module_name}.{name}")
        elif inspect.isroutine(value):
            groups["Functions"].append(f".. autofunction:: {module_name}.{name}")
        else:
            groups["Constants and types"].append(f".. autodata:: {module_name}.{name}\n   :no-value:")
    for title, directives in groups.items():
        if directives:
            yield f"## {title}\n\n```{{eval-rst}}"
            yield from (f"{directive}\n" for directive in directives)
            yield "```\n"
    if elsewhere:
        yield "## Names of other modules\n"
        yield "These can be imported from here too:\n\n```{eval-rst}"
        yield ", ".join(f":py:obj:`{module_name}.{name}`" for name in elsewhere)
        yield "```\n"


def _module_text(module: ModuleType) -> str:
    """The docstring of a module, with its headings below the page's title, and links to its names and to pages."""

    def code(match: re.Match[str]) -> str:
        if page := PAGE_NAME.fullmatch(match[1]):
            return f"{{doc}}`/{page[1]}`"
        return f"{{py:obj}}`{match[1]} <{module.__name__}.{match[1]}>`" if match[1] in module.__all__ else match[0]

    text = re.sub(r"^(.+)\n[=-]+$", r"## \1", inspect.getdoc(module) or "", flags=re.MULTILINE)
    text = re.sub(r"(?<![(<`])https?://[^\s)>`]*[^\s)>`.,;]", r"<\g<0>>", text)
    return re.sub(r"(?<![`:}])`([^`\n]+)`(?!`)", code, text)


PAGE_NAME = re.compile(r"docs/([\w/]+)\.md")


def _commands() -> Iterator[str]:
    """The page of the command, from its own help."""
    yield f"# The command `poeproto`\n\n{_command_text(command)}\n"
    for name, verb in sorted(command.commands.items()):
        yield from _command(f"poeproto {name}", verb, 2)


def _command(name: str, verb: click.Command, level: int) -> Iterator[str]:
    yield f"{'#' * level} {name}\n\n{_command_text(verb)}\n"
    if isinstance(verb, click.Group):
        for child_name, child in sorted(verb.commands.items()):
            yield from _command(f"{name} {child_name}", child, level + 1)
        return
    context = click.Context(verb, info_name=name)
    usage = " ".join(verb.collect_usage_pieces(context))
    yield f"    {name} {usage}\n\n| option | meaning |\n|---|---|"
    for parameter in verb.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            option, text = (" ".join(part.split()).replace("|", r"\|") for part in record)
            if text:  # an argument has none: the text above speaks of it
                yield f"| `{option}` | {text} |"
    yield ""


def _command_text(verb: click.Command) -> str:
    """Its help. click's mark for a paragraph that keeps its lines becomes a block of code."""
    text = inspect.cleandoc(verb.help or "").partition("\f")[0]
    paragraphs = [
        textwrap.indent(part.removeprefix("\b\n"), "    ") if part.startswith("\b") else part
        for part in text.split("\n\n")
    ]
    return "\n\n".join(paragraphs).strip()
