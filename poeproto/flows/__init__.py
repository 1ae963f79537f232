"""Calls of several steps, sans-IO: queries with retries, tool rounds, uploads, costs and the settings sync."""
