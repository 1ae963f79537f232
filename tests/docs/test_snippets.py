"""Every piece of Python in the documentation is executed: by the test of its page, or here."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import anyio
import pytest

from poeproto import Bot, Error
from poeproto_simulator import Simulator

CHECKOUT = Path(__file__).parents[2]
# The tests that execute the snippets of a page.
EXECUTED_BY = {
    "README.md": "test_readme.py",
    "docs/embedded_server.md": "test_snippets.py",
    "docs/howto/asgi_servers.md": "test_deploy_pages.py",
    "docs/howto/embed.md": "test_snippets.py",
    "docs/howto/load_test.md": "test_load_pages.py",
    "docs/howto/many_streams.md": "test_deploy_pages.py",
    "docs/howto/openai_clients.md": "test_openai_page.py",
    "docs/howto/openai_models.md": "test_openai_page.py",
    "docs/howto/native_names.md": "test_migrating_page.py",
    "docs/howto/observe.md": "test_observability.py",
    "docs/load.md": "test_load_pages.py",
    "docs/recordings.md": "test_recordings_page.py",
    "docs/runtime.md": "test_snippets.py",
    "docs/simulator.md": "test_simulator_page.py",
    "docs/testing.md": "test_testing_page.py",
    "docs/tutorial.md": "test_tutorial.py",
}
BLOCK = re.compile(r"(<!-- program: .*? -->\n)?^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(name: str) -> list[str]:
    """The Python of a page, without the programs that are files."""
    page = (CHECKOUT / name).read_text(encoding="utf-8")
    return [block for program, block in BLOCK.findall(page) if not program]


def test_each_page_with_python_has_a_test_that_executes_it() -> None:
    pages = ["README.md", *(str(page.relative_to(CHECKOUT)) for page in CHECKOUT.glob("docs/**/*.md"))]
    pages = [name for name in pages if "docs/reference/" not in name]
    assert {name for name in pages if blocks(name)} == set(EXECUTED_BY)
    for module in EXECUTED_BY.values():
        assert (Path(__file__).parent / module).exists()


def test_each_program_of_a_page_has_a_test() -> None:
    """A program that is a file is executed by a test that names it, or its folder."""
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    for page in CHECKOUT.glob("docs/howto/*.md"):
        for program in re.findall(r"<!-- program: ([\w/.]+) -->", page.read_text(encoding="utf-8")):
            folder, _, name = program.rpartition("/")
            named = folder or f"{name}.py"
            assert f'"{folder or name}"' in tests or named in tests, f"{program} of {page.name} has no test"


def test_the_programs_of_the_page_about_embedding(capsys: pytest.CaptureFixture[str]) -> None:
    core, mounted = blocks("docs/howto/embed.md")
    exec(compile(core, "embed.md", "exec"), {"__name__": "__main__"})
    shown = capsys.readouterr().out
    assert "send this head at once: ResponseHead(status=200" in shown
    assert r"event: text\ndata: {\"text\":\"HI\"}" in shown.replace('"', r"\"")
    exec(compile(mounted, "embed.md", "exec"), {"__name__": "__main__"})


def test_the_call_of_the_embedded_server() -> None:
    block, _ = blocks("docs/embedded_server.md")
    block = block.replace("0.0.0.0:8080", "127.0.0.1:0").replace("…", "k" * 32)
    scope: dict[str, Any] = {"bot": Bot()}
    exec(f"async def main():\n{textwrap.indent(block, '    ')}", scope)

    async def served_for_a_moment() -> None:
        with anyio.move_on_after(0.05):
            await scope["main"]()
            pytest.fail("the server has ended by itself")

    anyio.run(served_for_a_moment)


def test_the_bot_whose_own_task_fails() -> None:
    [block] = blocks("docs/runtime.md")

    async def work() -> None:
        raise ValueError

    scope: dict[str, Any] = {"anyio": anyio, "work": work}
    exec(f"async def get_response(self, request, context):\n{textwrap.indent(block, '    ')}", scope)
    bot = type("FailingBot", (Bot,), {"get_response": scope["get_response"]})()

    async def said() -> list[object]:
        async with Simulator() as simulator:
            simulator.register("Failing", bot)
            return list((await simulator.say("Failing", "hello")).events)

    assert any(isinstance(event, Error) for event in anyio.run(said))
