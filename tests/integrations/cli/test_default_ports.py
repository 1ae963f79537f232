"""The commands that listen do so at different ports by default, so that they can run side by side."""

from __future__ import annotations

from collections.abc import Iterator

import click

from poeproto_cli.commands import main


def default_ports(command: click.Command) -> Iterator[int]:
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from default_ports(child)
        return
    defaults = {parameter.name: str(parameter.default) for parameter in command.params}
    port = defaults.get("port") or defaults.get("bind", "").rpartition(":")[2]
    if port:
        yield int(port)


def test_each_command_listens_at_a_port_of_its_own() -> None:
    ports = sorted(default_ports(main))
    assert ports == [8080, 8081, 8082, 8083, 8084, 8085]
