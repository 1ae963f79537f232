"""The fixtures under each plugin that runs asynchronous tests, and under none, each in a process of its own."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import pytest

from poeproto import Bot, Done, SettingsResponse
from poeproto_pytest import assert_calls, assert_events, assert_text
from poeproto_simulator import Canned


class Asking(Bot):
    async def get_settings(self, request, context):
        return SettingsResponse(server_bot_dependencies={{"Cat": 1}})

    async def get_response(self, request, context):
        yield "The cat says " + await context.final_text("Cat", request)


{mark}
async def test_in_memory(poe_bot):
    reply = await poe_bot(Asking(), bots={{"Cat": Canned("meow")}}).say("hello")
    assert_text(reply, "The cat says meow")
    assert_calls(reply, ["Cat"])
    assert_events(reply, ["The cat says meow", Done()])


{mark}
async def test_on_sockets(poe_bot, poe_simulator):
    bot = poe_bot(Asking(), bots={{"Cat": Canned("meow")}})
    async with bot.serving(), poe_simulator.serving():
        assert_text(await bot.say("hello"), "The cat says meow")


{mark}
async def test_replayed(poe_recording):
    with pytest.raises(FileNotFoundError, match="--poe-record=new"):
        poe_recording("missing.jsonl")


def test_synchronous(poe_bot):
    assert poe_bot(Asking()).name == "Asking"
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("needed", "mark", "ini", "passed"),
    [
        ("pytest_asyncio", "@pytest.mark.asyncio", "asyncio_mode = strict", 4),
        ("pytest_asyncio", "", "asyncio_mode = auto", 4),
        ("pytest_trio", "@pytest.mark.trio", "", 4),
        ("pytest_trio", "", "trio_mode = true", 4),
        ("anyio", "@pytest.mark.anyio", "", 7),  # on asyncio and on trio
    ],
    ids=["asyncio-strict", "asyncio-auto", "trio", "trio-mode", "anyio"],
)
def test_a_plugin_that_runs_asynchronous_tests(
    pytester: pytest.Pytester, needed: str, mark: str, ini: str, passed: int
) -> None:
    pytest.importorskip(needed)
    pytester.makepyfile(TESTS.format(mark=mark))
    scope = "asyncio_default_fixture_loop_scope = function" if needed == "pytest_asyncio" else ""
    pytester.makeini(f"[pytest]\nfilterwarnings = error\n{scope}\n{ini}\n")
    unused = [
        option
        for name, other in (("pytest_asyncio", "asyncio"), ("pytest_trio", "trio"))
        if name != needed
        for option in ("-p", f"no:{other}")
    ]
    pytester.runpytest_subprocess("-p", "no:cacheprovider", *unused).assert_outcomes(passed=passed)


CHEAP = """
import subprocess
import sys

def test_nothing_is_imported():
    loaded = {name.partition(".")[0] for name in sys.modules}
    assert not loaded & {"poeproto", "poeproto_runtime", "poeproto_simulator", "h11", "hypercorn", "msgspec", "cattrs"}
    assert [name for name in sys.modules if name.startswith("poeproto_pytest.")] == ["poeproto_pytest.plugin"]
"""


def test_a_suite_that_does_not_use_it_imports_the_plugin_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CHEAP)
    options = ("-p", "no:asyncio", "-p", "no:trio", "-p", "no:cacheprovider")
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=1)


PARTS = """
import sys

import pytest

sys.modules["hypercorn"] = None

@pytest.mark.poe_no_network
def test_the_block_needs_nothing_else():
    pass

def test_a_fixture_says_what_to_install(poe_bot):
    pass
"""


def test_a_missing_extra_is_named_by_the_fixture_that_needs_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PARTS)
    result = pytester.runpytest_subprocess("-p", "no:asyncio", "-p", "no:trio", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*poeproto_pytest needs hypercorn, which is not installed: pip install 'poeproto?pytest?'"]
    )
