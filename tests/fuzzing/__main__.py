"""Runs the fuzzing targets and reports how many inputs each was given: `make fuzz`.

Inputs come from atheris, which is guided by coverage, if it is installed, and otherwise from a seeded mutator. Requests
to whole servers always come from the mutator. Inputs that reached new code are kept in `.fuzzing/`, and so are those
that failed.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from random import Random

import anyio

from tests.fuzzing import inputs, serving
from tests.fuzzing.inputs import Mutator
from tests.fuzzing.targets import TARGETS

WORK = Path(".fuzzing")
SERVERS = {"app": serving.run_app, "server": serving.run_server}
SERVER_RUNS = 100_000  # half of them on asyncio, half on trio
GUIDED_SHARE = 10  # one input in this many
_EXECUTED = re.compile(r"stat::number_of_executed_units: (\d+)")
_COVERED = re.compile(r" cov: (\d+) ")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    names = [*TARGETS, *SERVERS]
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(names)}; by default all")
    parser.add_argument("--runs", type=int, help="inputs for each target, instead of its default")
    parser.add_argument("--seconds", type=int, help="stop each target after this time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many targets run at a time")
    parser.add_argument("--seeded", action="store_true", help="do not use atheris")
    parser.add_argument("--file", type=Path, help="run a target with this input only")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in this process
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - set(names):
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    chosen: list[str] = arguments.targets or names
    if arguments.here or arguments.file:
        for name in chosen:
            print(_run_here(name, arguments))
        return
    guided = find_spec("atheris") is not None and not arguments.seeded
    print("Inputs are guided by atheris." if guided else "Inputs come from the seeded mutator alone.")
    with ThreadPoolExecutor(arguments.jobs) as pool:
        # The longest first, so that no processor is idle at the end.
        outcomes = [pool.submit(_run_apart, name, arguments, guided and name in TARGETS) for name in chosen]
        failed = [outcome for outcome in outcomes if not outcome.result()]
    if failed:
        sys.exit(f"{len(failed)} of {len(chosen)} targets failed")


def _run_apart(name: str, arguments: argparse.Namespace, guided: bool) -> bool:
    """Run a target in its own processes; return whether no input failed."""
    seconds: int | None = arguments.seconds
    options = ["--seed", str(arguments.seed)]
    commands: list[list[str]] = []
    runs = _runs(name, arguments)
    if guided:
        # A guided run takes many times as long. The inputs that it finds are then mutated at full speed.
        seconds = seconds and math.ceil(seconds / 2)
        commands.append(_guided(name, runs // GUIDED_SHARE, arguments.seed, seconds))
        runs -= runs // GUIDED_SHARE
    options += ["--runs", str(runs)] + (["--seconds", str(seconds)] if seconds else [])
    commands.append([sys.executable, "-m", "tests.fuzzing", name, "--here", *options])
    start, outputs = time.perf_counter(), list[str]()
    for command in commands:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            # A traceback ends with the input, in which a byte may take four characters.
            print(f"{name}: FAILED\n{done.stdout[-5 * inputs.LARGEST :]}", flush=True)
            return False
        outputs.append(done.stdout)
    said = outputs.pop().strip()
    for output in outputs:
        executed, covered = _EXECUTED.findall(output), _COVERED.findall(output)
        said += f"; before, {int(executed[0]):,} guided ones, which reached {covered[-1]} branches"
    print(f"{said}; {time.perf_counter() - start:.0f} s", flush=True)
    return True


def _runs(name: str, arguments: argparse.Namespace) -> int:
    return arguments.runs or (TARGETS[name].runs if name in TARGETS else SERVER_RUNS)


def _guided(name: str, runs: int, seed: int, seconds: int | None) -> list[str]:
    """The command of a guided run, whose corpus is the seeds and the kept inputs."""
    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate([*TARGETS[name].seeds(), *inputs.kept(name)]):
        (folder / f"seed-{number}").write_bytes(data)
    return [
        *(sys.executable, "-m", "tests.fuzzing.guided", name, str(folder), f"-runs={runs}", f"-seed={seed}"),
        *(f"-max_total_time={seconds or 0}", f"-max_len={inputs.LARGEST}", "-timeout=20", "-rss_limit_mb=1024"),
        *(f"-artifact_prefix={WORK}/{name}-", "-print_final_stats=1"),
    ]


def _run_here(name: str, arguments: argparse.Namespace) -> str:
    """Run a target in this process, and return a summary."""
    seeds = TARGETS[name].seeds() if name in TARGETS else inputs.requests()
    found = [path.read_bytes() for path in sorted((WORK / name).glob("*"))]
    mutator = Mutator([*seeds, *inputs.kept(name), *found], Random(arguments.seed))
    runs, seconds, file = _runs(name, arguments), arguments.seconds, arguments.file
    if name in TARGETS:
        made = iter([file.read_bytes()]) if file else islice(_until(seconds, mutator), runs)
        return f"{name}: {TARGETS[name].feed(made):,} inputs"
    answers = Counter[int | None]()
    for backend in ("asyncio", "trio"):
        made = iter([file.read_bytes()]) if file else islice(_until(seconds and seconds / 2, mutator), runs // 2)
        answers += anyio.run(SERVERS[name], made, backend=backend)
    counts = ", ".join(f"{number:,} {status or 'without'}" for status, number in sorted(answers.items(), key=str))
    return f"{name}: {answers.total():,} requests on asyncio and trio, no error in the log; answers: {counts}"


def _until(seconds: float | None, mutator: Mutator) -> Iterator[bytes]:
    end = math.inf if seconds is None else time.monotonic() + seconds
    while time.monotonic() < end:
        yield mutator.make()


if __name__ == "__main__":
    main()
