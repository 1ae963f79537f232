"""The values of the protocol, frozen: requests, messages, events, settings, tools, HTTP messages and errors.

From below: how fields are checked and what reprs hide; plain values; the errors, which carry some of those; values
whose constructors raise errors.
"""
