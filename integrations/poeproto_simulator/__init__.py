"""A stand-in for Poe's servers that is a server itself: for tests of bots and clients, and for trying bots out."""

from poeproto_simulator.app import Simulator
from poeproto_simulator.conversing import ReceivedFile, Reply
from poeproto_simulator.engine import Poe
from poeproto_simulator.faults import Fault, Faults
from poeproto_simulator.records import Account, BotQuery, Charge, Conversation, LogEntry, RegisteredBot
from poeproto_simulator.refusals import Refused
from poeproto_simulator.scripted import Canned, Echo, Scripted, ToolCaller

__all__ = [
    "Account",
    "BotQuery",
    "Canned",
    "Charge",
    "Conversation",
    "Echo",
    "Fault",
    "Faults",
    "LogEntry",
    "Poe",
    "ReceivedFile",
    "RegisteredBot",
    "Refused",
    "Reply",
    "Scripted",
    "Simulator",
    "ToolCaller",
]
