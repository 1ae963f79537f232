"""Calls: drives the flows of the core over a transport."""
