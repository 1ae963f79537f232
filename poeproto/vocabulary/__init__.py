"""The values of the protocol, frozen: requests, messages, events, settings, tools, HTTP messages and errors.

From below: checks of fields and redaction of reprs; plain values; the errors, which carry some of those; values
whose constructors raise errors.
"""
