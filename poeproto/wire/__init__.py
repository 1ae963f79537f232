"""Bytes to values and back: server-sent events, JSON, and the codec with its fast paths."""
