"""Soak runs: servers and clients under faults and load, with bounds for each finding: `make soak`."""
