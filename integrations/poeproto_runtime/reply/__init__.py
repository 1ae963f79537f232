"""Answers: runs a bot for one query, and writes its events."""
