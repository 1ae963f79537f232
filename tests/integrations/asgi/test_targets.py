"""Applications by name."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poeproto import Bot, Endpoints
from poeproto_asgi import AppOptions, BotApp, FetchPolicy, TargetError, TargetFailed, load_app

from ...support.bots import KEY

MODULE = f"""
from dataclasses import dataclass
from poeproto import Bot
from poeproto_asgi import BotApp, Route

@dataclass
class Hello(Bot):
    name: str = "hello"

class Named(Bot):
    def __init__(self, name):
        self.name = name

class Broken(Bot):
    def __init__(self):
        raise LookupError("broken")

bot = Hello()
app = BotApp(bot, access_key={KEY!r})
anyones = BotApp(bot, allow_without_key=True)
routes = {{"/": bot, "/class": Hello, "/own": Route(bot, access_key="its-own-key", bot_name="Own")}}
keyed = {{"/": Route(bot, access_key="its-own-key")}}
number = 5
none = None
empty = {{}}
no_path = {{"class": Hello}}
mixed = {{"/": bot, "/app": app}}
not_a_bot = int
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the module, as the current one; what importing leaves behind is undone."""
    (tmp_path / "some_bots.py").write_text(MODULE)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "inner.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("where", ["some_bots", "some_bots.py", "./some_bots.py", "package.inner", "package/inner.py"])
@pytest.mark.parametrize("attribute", ["bot", "Hello"])
def test_a_bot_or_its_class(where: str, attribute: str) -> None:
    app = load_app(f"{where}:{attribute}", access_key=KEY)
    route = app.service.routes["/"]
    assert type(route.bot).__name__ == "Hello"
    assert route.access_key == KEY
    assert list(app.service.routes) == ["/"]


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ('bots = {"/": Hello(), "/class": Hello, "/own": Route(Hello(), access_key="its-own-key")}', "some_bots:bots?"),
        ('bot = Hello()\nempty = {}\nnumbers = {"/": 5}\nmixed = {"/": bot, "/x": 5}', "some_bots:bot?"),
        ("number = 5", "there is no bot in it by another name"),
    ],
)
def test_suggestions_for_a_misspelt_target(source: str, hint: str, folder: Path) -> None:
    (folder / "hello.py").write_text("from poeproto import Bot\n\nclass Hello(Bot): ...\n")
    lines = ["from poeproto_asgi import Route", "from hello import Hello", source]
    (folder / "some_bots.py").write_text("\n".join(lines))
    with pytest.raises(TargetError) as caught:
        load_app("some_bots:missing", allow_without_key=True)
    assert str(caught.value).endswith(hint)
    assert str(caught.value).count("some_bots:") <= 1


def test_an_absolute_path(folder: Path) -> None:
    assert load_app(f"{folder / 'some_bots.py'}:bot", allow_without_key=True).service.routes["/"].access_key is None


def test_an_application_keeps_its_key() -> None:
    app = load_app("some_bots:app")
    assert isinstance(app, BotApp)
    for options in (AppOptions(access_key=KEY), AppOptions(environment_key="another")):
        assert load_app("some_bots:app", options=options).service.routes["/"].access_key == KEY


@pytest.mark.parametrize("attribute", ["app", "keyed"])
def test_a_key_that_no_bot_accepts(attribute: str) -> None:
    with pytest.raises(TargetError, match="access_key has no effect") as caught:
        load_app(f"some_bots:{attribute}", access_key="another")
    assert "another" not in str(caught.value)


@pytest.mark.parametrize("attribute", ["app", "keyed"])
def test_allow_without_key_without_effect(attribute: str) -> None:
    with pytest.raises(TargetError, match="allow_without_key has no effect"):
        load_app(f"some_bots:{attribute}", allow_without_key=True)


@pytest.mark.parametrize("attribute", ["bot", "anyones", "routes"])
def test_allow_without_key_for_a_bot_without_a_key(attribute: str) -> None:
    routes = load_app(f"some_bots:{attribute}", allow_without_key=True).service.routes
    assert routes["/"].accepted_keys is None


def test_a_key_of_the_environment_stands_in() -> None:
    options = AppOptions(environment_key=KEY)
    assert KEY not in repr(options)
    assert load_app("some_bots:bot", options=options).service.routes["/"].access_key == KEY


def test_bots_by_path() -> None:
    routes = load_app("some_bots:routes", access_key=KEY).service.routes
    assert {path: (route.access_key, route.bot_name) for path, route in routes.items()} == {
        "/": (KEY, None),
        "/class": (KEY, None),
        "/own": ("its-own-key", "Own"),
    }
    assert all(isinstance(route.bot, Bot) for route in routes.values())


def test_routes_with_keys_of_their_own_need_no_other() -> None:
    assert load_app("some_bots:keyed").service.routes["/"].access_key == "its-own-key"


def test_options() -> None:
    policy = FetchPolicy(origins=["http://127.0.0.1:8000"])
    options = AppOptions(
        access_key=KEY,
        bot_name="Hello",
        endpoints=Endpoints.at("http://127.0.0.1:8000"),
        fetch_policy=policy,
        sync_settings=False,
    )
    assert KEY not in repr(options)
    assert pickle.loads(pickle.dumps(options)) == options
    service = load_app("some_bots:bot", options=options).service
    assert (service.routes["/"].access_key, service.routes["/"].bot_name) == (KEY, "Hello")
    assert service.outbound is not None
    assert service.outbound.endpoints.api == "http://127.0.0.1:8000"
    assert service.outbound.fetch_policy is policy


@pytest.mark.parametrize(
    "options",
    [
        AppOptions(bot_name="Hello"),
        AppOptions(endpoints=Endpoints()),
        AppOptions(fetch_policy=FetchPolicy()),
        AppOptions(sync_settings=False),
    ],
)
def test_options_that_an_application_has_itself(options: AppOptions) -> None:
    with pytest.raises(TargetError, match="has its own"):
        load_app("some_bots:app", options=options)


def test_one_name_is_for_one_bot() -> None:
    with pytest.raises(TargetError, match="cannot all be called 'Hello'"):
        load_app("some_bots:routes", options=AppOptions(access_key=KEY, bot_name="Hello"))


@pytest.mark.parametrize(
    "target",
    [
        "",
        ":",
        "some_bots",
        "some_bots:",
        ":bot",
        "some_bots.py",
        "some_bots:nothing",
        "some_bots.py:nothing",
        "no_such_module:bot",
        "package.no_such_module:bot",
        "no.such.module:bot",
        "no_such_file.py:bot",
        "package.py:bot",
        ".some_bots:bot",
        "..:bot",
        "some_bots:number",
        "some_bots:none",
        "some_bots:mixed",
        "some_bots:not_a_bot",
        "some_bots:Named",
    ],
)
def test_values_that_cannot_be_served(target: str) -> None:
    with pytest.raises(TargetError) as caught:
        load_app(target, allow_without_key=True)
    assert "\n" not in str(caught.value)
    assert str(caught.value)


@pytest.mark.parametrize("target", ["some_bots:empty", "some_bots:no_path"])
def test_dicts_that_are_not_routes(target: str) -> None:
    with pytest.raises(ValueError, match=r"route|path"):
        load_app(target, allow_without_key=True)


@pytest.mark.parametrize("arguments", [{}, {"access_key": ""}, {"access_key": KEY, "allow_without_key": True}])
def test_keys_that_cannot_be_used(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="key"):
        load_app("some_bots:bot", **arguments)


def test_an_exception_in_the_bots_module_is_reported_other_than_a_wrong_name(folder: Path) -> None:
    (folder / "needs.py").write_text("import no_such_library\n")
    (folder / "wrong.py").write_text("def\n")
    (folder / "deep.py").write_text("raise ValueError('deep trouble')\n")
    failures: list[tuple[str, type[Exception], str]] = [
        ("some_bots:Broken", LookupError, "LookupError: broken"),
        ("needs:bot", ModuleNotFoundError, "no_such_library"),
        ("needs.py:bot", ModuleNotFoundError, "no_such_library"),
        ("wrong:bot", SyntaxError, "SyntaxError"),
        ("wrong.py:bot", SyntaxError, "SyntaxError"),
        ("deep.py:bot", ValueError, "deep trouble"),
    ]
    for target, cause, words in failures:
        with pytest.raises(TargetFailed, match=words) as caught:
            load_app(target, access_key=KEY)
        assert isinstance(caught.value.__cause__, cause)


def test_a_file_imports_its_neighbours(folder: Path) -> None:
    (folder / "package" / "neighbour.py").write_text("from poeproto import Bot\n")
    (folder / "package" / "main.py").write_text("from neighbour import Bot\nbot = Bot()\n")
    assert load_app("package/main.py:bot", access_key=KEY)


def test_the_application_needs_no_server() -> None:
    # It must run on other servers, where neither Hypercorn nor trio is installed.
    code = """
import sys
sys.modules["hypercorn"] = sys.modules["trio"] = sys.modules["uvloop"] = None
import poeproto_asgi
poeproto_asgi.BotApp(poeproto_asgi.load_app("some_bots:bot", allow_without_key=True).service.routes["/"].bot,
                     allow_without_key=True)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
