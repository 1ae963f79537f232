"""`poeproto bench`: latency, throughput and goodput of a bot.

The command (`command`) makes a `Plan`. The generator (`generator`) sends queries as the plan says, and adds up the
replies in a `Measurement`. The measurement is printed (`text`), and exported (`export`, `page`). `merge` joins the
measurements of several processes.
"""

from __future__ import annotations

from poeproto_cli.bench.command import bench

__all__ = ["bench"]
