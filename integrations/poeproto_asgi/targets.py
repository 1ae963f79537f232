"""Load an application by its name, as a command line and worker processes give it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import cast

import attrs

from poeproto import Bot, Endpoints
from poeproto_asgi.app import BotApp
from poeproto_runtime import FetchPolicy, Route

__all__ = ["AppOptions", "TargetError", "TargetFailed", "load_app"]

logger = logging.getLogger("poeproto")

# The packages that make a bot of a target with a scheme, and the function that does. They are layers above this one, so
# they are imported when such a target is loaded; `poeproto_openai` tests that its own entry is right.
_SCHEMES = {"openai": ("poeproto_openai", "openai_target")}

_ADVICE_FOR_ASGI = "; serve an ASGI application with an ASGI server, such as hypercorn"


class TargetError(Exception):
    """A target does not name anything that can be served. The message is for the person who typed it."""


class TargetFailed(TargetError):
    """The code that a target names raised an exception, which is the ``__cause__``."""


@attrs.frozen(kw_only=True)
class AppOptions:
    """How to make the application where a target names bots; picklable, for worker processes.

    Attributes:
        access_key: the key of every bot that has none. It is an error if no bot uses it.
        environment_key: the same from the environment, used without an `access_key`. It may be meant for another
            program, so it may be unused.
        allow_without_key: whether bots without a key accept every request. It is an error if there are none.
        bot_name: the bot's name on Poe; for a target with a single bot.
        endpoints: where Poe is, for API calls of the bots.
        fetch_policy: which URLs `Context.fetch_attachment` may fetch; None for none.
        sync_settings: whether to push the settings to Poe at startup, for each bot whose name and key are known.
    """

    access_key: str | None = attrs.field(default=None, repr=False)
    environment_key: str | None = attrs.field(default=None, repr=False)
    allow_without_key: bool = False
    bot_name: str | None = None
    endpoints: Endpoints | None = None
    fetch_policy: FetchPolicy | None = None
    sync_settings: bool = True


def load_app(
    target: str | BotApp | Bot | type[Bot] | Mapping[str, object],
    *,
    access_key: str | None = None,
    allow_without_key: bool = False,
    options: AppOptions | None = None,
) -> BotApp:
    """The application that a target names.

    Args:
        target: ``module:attribute`` or ``path/file.py:attribute``. The attribute is a `BotApp`, a `Bot`, a class of
            bots that needs no arguments, or a dict of these two or of `Route`s by path. Or one of these itself. Or
            ``openai:URL#model``, for a `poeproto_openai.OpenAIBot`.
        access_key: the key of every bot that has none.
        allow_without_key: whether bots without a key accept every request.
        options: these two and more; the two are ignored then.

    Raises:
        TargetError: when the target does not exist or is something else, and when an option would have no effect.
        TargetFailed: when the target's own code raises an exception.
        ValueError: when a bot has neither a key nor the permission to accept requests without one.
    """
    options = options or AppOptions(access_key=access_key, allow_without_key=allow_without_key)
    app = load_app_unchecked(target, options)
    check_keys_used(name_of_target(target), app, options)
    return app


def name_of_target(target: object) -> str:
    """The text that names a target in messages: its own name, or the class of an object without one."""
    if isinstance(target, str):
        return target
    return f"the {target.__name__ if isinstance(target, type) else type(target).__name__} that was passed"


def _is_of_compat(bot: object) -> bool:
    """Whether it is a `PoeBot` or a class of them. Its package builds on this one, so it is known by its name."""
    bases = (bot if isinstance(bot, type) else type(bot)).__mro__
    return any(base.__module__.partition(".")[0] == "poeproto_compat" for base in bases)


def _is_asgi(target: object) -> bool:
    """Whether it may be an ASGI application of another framework: an asynchronous function, or an object with one."""
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(
        inspect.getattr_static(type(target), "__call__", None)
    )


def load_app_unchecked(target: object, options: AppOptions) -> BotApp:
    """As `load_app`, but the key and the permission may have no effect."""
    found = _load(target) if isinstance(target, str) else target
    target = name_of_target(target)
    if isinstance(found, BotApp):
        check_options_of_application(target, options)
        return found
    bots = cast("Mapping[str, object]", found) if isinstance(found, Mapping) else {"/": found}
    if options.bot_name is not None and len(bots) > 1:
        raise TargetError(f"{target} has {len(bots)} bots, and they cannot all be called {options.bot_name!r}")
    routes: dict[str, Route] = {}
    for path, bot in bots.items():
        if isinstance(bot, type) and issubclass(bot, Bot):
            bot = _instantiate(bot, target)
        if isinstance(bot, Bot):
            try:
                bot = Route(
                    bot,
                    access_key=options.access_key or options.environment_key,
                    allow_without_key=options.allow_without_key,
                    bot_name=options.bot_name,
                )
            except TypeError as exc:  # a method with other parameters
                raise TargetError(str(exc)) from None
        if not isinstance(bot, Route):
            if _is_of_compat(cast("object", bot)):
                raise TargetError(
                    f"{target} is a bot of poeproto_compat, which its application serves: write app = make_app(bot,"
                    " access_key=...), and name app instead"
                )
            advice = _ADVICE_FOR_ASGI if _is_asgi(cast("object", bot)) else ""
            raise TargetError(
                f"{target} is not a bot, a class of bots, a BotApp, or a dict of bots by path: {bot!r}{advice}"
            )
        routes[path] = bot
    return BotApp(
        routes,
        endpoints=options.endpoints,
        fetch_policy=options.fetch_policy,
        sync_settings=options.sync_settings,
    )


def check_options_of_application(target: str, options: AppOptions) -> None:
    """Raise a `TargetError` for options that a `BotApp` has already."""
    if options.bot_name or options.endpoints or options.fetch_policy or not options.sync_settings:
        raise TargetError(
            f"{target} is a BotApp, which has its own bot names, endpoints, fetch_policy and sync_settings;"
            " pass them to it instead"
        )


def check_keys_used(target: str, app: BotApp, options: AppOptions) -> None:
    """Raise a `TargetError` for a key that no bot uses, and for `allow_without_key` where every bot has keys."""
    if options.access_key is not None and not app.service.accepts_key(options.access_key):
        raise TargetError(f"access_key has no effect: {target} sets the keys of its bots itself; omit access_key")
    if options.allow_without_key and not app.service.paths_without_key():
        raise TargetError(
            f"allow_without_key has no effect: every bot of {target} requires a key; pass that key instead"
        )


def warn_of_unused_key(target: str, app: BotApp, options: AppOptions) -> None:
    """Log a warning where no bot uses the key in the environment, with the paths that need no key."""
    key = options.environment_key
    if options.access_key is None and key is not None and not app.service.accepts_key(key):
        anyone = app.service.paths_without_key()
        logger.warning(
            "the key in the environment has no effect: %s sets the keys of its bots itself%s",
            target,
            f", and anyone is answered at {', '.join(anyone)}" if anyone else "",
        )


def _instantiate(cls: type[Bot], target: str) -> Bot:
    try:
        inspect.signature(cls).bind()
    except TypeError as exc:
        raise TargetError(f"{target}: {cls.__name__} cannot be instantiated without arguments: {exc}") from None
    with _target_code(target):
        return cls()


@contextmanager
def _target_code(target: str) -> Generator[None]:
    try:
        yield
    except TargetError:
        raise
    except Exception as exc:
        raise TargetFailed(f"{target} failed to load: {type(exc).__name__}: {exc}") from exc


def has_scheme(target: str) -> bool:
    """Whether a target has a scheme of this package, such as ``openai:URL#model``, and names no attribute."""
    scheme, _, rest = target.partition(":")
    return scheme in _SCHEMES and not rest.isidentifier()


def _load_by_scheme(target: str) -> object:
    package, function = _SCHEMES[target.partition(":")[0]]
    try:
        return getattr(importlib.import_module(package), function)(target)
    except (ImportError, ValueError) as exc:  # the extra is not installed; or the target is of another form
        raise TargetError(str(exc)) from None


def check_target_exists(target: str) -> None:
    """Check the name of a target, without running its code.

    Raises:
        TargetError: when the name is malformed, or there is no such file or module.
    """
    if has_scheme(target):
        return  # its form is checked when it is loaded
    where, is_file, _ = _parts_of(target)
    if is_file:
        _check_file(Path(where))
        return
    package = where.partition(".")[0]
    if not PathFinder.find_spec(package, [str(Path.cwd())]) and not importlib.util.find_spec(package):
        raise _no_module(where)


def _parts_of(target: str) -> tuple[str, bool, str]:
    """The file or module that a target names, whether it is a file, and the attribute."""
    where, _, attribute = target.rpartition(":")
    is_file = where.endswith(".py")
    # A module name must not be relative: there is no package here that it could be relative to.
    is_module = all(part.isidentifier() for part in where.split("."))
    if not attribute.isidentifier() or not (is_file or is_module):
        raise TargetError(f"{target!r} is not of the form module:attribute or path/file.py:attribute")
    return where, is_file, attribute


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise TargetError(f"there is no file {path}")


def _no_module(name: str) -> TargetError:
    return TargetError(f"there is no module {name!r}, in the current folder or installed")


def _load(target: str) -> object:
    if has_scheme(target):
        return _load_by_scheme(target)
    where, is_file, attribute = _parts_of(target)
    module = _load_file(Path(where)) if is_file else _load_module(where)
    try:
        return getattr(module, attribute)
    except AttributeError:
        meant = " or ".join(f"{where}:{name}" for name in _bots_in(module))
        hint = f"; did you mean {meant}?" if meant else ", and there is no bot in it by another name"
        raise TargetError(f"{where} has no attribute {attribute!r}{hint}") from None


def _bots_in(module: ModuleType) -> list[str]:
    """The names in a module that could be served."""
    return [
        name
        for name, value in list(vars(module).items())  # a lazy module gets names when they are read
        if isinstance(value, Bot | BotApp)
        or (_is_bot_class(value) and value.__module__ == module.__name__)
        or (isinstance(value, Mapping) and _are_bots(cast("Mapping[object, object]", value)))
    ]


def _are_bots(found: Mapping[object, object]) -> bool:
    return bool(found) and all(isinstance(each, Bot | Route) or _is_bot_class(each) for each in found.values())


def _is_bot_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Bot)


def _load_module(name: str) -> ModuleType:
    # As with `python -m`, the current folder is searched.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    with _target_code(name):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as exc:
            if exc.name is not None and (name == exc.name or name.startswith(f"{exc.name}.")):
                raise _no_module(name) from None
            raise


def _load_file(path: Path) -> ModuleType:
    _check_file(path)
    # Under another name: a bot in random.py must not replace the standard module.
    name = f"poeproto_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a file name that ends in .py has a loader"
    assert spec.loader is not None, "a file name that ends in .py has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and pickling look for it
    sys.path.insert(0, str(path.parent.resolve()))  # as with `python path/file.py`
    with _target_code(str(path)):
        spec.loader.exec_module(module)
    return module
