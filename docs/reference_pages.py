"""The pages of the reference: each public name of each package, once, from its docstring.

`make docs` writes them into `docs/reference/`, and Sphinx fills them in.
"""

from __future__ import annotations

import dis
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import cache, cached_property
from importlib import import_module
from itertools import pairwise
from types import ModuleType
from typing import Any

import attrs
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


# Classes whose values a function or a method returns; nobody else constructs them.
RETURNED = {
    "poeproto_h11.BlockingReply",
    "poeproto_h11.BotResponse",
    "poeproto_h11.Reply",
    "poeproto_locust.LoadRun",
    "poeproto_locust.UserConversation",
}


def undocumented_members() -> Iterator[str]:
    """The places of objects without a docstring.

    Of public classes: methods, properties, fields, arguments of the constructor, and members of an enumeration. Of
    functions and methods: arguments that are numbers or booleans, since their types do not say what they count.
    """
    for place in first_places():
        value = _value_at(place)
        if inspect.isclass(value):
            yield from _undocumented_in_class(place, value)
        elif inspect.isroutine(value):
            yield from _undocumented_arguments(place, value, inspect.getdoc(value) or "")


def _value_at(place: str) -> Any:
    module_name, _, name = place.rpartition(".")
    return getattr(import_module(module_name), name)


def _undocumented_in_class(place: str, cls: type) -> Iterator[str]:
    members: dict[str, object] = dict(vars(cls))
    for member, defined in members.items():
        if _is_code(defined) and not member.startswith("_"):
            text = inspect.getdoc(_described(cls, member, defined))
            if not text:
                yield f"{place}.{member}"
            elif inspect.isroutine(defined):
                yield from _undocumented_arguments(f"{place}.{member}", getattr(cls, member), text)
    texts = (inspect.getdoc(owner) or "" for owner in (cls, *public_classes(cls.__mro__[1:])))
    described = {name for text in texts for name in _described_in(text, place)}
    described |= {name for name, defined in members.items() if _is_code(defined)}
    names = [*_fields(cls), *([] if place in RETURNED else _constructor_arguments(cls))]
    yield from (f"{place}.{name}" for name in dict.fromkeys(names) if name not in described)


def _undocumented_arguments(place: str, function: Callable[..., Any], text: str) -> Iterator[str]:
    described = _described_in(text, place) | set(re.findall(r"\w+", text))
    for parameter in inspect.signature(function).parameters.values():
        if (
            _NUMBER.fullmatch(inspect.formatannotation(parameter.annotation).strip("'"))
            and parameter.name not in described
        ):
            yield f"{place}({parameter.name})"


_NUMBER = re.compile(r"(?:int|float|bool)(?: \| None)?")


def _is_code(defined: object) -> bool:
    return inspect.isroutine(defined) or isinstance(defined, property | cached_property)


def _described(owner: type, member: str, defined: object) -> object:
    """The object with the docstring: a method may inherit it, a property is read from its class."""
    return getattr(owner, member) if inspect.isroutine(defined) else defined


def public_classes(classes: Iterable[type]) -> list[type]:
    """Those of the classes that the reference describes."""
    public = {id(_value_at(place)) for place in first_places()}
    return [each for each in classes if id(each) in public]


def _described_in(text: str, place: str) -> set[str]:
    """The arguments and fields with a text, those included to which the text refers, as in "Fields as of `Other`"."""
    own = set(re.findall(r"^\s+\*{0,2}(\w+): ", text, re.MULTILINE))
    for name in re.findall(r"(?:\b[Aa]s|\b[Ss]ee|the fields) (?:in |of |with |for )?`([\w.]+)`", text):
        own |= _described_in(_text_of(name, place), place)
    return own


def _text_of(name: str, place: str) -> str:
    """The docstring of what a text at that place calls so, a member of a class included; empty if it is not public."""
    beside = f"{place.partition('.')[0]}.{name}"
    if beside in first_places():
        return inspect.getdoc(_value_at(beside)) or ""
    owner, _, member = name.rpartition(".")
    value, holder = _public_value(name), _public_value(owner)
    return inspect.getdoc(value if value is not None else getattr(holder, member, None)) or ""


def _public_value(name: str) -> Any:
    return next((_value_at(place) for place, spellings in first_places().items() if name in spellings), None)


def _fields(cls: type[Any]) -> Iterator[str]:
    """The public attributes of a value: of attrs' and pydantic's classes, tuples, enumerations, and constructors."""
    if issubclass(cls, Enum):
        names = [] if has_telling_values(cls) else list(cls.__members__)
    elif attrs.has(cls):
        names = [field.name for field in attrs.fields(cls)]
    else:
        own: Any = cls
        names = [*getattr(own, "model_fields", ()), *getattr(own, "_fields", ()), *_assigned(own)]
    return (name for name in names if not name.startswith("_"))


def has_telling_values(cls: type[Enum]) -> bool:
    """Whether the values of an enumeration are the texts of its members, as its docstring says."""
    return "The value is the explanation" in (cls.__doc__ or "")


def _assigned(cls: type) -> Iterator[str]:
    """The names that the class's own constructor assigns."""
    constructor = vars(cls).get("__init__")
    if inspect.isfunction(constructor):
        for loaded, stored in pairwise(dis.get_instructions(constructor)):
            if stored.opname == "STORE_ATTR" and loaded.argval == "self":
                yield stored.argval


def _constructor_arguments(cls: type) -> list[str]:
    own: object = vars(cls).get("__init__")
    is_protocol = getattr(cls, "_is_protocol", False)
    if is_protocol or issubclass(cls, Enum) or not inspect.isfunction(own):
        return []
    obvious = {"self", "message"} if issubclass(cls, BaseException) else {"self"}
    parameters = inspect.signature(own).parameters.values()
    return [each.name for each in parameters if each.kind is not each.VAR_KEYWORD and each.name not in obvious]


def reference_pages() -> dict[str, str]:
    """The text of each page, by its file name."""
    pages = {f"{name}.md": "\n".join(_page(name)) for name in PUBLIC_MODULES}
    return pages | {"command.md": "\n".join(_commands()), "packages.md": "\n".join(_packages())}


def _packages() -> Iterator[str]:
    """The page above those of the packages, so that the sidebar has one entry for them."""
    yield "# Packages and their names\n\nEach public name of each package, from its docstring:\n"
    yield "| package | what it is for |\n|---|---|"
    yield from (f"| [`{name}`]({name}.md) | {purpose} |" for name, purpose in PUBLIC_MODULES.items())
    yield "\n```{toctree}\n:hidden:\n"
    yield from PUBLIC_MODULES
    yield "```"


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
            bases = "\n   :show-inheritance:" if public_classes(value.__bases__) else ""
            groups["Classes"].append(f".. autoclass:: {module_name}.{name}{bases}")
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
    if not isinstance(verb, click.Group):
        yield from _usage(name, verb)
    for child_name, child in sorted(getattr(verb, "commands", {}).items()):  # `bench` measures, and has one, too
        yield from _command(f"{name} {child_name}", child, level + 1)


def _usage(name: str, verb: click.Command) -> Iterator[str]:
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
