"""Every benchmark runs, once and small, and its figures appear in the document; no figure is checked."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import frames, measure
from benchmarks.__main__ import SUITES
from benchmarks.checking import Expected
from benchmarks.document import FRONT, HEADLINE, faster_rows, filled, front_rows, headline_rows
from benchmarks.measure import Figure
from benchmarks.plots import amount
from benchmarks.processes import serving
from benchmarks.record import Case, Goal, Record, Table, goal_rows, read_record
from poeproto_cli.load import LoadConnection

SECONDS = 900  # for a run that hangs
SVG = "{http://www.w3.org/2000/svg}"


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("figures")


def run(checkout: Path, module: str, *arguments: object) -> str:
    """The output of a module of the benchmarks."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def output(checkout: Path, folder: Path) -> str:
    """The output of one run of all suites."""
    return run(checkout, "benchmarks", "--smallest", "--json", folder / "kept/figures.json")


@pytest.fixture(scope="module")
def record(output: str, folder: Path) -> Record:
    return read_record(folder / "kept/figures.json")


# --- a whole run


@pytest.mark.parametrize("suite", SUITES)
def test_every_suite_yields_figures(suite: str, record: Record, output: str) -> None:
    tables = [table for table in record.tables if table.suite == suite]
    assert tables
    for table in tables:
        assert f"\n{table.title}\n" in output
        assert table.cases
        for case in table.cases:
            assert case.median >= 0
            assert case.spread is None  # of a single round
            assert f"  {case.name} " in output


def test_every_goal_has_a_row_in_the_summary(record: Record, output: str) -> None:
    works = {goal.work for goal in record.goals}
    assert works >= {
        "client, lone event, CPU",
        "relay, lone event, CPU",
        "relay, burst",
        "server burst, c=1",
        "server burst, c=2",
        "client, a conversation of 1 message",
        "client, a conversation of 2 messages",
        "paced, server CPU an event",
        "time to the first event, c=1",
        "memory of a silent stream",
        "cost of an event in a long reply against a short one",
    }
    summary = [re.split(r"\s{2,}", line.strip()) for line in output.partition("\nSummary (")[2].splitlines()[1:]]
    assert summary[0] == ["work", "reference", "reached", "wanted", "reached?"]
    assert summary[1:] == [list(row) for row in goal_rows(record.goals)]


def test_the_load_generator_shows_its_limits(record: Record) -> None:
    notes = [note.text for note in record.notes if note.suite == "burst"]
    assert sum("x those of the fastest server" in note for note in notes) == 2
    assert sum("The load generator is busy for at most" in note for note in notes) == 1


def test_the_record_says_where_it_was_made(record: Record) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", record.made)
    assert "Python" in record.machine
    assert record.packages["fastapi_poe"] == "0.0.83"
    assert list(record.seconds) == list(SUITES)


def test_an_unknown_suite(checkout: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nonsense"], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "there is no suite nonsense; there are lone, " in done.stderr


# --- the page


@pytest.fixture(scope="module")
def page(checkout: Path, folder: Path, record: Record) -> Path:
    """A copy of docs/performance.md, filled with new measurements, and its plots beside it."""
    page = folder / "performance.md"
    page.write_text((checkout / "docs/performance.md").read_text())
    (folder / "README.md").write_text((checkout / "README.md").read_text())
    pages = ("--page", page, "--readme", folder / "README.md")
    assert run(checkout, "benchmarks.document", folder / "kept/figures.json", *pages) == ""
    return page


def test_the_page_has_a_place_for_every_figure(page: Path, record: Record) -> None:
    text = page.read_text()
    assert "Not measured yet" not in text
    for suite in SUITES:
        assert f"](performance/{suite}.svg)" in text
    for table in record.tables:
        assert f"| {table.title} | {table.unit} |" in text
        assert all(f"| {case.name} | " in text for case in table.cases)
    for cost in record.costs:
        assert f"| {cost.what} | {amount(cost.amount)} {cost.unit} |" in text
    for row in goal_rows(record.goals):
        assert f"| {' | '.join(row)} |" in text
    for suite in SUITES:
        assert f"Measured by `.venv/bin/python -m benchmarks {suite}`, in {record.seconds[suite]:.0f} s." in text
    for note in record.notes:
        assert note.text in text
    assert filled(text, record, "performance") == text


def test_the_headline_is_in_the_page(page: Path, record: Record) -> None:
    rows = headline_rows(record.goals)
    assert [row[0] for row in rows] == list(HEADLINE.values())
    assert all(f"| {' | '.join(row)} |" in page.read_text() for row in rows)


def test_the_front_page_has_its_three_figures(page: Path, record: Record) -> None:
    rows = front_rows(record.tables)
    assert [row[0] for row in rows] == [words for _, words, _ in FRONT]
    for row in rows:
        assert f"| {' | '.join(row)} |" in page.with_name("README.md").read_text()


def test_a_figure_of_the_front_page_is_that_of_most_streams() -> None:
    def table(streams: int, ours: float, theirs: float | None) -> Table:
        cases = [Case("poeproto on Hypercorn, asyncio", ours, 0)]
        cases += [] if theirs is None else [Case("fastapi_poe on uvicorn", theirs, 0)]
        return Table(f"relay: {streams} streams, CPU an event", "µs", 1e6, None, cases, "relay")

    assert front_rows([table(16, 50e-6, 200e-6), table(32, 40e-6, 200e-6), table(100, 30e-6, None)]) == [
        ("a relay passes such an event on", "40.0 µs", "200 µs", "5.0 x", "`python -m benchmarks relay`"),
    ]


def test_the_headline_says_how_many_times_as_much() -> None:
    goals = [
        Goal("relay, lone event, CPU", "ours", "bare", 2.0, "at most", 1.5),
        Goal("relay, lone event, CPU", "ours", "fastapi_poe on uvicorn", 0.4, "at most", 0.28),
        Goal("relay, burst", "ours", "fastapi_poe on uvicorn", 30.0, "at least", 25),
    ]
    assert headline_rows(goals) == [
        ("a relay passes such an event on", "ours", "2.5 x as much"),
        ("a relay passes a burst on", "ours", "30.0 x as much"),
    ]


def test_the_page_names_what_others_do_faster() -> None:
    def table(title: str, **medians: float) -> Table:
        cases = [Case(name.replace("__", ": ").replace("_on_", " on "), median, 0) for name, median in medians.items()]
        return Table(title, "µs", 1e6, None, cases, "visits")

    tables = [
        table("a", aiohttp=3e-6, fastapi_poe_on_uvicorn=9e-6, poeproto_h11=4e-6, poeproto_on_uvloop=1e-6, bare=1e-6),
        table("b", aiohttp=3e-6, poeproto_h11=2e-6),
        table("c", aiohttp=3e-6),
        table("d", LF__aiohttp=3e-6, LF__PoeExchange=4e-6, CR__aiohttp=3e-6, CR__PoeExchange=2e-6),
    ]
    assert faster_rows(tables) == [
        ("a", "aiohttp", "3.00 µs", "poeproto_h11", "4.00 µs"),
        ("d: LF", "aiohttp", "3.00 µs", "PoeExchange", "4.00 µs"),
    ]


def test_the_page_names_the_goals_that_are_missed() -> None:
    def page(*goals: Goal) -> str:
        text = "<!-- figures: missed -->\n<!-- end of figures -->"
        return filled(text, Record(goals=list(goals)), "performance")

    reached, missed = (
        Goal("work", "ours", "theirs", 3.0, "at least", 2),
        Goal("work", "ours", "theirs", 3.0, "at least", 4),
    )
    assert "| work: ours | theirs | 3.00 x | at least 4 x |" in page(reached, missed)
    assert "at least 2 x" not in page(reached, missed)
    assert page(reached) == "<!-- figures: missed -->\nNone.\n<!-- end of figures -->"


def test_frames_are_compared(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "RECORD", Record())
    with measure.once():
        frames.main(100)
    assert "a DATA frame of HTTP/2: h2" in capsys.readouterr().out


def test_the_plots_show_every_case(page: Path, record: Record) -> None:
    for suite in SUITES:
        plot = ElementTree.parse(page.with_suffix("") / f"{suite}.svg")
        texts = [text.text for text in plot.iter(f"{SVG}text")]
        for table in record.tables:
            if table.suite == suite:
                assert table.title in texts
                assert all(case.name in texts for case in table.cases)
        assert any(text and text.startswith(f"{record.made}, {record.machine}") for text in texts)


def test_the_page_holds_the_measured_figures_only(checkout: Path) -> None:
    """Figures are put there by `make plots`."""
    text = (checkout / "docs/performance.md").read_text()
    figures = checkout / "docs/performance/figures.json"
    kept = read_record(figures) if figures.exists() else Record()
    assert filled(text, kept, "performance") == text
    readme = (checkout / "README.md").read_text()
    assert filled(readme, kept, "performance") == readme
    for suite in kept.seconds:
        assert (checkout / f"docs/performance/{suite}.svg").exists()


# --- measuring


def test_cases_alternate() -> None:
    order: list[str] = []

    def case(name: str, seconds: float) -> float:
        order.append(name)
        return seconds

    cases = {"a": lambda: case("a", 1.0 + len(order)), "b": lambda: case("b", 2.0)}
    figures = measure.in_turn(cases, 3)
    assert order == list("ab" * 4)  # with the warm-up
    assert [(figure.name, figure.seconds) for figure in figures] == [("a", 5.0), ("b", 2.0)]
    assert figures[1].spread == 0
    assert figures[0].spread
    assert figures[0].spread > 0
    order.clear()
    measure.in_turn(cases, 3, warm_up=False)
    assert order == list("ab" * 3)
    order.clear()
    with measure.once():
        measure.in_turn(cases, 3)
        assert measure.repeated(lambda: order.append("c"), 100)() >= 0
    assert order == ["a", "b", "c"]


def test_goals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "RECORD", Record())
    ours, theirs, bare = Figure("ours", 2.0, 0.1), Figure("theirs", 10.0, 0.1), Figure("bare", 1.0, 0.1)
    measure.goal("work", ours, theirs, at_least=5)
    measure.goal("work", ours, theirs, at_least=6)
    measure.goal("work", ours, bare, at_most=2)
    measure.goal("work", ours, bare, at_most=1.5)
    assert goal_rows(measure.RECORD.goals) == [
        ("work: ours", "theirs", "5.00 x", "at least 5 x", "yes"),
        ("work: ours", "theirs", "5.00 x", "at least 6 x", "no"),
        ("work: ours", "bare", "2.00 x", "at most 2 x", "yes"),
        ("work: ours", "bare", "2.00 x", "at most 1.5 x", "no"),
    ]
    for senses in ({}, {"at_least": 1.0, "at_most": 1.0}):
        with pytest.raises(ValueError, match="either at_least or at_most"):
            measure.goal("work", ours, bare, **senses)


def test_a_server_that_sends_something_else_is_not_measured() -> None:
    with serving("sockets sockets") as server:
        expected = Expected("bare", server, "burst 3", 3)
        other = Expected("bare", server, "burst 2", 2)
        with pytest.raises(SystemExit, match="does not send the events it should"):
            Expected("bare", server, "burst 3", 2)
        with closing(LoadConnection(other.query, SECONDS)) as connection:
            reply = connection.exchange()
        other.confirm(reply)
        with pytest.raises(SystemExit, match="the same reply each time"):
            expected.confirm(reply)
