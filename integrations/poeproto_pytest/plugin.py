"""The plugin: options, markers, fixtures and hooks. Importing it imports pytest and nothing else.

All fixtures are synchronous, so they work with any plugin that runs asynchronous tests: anyio's, pytest-asyncio and
pytest-trio. The objects that they return have asynchronous methods.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from poeproto import Bot, Limits
    from poeproto_pytest.fixture_types import BotFactory, RecordingFactory
    from poeproto_pytest.network_block import NetworkBlocked
    from poeproto_pytest.replayed_calls import ReplayedCalls
    from poeproto_pytest.simulated_poe import MemoryPoe, ObservedBot
    from poeproto_record import Redaction, ReplayMatch
    from poeproto_runtime.client.transport import SharedTransport

_MARKERS = {
    "poe_no_network": "fail the test if it connects to another host than this machine",
    "poe_network": "allow the network, where the ini option poe_no_network blocks it",
    "poe_simulator": "options of the simulated Poe of a test, as of poeproto_simulator.Simulator: strict, balance, ...",
}
_MODES = ("none", "new", "all")

_recordings = pytest.StashKey[list["ReplayedCalls"]]()
_passed = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("poe", "bots of Poe (poeproto)")
    group.addoption(
        "--poe-record",
        choices=_MODES,
        default=None,
        help="calls through poe_recording: none replays them (the default), new also records those that no recorded "
        "exchange answers, all records every one again, and replaces the recording if the test passes",
    )
    parser.addini("poe_record", "the default of --poe-record", default="none")
    parser.addini(
        "poe_recordings_dir",
        "where recordings are, relative to the file of the test",
        default="recordings",
    )
    parser.addini("poe_no_network", "block the network in all tests without the marker poe_network", "bool", False)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for name, text in _MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {text}")
    if config.getini("poe_record") not in _MODES:
        raise pytest.UsageError(f"the ini option poe_record is {config.getini('poe_record')!r}, expected {_MODES}")


@pytest.fixture
def poe_simulator(request: pytest.FixtureRequest) -> Generator[MemoryPoe]:
    """A simulated Poe in memory: a `poeproto_simulator.Simulator` without sockets; `serving()` adds one."""
    _check_extra()
    from poeproto_pytest.simulated_poe import MemoryPoe

    options: dict[str, Any] = {}
    for marker in request.node.iter_markers("poe_simulator"):
        options = {**marker.kwargs, **options}
    poe = MemoryPoe(**options)
    yield poe
    poe.close()


@pytest.fixture
def poe_bot(poe_simulator: MemoryPoe) -> BotFactory:
    """Serves a bot in memory, behind the simulated Poe: ``poe_bot(CatBot(), bots={"Dog": Canned("woof")})``."""
    from poeproto.testing import TEST_ACCESS_KEY

    def serve(
        bot: Bot,
        *,
        name: str | None = None,
        bots: dict[str, Bot] | None = None,
        calls: SharedTransport | None = None,
        access_key: str = TEST_ACCESS_KEY,
        limits: Limits | None = None,
    ) -> ObservedBot:
        for other_name, other in (bots or {}).items():
            poe_simulator.register(other_name, other)
        return poe_simulator.add_bot(bot, name=name, access_key=access_key, calls=calls, limits=limits)

    return serve


@pytest.fixture
def poe_redaction() -> Redaction | None:
    """The redaction of recordings; override the fixture to add patterns and secrets of your own."""
    return None


@pytest.fixture
def poe_recording(request: pytest.FixtureRequest, poe_redaction: Redaction | None) -> Generator[RecordingFactory]:
    """Replays recorded calls, or records them: ``poe_recording("cat.jsonl").client()``."""
    _check_extra()
    from poeproto import Limits
    from poeproto_h11 import make_outbound
    from poeproto_pytest.replayed_calls import RecordMode, ReplayedCalls, path_in
    from poeproto_record import ReplayMatch

    mode = RecordMode(record_mode(request.config))
    directory = request.path.parent / str(request.config.getini("poe_recordings_dir"))
    opened: list[ReplayedCalls] = []
    request.node.stash[_recordings] = opened

    def open_recording(
        file: str, *, match: ReplayMatch | str = ReplayMatch.LAST_MESSAGE, speed: float = 0
    ) -> ReplayedCalls:
        calls = ReplayedCalls(
            path_in(directory, file),
            mode,
            lambda: make_outbound(Limits()).transport,
            match=ReplayMatch(match),
            speed=speed,
            redaction=poe_redaction,
        )
        opened.append(calls)
        return calls

    yield open_recording
    passed = request.node.stash.get(_passed, False)
    for calls in opened:
        calls.save(passed=passed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Block the network, and fail a test that used it, or made a call that no recording answers.

    The bot under test may have caught that exception, so the test would not fail.
    """
    reason = _block_reason(item)
    if reason is None:
        result = yield from _guarded(item, [])
        return result
    from poeproto_pytest.network_block import network_blocked

    with network_blocked(reason) as blocked:
        result = yield from _guarded(item, blocked)
    return result


def _guarded(item: pytest.Item, blocked: list[NetworkBlocked]) -> Generator[None, object, object]:
    item.stash[_passed] = False  # a plugin may run a test again
    try:
        result = yield
    except BaseException:
        _add_sections(item, [*_problems(item, blocked), *_kept_recordings(item)])
        raise
    problems = _problems(item, blocked)
    if problems:
        _add_sections(item, _kept_recordings(item))
        pytest.fail("\n\n".join(text for _, text in problems), pytrace=False)
    item.stash[_passed] = True
    return result


def _add_sections(item: pytest.Item, sections: list[tuple[str, str]]) -> None:
    for title, text in sections:
        item.add_report_section("call", title, text)


def _kept_recordings(item: pytest.Item) -> list[tuple[str, str]]:
    """The lines about recordings that are not replaced because the test fails."""
    nothing: list[ReplayedCalls] = []
    return [
        (
            "poe_recording",
            f"{calls.path.name} was kept, since the test failed; what it recorded is in {beside.name} beside it",
        )
        for calls in item.stash.get(_recordings, nothing)
        if (beside := calls.path_if_failed) is not None
    ]


def _problems(item: pytest.Item, blocked: list[NetworkBlocked]) -> list[tuple[str, str]]:
    found = [("poe_no_network", str(each)) for each in blocked[:1]]
    nothing: list[ReplayedCalls] = []
    for calls in item.stash.get(_recordings, nothing):
        if failure := calls.failure():
            found.append(("poe_recording", failure))
    return found


def _block_reason(item: pytest.Item) -> str | None:
    """Why the network is blocked in a test; None if it is not. The closest marker counts.

    A test whose calls are being recorded needs the network.
    """
    if record_mode(item.config) != "none" and "poe_recording" in getattr(item, "fixturenames", ()):
        return None
    for marker in item.iter_markers():
        if marker.name == "poe_network":
            return None
        if marker.name == "poe_no_network":
            return "marker poe_no_network"
    return "ini option poe_no_network" if item.config.getini("poe_no_network") else None


def record_mode(config: pytest.Config) -> str:
    """The mode of recordings: of the command line, otherwise of the configuration."""
    return config.getoption("--poe-record") or config.getini("poe_record")


def _check_extra() -> None:
    """Raises ModuleNotFoundError when the extra is not installed, which says what to install."""
    import poeproto_pytest

    _ = poeproto_pytest.MemoryPoe
