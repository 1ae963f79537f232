"""Changes the functions of the core in small ways, one at a time, and prints the changes that no test notices.

mutmut makes the changes and runs the tests. It does so for one module after the other, with no more than the tests that
are the module's own: with all of the core's, a change that none notices would take half a minute. `make mutants` runs
this and `tables`, which changes what stands in no function.
"""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORK = ROOT / "mutants"
MUTMUT = Path(sys.executable).with_name("mutmut")

# The modules that hold the protocol's rules, and the tests that each has besides `test_<module>*`.
MODULES = {
    "_states": ["bot_exchange_order", "poe_exchange_order"],
    "sse": ["vectors_sse"],
    "events": ["codec_events", "text_runs"],
    "surrogates": [],
    "_mirrors": ["codec_ways"],
    "_text_runs": [],
    "codec": ["vectors_replies", "vectors_requests", "vectors_values"],
    "reply": [],
    "bot_exchange": ["vectors_http"],
    "poe_exchange": ["text_runs", "vectors_http", "vectors_replies"],
    "flows": ["query_flows"],
    "query_flows": [],
}

# Tests that never end have noticed; these are seconds beyond, and times as long as, what they take.
PATIENCE = {"timeout_constant": "5", "timeout_multiplier": "1.5"}


def prepare(module: str) -> Path:
    """A directory in which mutmut finds that module to change and those tests to run."""
    place = WORK / module
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name in ("poeproto", "tests", "pyproject.toml"):
        (place / name).symlink_to(ROOT / name)
    stems = [module.removeprefix("_"), *MODULES.get(module, [])]
    tests = {path.relative_to(ROOT) for stem in stems for path in ROOT.glob(f"tests/core/test_{stem}*.py")}
    settings = configparser.ConfigParser()
    settings["mutmut"] = {
        "source_paths": "\npoeproto",
        "only_mutate": f"\npoeproto/{module}.py",
        "pytest_add_cli_args_test_selection": "\n".join(["", *map(str, sorted(tests))]),
        "pytest_add_cli_args": "\n-p\nno:cacheprovider\n--hypothesis-seed=0",
        # A process in which the tests ran before has what they left in caches, and the change would not be seen.
        "process_isolation": "forkserver",
        **PATIENCE,
    }
    with (place / "setup.cfg").open("w") as file:
        settings.write(file)
    return place


def mutmut(place: Path, *arguments: str) -> str:
    # Every second change would be tried with ten thousand cuts.
    environment = {**os.environ, "RANDOM_CUTS": "0"}
    done = subprocess.run([MUTMUT, *arguments], cwd=place, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{place.name}: mutmut {arguments[0]} failed\n{done.stdout[-2000:]}\n{done.stderr}")
    return done.stdout


def change_of(place: Path, name: str) -> tuple[str, str]:
    """The lines that a change took away, and those that it put there."""
    lines = [line for line in mutmut(place, "show", name).splitlines() if not line.startswith(("---", "+++"))]
    removed, added = ("\n".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return removed, added


def is_wording(removed: str, added: str) -> bool:
    """Whether nothing but the wording of a message has changed, or the letter case of a name that has none."""
    return removed.casefold() == added.replace("XX", "").casefold()


def try_module(module: str) -> None:
    start = time.monotonic()
    place = prepare(module)
    mutmut(place, "run")
    outcomes = dict(line.strip().rsplit(": ", 1) for line in mutmut(place, "results", "--all", "true").splitlines())
    survivors = [name for name, outcome in outcomes.items() if outcome not in ("killed", "timeout")]
    changes = [change_of(place, name) for name in survivors]
    shown = [change for change in changes if not is_wording(*change)]
    for removed, added in shown:
        print(f"survived  {removed}\n          {added}")
    print(
        f"{module}: {len(outcomes)} changes, {len(outcomes) - len(survivors)} noticed,"
        f" {len(survivors) - len(shown)} of wording, {len(shown)} survived, in {time.monotonic() - start:.0f} s",
        flush=True,
    )


def main(modules: list[str]) -> None:
    for module in modules or MODULES:
        try_module(module)


if __name__ == "__main__":
    main(sys.argv[1:])
