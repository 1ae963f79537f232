"""The migration of a Python file from fastapi_poe to poeproto_compat: its imports, by their syntax.

Comments, strings and layout stay as they are. A place that a rewritten import does not fix becomes a note.
"""

from __future__ import annotations

import ast
import io
from collections.abc import Iterator
from importlib import import_module
from itertools import accumulate

from poeproto_cli.migration import (
    MENTION,
    NEW_MODULE,
    NEW_REQUIREMENT,
    OLD_MODULE,
    REQUIREMENT,
    Edit,
    Migrated,
    Note,
    apply,
)

_MODULES = ("base", "client", "sync_utils", "templates", "types")
# Attributes that the application of `make_app` has without another library.
_OF_ASGI = frozenset({"service", "lifespan"})
# Methods of Modal's images that install requirements.
_INSTALLS = frozenset({"pip_install", "uv_pip_install"})
# Functions that take `session=`.
_CALLS = frozenset({"get_bot_response", "get_final_response", "stream_request", "stream_request_base", "upload_file"})


def migrate_python(text: str, *, own_module: bool = False) -> Migrated:
    """Migrate a program.

    Args:
        text: the program.
        own_module: the project has a module named fastapi_poe itself, so its imports are left, and noted.

    Raises:
        SyntaxError: if the text is not Python.
    """
    tree = ast.parse(text)
    program = _Program(text, tree)
    for node in ast.walk(tree):
        program.visit_import(node)
    if own_module:
        note = Note(program.first_line, f"the project has a {OLD_MODULE} of its own; its imports are left", "names")
        return Migrated(text, 0, [note] if program.first_line else [])
    for node in ast.walk(tree):
        program.visit_assignment(node)
    program.rewrite_requirements(tree)
    for node in ast.walk(tree):
        program.visit_use(node)
    return Migrated(apply(program.edits, text), len(set(program.edits)), sorted(set(program.notes)))


class _Program:
    """A program, and the findings in it."""

    def __init__(self, text: str, tree: ast.Module) -> None:
        self.edits: list[Edit] = []
        self.notes: list[Note] = []
        self.first_line = 0
        self._text = text
        self._lines = io.StringIO(text, newline="").readlines()
        self._starts = [0, *accumulate(map(len, self._lines))]
        self._modules: dict[str, str] = {}  # the names of modules in the program, and the modules
        self._calls: dict[str, str] = {}  # the names of functions
        self._applications: set[str] = set()  # the names of the results of make_app
        self._others: set[str] = set()  # the names of the results of other calls, such as modal.App
        self._rewritten: set[int] = set()  # the lines of requirements that were rewritten
        self._is_rebound = _binds(tree, OLD_MODULE)

    # --- statements that import

    def visit_import(self, node: ast.AST) -> None:
        match node:
            case ast.Import():
                for alias in node.names:
                    self._visit_alias(alias)
            case ast.ImportFrom(module=str(module), level=0) if _is_old(module):
                self._visit_from(node, module)
            case ast.ImportFrom() if OLD_MODULE in (node.module or "").split(".") or _imports(node, OLD_MODULE):
                text = f"a module of the project's own is named {OLD_MODULE}; left as it is"
                self.notes.append(Note(node.lineno, text, "names"))
            case _:
                pass

    def _visit_alias(self, alias: ast.alias) -> None:
        if not _is_old(alias.name):
            return
        self._replace(alias, alias.name, _renamed(alias.name))
        self._check_module(alias.lineno, alias.name)
        if alias.asname is not None:
            self._modules[alias.asname] = alias.name
        elif self._is_rebound:
            self._modules[OLD_MODULE] = OLD_MODULE
            if alias.name == OLD_MODULE:  # the name means other things too, so it is kept
                self.edits[-1] = self.edits[-1]._replace(new=f"{NEW_MODULE} as {OLD_MODULE}")
            else:
                text = f"the name {OLD_MODULE} is assigned here too; rename what the import binds"
                self.notes.append(Note(alias.lineno, text, "names"))
        else:
            self._modules[OLD_MODULE] = OLD_MODULE

    def _visit_from(self, node: ast.ImportFrom, module: str) -> None:
        start = self._offset(node.lineno, node.col_offset)
        at = self._text.index(OLD_MODULE, start)
        self.edits.append(Edit(at, at + len(OLD_MODULE), NEW_MODULE))
        self.first_line = self.first_line or node.lineno
        if not self._check_module(node.lineno, module):
            return
        for alias in node.names:
            name = alias.asname or alias.name
            if module == OLD_MODULE and alias.name in _MODULES:
                self._modules[name] = f"{module}.{alias.name}"
            elif alias.name != "*":
                self._check_name(alias.lineno, module, alias.name)
                self._calls[name] = alias.name

    def _replace(self, alias: ast.alias, old: str, new: str) -> None:
        start = self._offset(alias.lineno, alias.col_offset)
        self.first_line = self.first_line or alias.lineno
        # `import fastapi_poe . client` is one name in the syntax, and three tokens in the text.
        self.edits.append(Edit(start, start + len(OLD_MODULE), new[: len(NEW_MODULE)]))
        assert self._text.startswith(OLD_MODULE, start), (old, start)

    def _offset(self, line: int, column: int) -> int:
        """The offset of a node's beginning. The syntax tree counts columns in bytes of UTF-8."""
        before = self._lines[line - 1].encode()[:column].decode()
        return self._starts[line - 1] + len(before)

    # --- names

    def _check_module(self, line: int, module: str) -> bool:
        parts = module.split(".")
        if len(parts) == 1 or (len(parts) == 2 and parts[1] in _MODULES):
            return True
        known = ", ".join(f"{NEW_MODULE}.{name}" for name in _MODULES)
        self.notes.append(Note(line, f"there is no module {_renamed(module)}; there are {known}", "names"))
        return False

    def _check_name(self, line: int, module: str, name: str) -> None:
        if not _has(module, name):
            self.notes.append(Note(line, f"{_renamed(module)} has no name {name}", "names"))

    # --- uses of names

    def visit_assignment(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(value=ast.Call(func=function), targets=[ast.Name(id=name)]):
                if self._called(function) == "make_app":
                    self._applications.add(name)
                else:
                    self._others.add(name)
            case _:
                pass

    def rewrite_requirements(self, tree: ast.AST) -> None:
        """Rewrite the package among those that Modal's images install, or note that they must install it."""
        calls = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _INSTALLS
        ]
        installed = [arg.value if isinstance(arg, ast.Starred) else arg for call in calls for arg in call.args]
        names = {arg.id for arg in installed if isinstance(arg, ast.Name)}
        lists = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and any(isinstance(each, ast.Name) and each.id in names for each in node.targets)
        ]
        for listed in (*installed, *lists):
            for item in listed.elts if isinstance(listed, ast.List | ast.Tuple) else [listed]:
                self._rewrite_requirement(item)
        lines = [line for node in ast.walk(tree) if (line := _modal_import(node))]
        if lines and not self._rewritten:
            text = f"Modal runs the application as before; have its image install {NEW_REQUIREMENT!r}"
            self.notes.append(Note(min(lines), text, "modal"))

    def _rewrite_requirement(self, node: ast.expr) -> None:
        match node:
            case ast.Constant(value=str(value)) if REQUIREMENT.fullmatch(value.strip()):
                start = self._text.find(value, self._offset(node.lineno, node.col_offset))
                if node.lineno == node.end_lineno and 0 <= start < self._offset(node.lineno, node.end_col_offset or 0):
                    self.edits.append(Edit(start, start + len(value), NEW_REQUIREMENT))
                    self._rewritten.add(node.lineno)
            case _:
                pass

    def visit_use(self, node: ast.AST) -> None:
        match node:
            case ast.Name(id=name) if name == OLD_MODULE and name in self._modules and not self._is_rebound:
                start = self._offset(node.lineno, node.col_offset)
                self.edits.append(Edit(start, start + len(OLD_MODULE), NEW_MODULE))
            case ast.Attribute():
                self._visit_attribute(node)
            case ast.Call():
                self._visit_call(node)
            case ast.Constant(value=str(value)) if MENTION.search(value) and node.lineno not in self._rewritten:
                self._visit_string(node.lineno, value)
            case _:
                pass

    def _visit_attribute(self, node: ast.Attribute) -> None:
        module = self._module(node.value)
        if module is not None and self._module(node) is None:
            self._check_name(node.lineno, module, node.attr)
        applications = self._applications - self._others
        if isinstance(node.value, ast.Name) and node.value.id in applications and node.attr not in _OF_ASGI:
            text = (
                f"{node.value.id}.{node.attr} needs FastAPI or Starlette: add the one that you use to the requirements"
            )
            self.notes.append(Note(node.lineno, text, "fastapi"))

    def _visit_call(self, node: ast.Call) -> None:
        called = self._called(node.func)
        keywords = {keyword.arg for keyword in node.keywords}
        if called in _CALLS and "session" in keywords:
            self.notes.append(
                Note(node.lineno, "session= takes httpx's clients: add httpx to the requirements", "session")
            )
        if called == "make_app" and "app" in keywords:
            text = "make_app(app=...) mounts the bots in your application: add fastapi or starlette to the requirements"
            self.notes.append(Note(node.lineno, text, "fastapi"))
        if isinstance(node.func, ast.Attribute) and node.func.attr == "mount" and self._mounts_bots(node):
            text = "a mounted application does not send the bots' settings to Poe: use make_app(..., app=...) instead"
            self.notes.append(Note(node.lineno, text, "fastapi"))

    def _mounts_bots(self, node: ast.Call) -> bool:
        """Whether a call mounts an application of `make_app`."""
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            match argument:
                case ast.Call(func=function) if self._called(function) == "make_app":
                    return True
                case ast.Name(id=name) if name in self._applications - self._others:
                    return True
                case _:
                    pass
        return False

    def _visit_string(self, line: int, value: str) -> None:
        found = REQUIREMENT.fullmatch(value.strip())
        if found is not None and not self._is_module(value):
            text = f"{value.strip()!r} in a string: if it is installed from there, write {NEW_REQUIREMENT!r}"
            self.notes.append(Note(line, text, "modal"))
        elif "\n" not in value and value.strip().startswith(f"{OLD_MODULE}."):
            self.notes.append(
                Note(line, f"{value!r} names the module in a string; write {_renamed(value)!r}", "strings")
            )
        else:
            self.notes.append(Note(line, f"a text mentions {MENTION.findall(value)[0]}; left as it is", "strings"))

    def _is_module(self, value: str) -> bool:
        return value.startswith(OLD_MODULE) and all(part.isidentifier() for part in value.split("."))

    def _module(self, node: ast.expr) -> str | None:
        """The module that an expression is, in fastapi_poe's names."""
        match node:
            case ast.Name(id=name):
                return self._modules.get(name)
            case ast.Attribute(value=value, attr=name) if name in _MODULES and self._module(value) == OLD_MODULE:
                return f"{OLD_MODULE}.{name}"
            case _:
                return None

    def _called(self, function: ast.expr) -> str | None:
        """The name of fastapi_poe's function that is called, if it is one."""
        match function:
            case ast.Name(id=name):
                return self._calls.get(name)
            case ast.Attribute(value=value, attr=name) if self._module(value) is not None:
                return name
            case _:
                return None


def _modal_import(node: ast.AST) -> int:
    """The line of an import of Modal; 0 for anything else."""
    match node:
        case ast.Import() if any(alias.name.split(".")[0] == "modal" for alias in node.names):
            return node.lineno
        case ast.ImportFrom(module=str(module), level=0) if module.split(".")[0] == "modal":
            return node.lineno
        case _:
            return 0


def _is_old(module: str) -> bool:
    return module.split(".")[0] == OLD_MODULE


def _renamed(module: str) -> str:
    return NEW_MODULE + module[len(OLD_MODULE) :]


def _imports(node: ast.ImportFrom, name: str) -> bool:
    return any(alias.name == name for alias in node.names)


def _binds(tree: ast.Module, name: str) -> bool:
    """Whether anything but an import binds a name."""
    return any(_bound(node) == name for node in ast.walk(tree))


def _bound(node: ast.AST) -> str | None:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
            return name
        case _:
            return None


def _has(module: str, name: str) -> bool:
    new = _renamed(module)
    return hasattr(import_module(new), name)


def third_party_imports(text: str) -> Iterator[tuple[str, int]]:
    """The top-level modules that a program imports, with the lines."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import():
                yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.split(".")[0], node.lineno
            case _:
                pass
