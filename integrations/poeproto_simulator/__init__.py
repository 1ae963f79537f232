"""A simulator of Poe's servers, which is a real server itself: for tests of bots and clients, and to try bots out.

From the bottom up: `records` and `state` hold what the simulated Poe knows; `callers`, `ledger` and `engine` are its
rules, without I/O; `files`, `uploads`, `bot_directory`, `database` and `faults` do one kind of I/O each; `simulation`
joins them to what a user does; `control` and `request_handler` are the HTTP face; `simulator` is the ASGI application.
"""

from poeproto_simulator.engine import Poe
from poeproto_simulator.faults import Fault, Faults
from poeproto_simulator.records import Account, BotQuery, Charge, Conversation, LogEntry, RegisteredBot
from poeproto_simulator.reply import ReceivedFile, Reply
from poeproto_simulator.responses import HTTPError
from poeproto_simulator.scripted_bots import Canned, Echo, Scripted, ToolCaller
from poeproto_simulator.simulator import Simulator

__all__ = [
    "Account",
    "BotQuery",
    "Canned",
    "Charge",
    "Conversation",
    "Echo",
    "Fault",
    "Faults",
    "HTTPError",
    "LogEntry",
    "Poe",
    "ReceivedFile",
    "RegisteredBot",
    "Reply",
    "Scripted",
    "Simulator",
    "ToolCaller",
]
