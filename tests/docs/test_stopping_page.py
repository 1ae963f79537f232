"""Servers stop as docs/explanation/stopping.md says, on the Python that runs this test."""

from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ..support.stopping_servers import H11, RUN, SECONDS, UVICORN, UVICORN_SERVER, WAITING_SECONDS, Outcome, stopping

DOCS = Path(__file__).parents[2] / "docs"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
HYPERCORN = "hypercorn bots:app --bind fd://{fd} --graceful-timeout 1 --worker-class "
# The hosts of the table: a program and its arguments, or a command.
HOSTS = {
    "`poeproto serve`, asyncio": (RUN, "asyncio"),
    "`poeproto serve`, uvloop": (RUN, "uvloop"),
    "`poeproto serve`, trio": (RUN, "trio"),
    "embedded server, asyncio": (H11, "asyncio"),
    "embedded server, trio": (H11, "trio"),
    "`hypercorn`, asyncio": (HYPERCORN + "asyncio",),
    "`hypercorn`, uvloop": (HYPERCORN + "uvloop",),
    "`hypercorn`, trio": (HYPERCORN + "trio",),
    "Uvicorn": (UVICORN, "0"),
    "Uvicorn with a timeout": (UVICORN, "1"),
    "Uvicorn with `stop_streams` and a timeout": ("", ""),
}


@pytest.fixture(scope="module")
def page() -> str:
    return (DOCS / "explanation/stopping.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows(page: str) -> list[list[str]]:
    """The rows of the page's table, the titles first."""
    [text] = re.findall(r"^\| host \|.*\n(?:\|.*\n)+", page, re.MULTILINE)
    return [line.strip("| ").split(" | ") for line in text.splitlines()]


@pytest.fixture(scope="module")
def table(rows: list[list[str]]) -> dict[str, Outcome]:
    """The outcomes that the page has for this Python, by host."""
    columns = [column.rpartition(" ")[2] for column in rows[0]]
    open_reply = columns.index(PYTHON)
    unread = columns.index(PYTHON, open_reply + 1)
    return {row[0]: Outcome(row[open_reply], row[unread]) for row in rows[2:]}


@pytest.fixture(scope="module")
def hosts() -> dict[str, tuple[str, ...]]:
    """The hosts, with the program of the page about other ASGI servers."""
    page = (DOCS / "howto/asgi_servers.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    [server] = [block for block in blocks if "uvicorn.Server" in block]
    return {**HOSTS, "Uvicorn with `stop_streams` and a timeout": (server + UVICORN_SERVER, "")}


@pytest.fixture(scope="module")
def observed(
    hosts: dict[str, tuple[str, ...]], table: dict[str, Outcome], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Outcome]:
    """The observed behaviour of the hosts. They mostly wait, so they do it at once."""
    folder = tmp_path_factory.mktemp("stopping")

    def observe(number: int, name: str) -> Outcome:
        with stopping(folder / str(number), *hosts[name]) as server:
            server.leave_unread()
            return server.stop(WAITING_SECONDS if table[name].unread == "waited for" else SECONDS)

    with ThreadPoolExecutor(len(hosts)) as threads:
        outcomes = threads.map(observe, range(len(hosts)), hosts)
        return dict(zip(hosts, outcomes, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("host", HOSTS)
def test_a_server_stops_as_the_page_says(host: str, table: dict[str, Outcome], observed: dict[str, Outcome]) -> None:
    assert observed[host] == table[host]


@pytest.mark.slow
def test_servers_behave_on_a_hangup_as_the_page_says(
    hosts: dict[str, tuple[str, ...]], rows: list[list[str]], tmp_path: Path
) -> None:
    assert rows[0][-1] == "SIGHUP"

    def observe(number: int, name: str) -> str:
        with stopping(tmp_path / str(number), *hosts[name]) as server:
            return server.hang_up()

    with ThreadPoolExecutor(len(hosts)) as threads:
        outcomes = threads.map(observe, range(len(hosts)), hosts)
        assert dict(zip(hosts, outcomes, strict=True)) == {row[0]: row[-1] for row in rows[2:]}


def test_the_page_has_a_row_for_each_host(table: dict[str, Outcome]) -> None:
    assert set(table) == set(HOSTS)
