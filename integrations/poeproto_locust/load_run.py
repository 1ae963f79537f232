"""One load test: it tallies the replies, merges the tallies of workers, prints them, and decides on the exit status.

Locust is the engine. It starts the users, distributes them, and transports the data that we attach to its reports:

- Each worker attaches its tally since the last report (`report_to_master`), and the master merges it (`worker_report`).
- When a test ends, Locust's master asks its workers to quit, and waits half a second for their last reports. With
  ``--stop-timeout``, users finish their replies in that time and longer, so that these replies would be missing from
  every statistic. So the master first has its workers stop their users and report, by the messages `poe_stop` and
  `poe_stopped`, and waits for that.
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any, cast
from weakref import WeakKeyDictionary

import gevent
import locust
from locust.env import Environment
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner, WorkerRunner

from poeproto_load import Histogram, ReplySample
from poeproto_locust.failures import ReplyFailed
from poeproto_locust.locust_types import CustomMessages, LocustEvents, events_of
from poeproto_locust.options import LoadOptions, add_options, options_of
from poeproto_locust.summary import summary_lines
from poeproto_locust.tally import LoadTally
from poeproto_locust.worker_load import LoadMeter, WorkerLoad

__all__ = ["LoadRun", "load_run_of"]

logger = logging.getLogger("poeproto")
# Locust prints its own tables with this logger, so --logfile and --loglevel apply to both.
_console = logging.getLogger("locust.stats_logger")

_STOP = "poe_stop"
_STOPPED = "poe_stopped"
# The key of our part in a worker's report.
_REPORT = "poe"
# Seconds that a worker may take to report after the users' own timeout.
_REPORT_TIMEOUT = 10.0


class LoadRun:
    """The tally of a Locust environment, and its reports. `load_run_of` returns it.

    Attributes:
        tally: the counts: in a worker since its last report, elsewhere since the start of the test.
        workers: how busy the processes with users were, by their names.
    """

    def __init__(self, environment: Environment) -> None:
        self.workers: dict[str, WorkerLoad] = {}
        self._environment = environment
        self.tally = LoadTally.empty(self.options.slo)
        self._users = 0
        self._stopped: set[str] = set()
        self._meter = LoadMeter()
        events = events_of(environment)
        events.test_start.add_listener(self._start)
        events.reset_stats.add_listener(self._reset)
        events.spawning_complete.add_listener(self._end_warm_up)
        events.report_to_master.add_listener(self._report)
        events.worker_report.add_listener(self._merge)
        events.test_stopping.add_listener(self._stop_workers)
        events.quitting.add_listener(self._decide)
        events.quit.add_listener(self._print)
        messages = cast("CustomMessages", environment.runner)
        if isinstance(environment.runner, WorkerRunner):
            messages.register_message(_STOP, self._stop_users, concurrent=True)
        elif isinstance(environment.runner, MasterRunner):
            messages.register_message(_STOPPED, self._note_stopped)

    @property
    def options(self) -> LoadOptions:
        """The options of the load, as the command line or Locust's page has set them."""
        # Read each time: a worker receives its master's options with the first users.
        return options_of(self._environment)

    def count(
        self,
        sample: ReplySample,
        gaps: list[float],
        started_at: float,
        *,
        failure: ReplyFailed | None = None,
        is_cut: bool = False,
    ) -> None:
        """Count a reply that has ended.

        Args:
            sample: the reply.
            gaps: all times between two arrivals of its events, in seconds.
            started_at: when the query was sent, in Unix time.
            failure: why it failed, if it did.
            is_cut: whether it was cut because Locust stopped its user.
        """
        self.tally.add(sample, gaps, started_at)
        if failure is not None:
            self.tally.failures[failure.kind] += 1
        self.tally.cut += is_cut

    # --- what Locust calls

    def _start(self, **_: object) -> None:
        self._reset()
        if not isinstance(self._environment.runner, MasterRunner):
            self._meter.start()

    def _reset(self, **_: object) -> None:
        self.tally = LoadTally.empty(self.options.slo)
        self.workers.clear()
        self._meter.reset()

    def _end_warm_up(self, **_: object) -> None:
        if self._environment.reset_stats:
            self._reset()

    def _report(self, data: dict[str, Any], **_: object) -> None:
        data[_REPORT] = {"tally": self.tally.as_json(), "worker": self._meter.read().as_json()}
        self.tally = LoadTally.empty(self.options.slo)

    def _merge(self, client_id: str, data: dict[str, Any], **_: object) -> None:
        report = data.get(_REPORT)
        if report is not None:  # else a worker whose locustfile has no PoeUser
            self.tally.merge(LoadTally.from_json(report["tally"]))
            self.workers[client_id] = WorkerLoad.from_json(report["worker"])

    def _stop_workers(self, **_: object) -> None:
        """On the master, before Locust has its workers quit."""
        runner = self._environment.runner
        self._users = 0 if runner is None else runner.target_user_count
        if not isinstance(runner, MasterRunner):
            if not isinstance(runner, WorkerRunner):
                self.workers["local"] = self._meter.read()
            self._meter.stop()
            return
        self._stopped.clear()
        runner.send_message(_STOP)
        end = time.monotonic() + (self._environment.stop_timeout or 0) + _REPORT_TIMEOUT
        while missing := self._active(runner) - self._stopped:
            if time.monotonic() > end:
                logger.error("workers that have not reported their last replies: %s", ", ".join(sorted(missing)))
                return
            gevent.sleep(0.05)

    def _active(self, runner: MasterRunner) -> set[str]:
        return {client.id for client in [*runner.clients.running, *runner.clients.spawning]}

    def _note_stopped(self, msg: Any, **_: object) -> None:
        self._stopped.add(msg.node_id)

    def _stop_users(self, **_: object) -> None:
        """On a worker, by order of the master."""
        environment, runner = self._environment, self._environment.runner
        assert isinstance(runner, WorkerRunner)
        runner.stop()
        data: dict[str, Any] = {}
        events_of(environment).report_to_master.fire(client_id=runner.client_id, data=data)
        runner.send_message("stats", data)
        runner.send_message(_STOPPED)

    def _decide(self, **_: object) -> None:
        """Set the exit status, and write the file. Not on a worker."""
        environment, runner = self._environment, self._environment.runner
        if runner is None or isinstance(runner, WorkerRunner):
            return
        if runner.state in (STATE_RUNNING, STATE_SPAWNING):  # interrupted by Ctrl-C
            runner.quit()
        result = self.tally.result
        if result.slo is not None and environment.process_exit_code is None:
            if not result.is_reached:
                environment.process_exit_code = 1
            elif not runner.exceptions:
                environment.process_exit_code = 0
        if (path := self.options.json_path) is not None:
            with open(path, "w", encoding="utf-8") as file:
                json.dump(self.as_json(), file)

    def _print(self, **_: object) -> None:
        if not isinstance(self._environment.runner, WorkerRunner):
            for line in summary_lines(self.tally, list(self.workers.values())):
                _console.info("%s", line)

    def as_json(self) -> dict[str, Any]:
        """The tally and the workers as a JSON object, which `poeproto bench merge` reads as one of its own."""
        tally = self.tally.as_json()
        histograms = {**tally.pop("histograms"), "delays": Histogram().as_json()}
        busy = max((worker.cpu_share for worker in self.workers.values()), default=0.0)
        return {
            "connections": self._users,
            "rate": None,
            "arrivals": None,
            "processes": max(1, len(self.workers)),
            **tally,
            "generator": {"busy": busy, "waited": 0, "delays": None, "ceiling": None},
            "problems": {},
            "warnings": [],
            "stopped": None,
            "interrupted": False,
            "histograms": histograms,
            "workers": [worker.as_json() for worker in self.workers.values()],
        }


_RUNS: WeakKeyDictionary[Environment, LoadRun] = WeakKeyDictionary()


def load_run_of(environment: Environment) -> LoadRun:
    """The run of an environment, which begins with the first call. Call it once the environment has its runner."""
    run = _RUNS.get(environment)
    if run is None:
        run = _RUNS[environment] = LoadRun(environment)
    return run


def _begin(environment: Environment, **_: object) -> None:
    load_run_of(environment)


# The events of the `locust` command. An environment of one's own has others, and its first `PoeUser` begins the run.
_command = cast("LocustEvents", locust.events)
_command.init_command_line_parser.add_listener(add_options)
_command.init.add_listener(_begin)
