"""The checker on each bot of docs/examples, served beside a simulated Poe: no rule is broken."""

from __future__ import annotations

import attrs
import pytest
from click.testing import CliRunner

from poeproto import Endpoints
from poeproto_check import CheckOptions, CheckReport, CheckTimes, ServerAddress, check, select_rules
from poeproto_cli.commands import main
from poeproto_simulator import Simulator

from ..support.bots import KEY
from ..support.example_stage import EXAMPLES, load_example, playing
from ..support.hypercorn_servers import hosting, serving

pytestmark = pytest.mark.anyio

# The files that these send are elsewhere; here the simulated Poe has them.
FILES = {"sending_files": ["LICENSE"], "playing_media": ["SOUND", "FILM"]}
# A cost belongs to a query of Poe's, which those of the checker are not.
CHARGING = "charging"
BOTS = [path.stem for path in sorted(EXAMPLES.glob("*.py")) if "\nbot = " in path.read_text() and path.stem != CHARGING]
_OPTIONS = CheckOptions(rules=select_rules(skip=["http.body-limit"]), access_key=KEY, times=CheckTimes(piece=0.001))


@pytest.fixture
def anyio_backend() -> str:
    """One is enough: the checks of the hosts run on each."""
    return "asyncio"


def assert_clean(report: CheckReport) -> None:
    left = {each.rule.id: (each.verdict.value, each.problems) for each in report.results if each.problems}
    assert (report.exit_code, left) == (0, {})


@pytest.mark.parametrize("name", BOTS)
async def test_a_bot(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with playing(name) as stage:
        for constant in FILES.get(name, []):
            kept = await stage.poe.store_file(b"some bytes", "file.bin")
            monkeypatch.setattr(stage.module, constant, kept.url)
        report = await check(ServerAddress.of(stage.url), _OPTIONS)
    assert_clean(report)


def test_a_bot_that_charges_a_cost() -> None:
    arguments = ["check", str(EXAMPLES / f"{CHARGING}.py:bot"), "--skip", "http.body-limit", "--skip", "input.sample"]
    result = CliRunner(env={"POE_ACCESS_KEY": KEY}).invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "untestable" not in result.stdout


async def test_an_application(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT_KEY", KEY)
    poe = Simulator()
    async with poe.serving() as address:
        monkeypatch.setenv("POE_ENDPOINT", address)
        async with serving(load_example("observing_calls").app) as url:
            assert_clean(await check(ServerAddress.of(url), _OPTIONS))


@pytest.mark.parametrize(
    ("name", "path"),
    [("logging_hooks", ""), ("several_bots", "shout"), ("on_modal", ""), ("in_starlette", "bots/greeting")],
)
async def test_an_application_with_paths(name: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("POE_ACCESS_KEY", "SHOUT_KEY", "WHISPER_KEY"):
        monkeypatch.setenv(variable, KEY)
    module = load_example(name)
    app = module.make_app() if hasattr(module, "make_app") else module.app
    async with hosting(app) as url:
        options = attrs.evolve(_OPTIONS, access_key=None) if name == "logging_hooks" else _OPTIONS
        assert_clean(await check(ServerAddress.of(f"{url}{path}"), options))


async def test_an_application_of_fastapi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POE_ACCESS_KEY", KEY)
    async with (
        Simulator().serving() as address,
        hosting(load_example("in_fastapi").make_app(Endpoints.at(address))) as url,
    ):
        assert_clean(await check(ServerAddress.of(f"{url}bots/guestbook"), _OPTIONS))
