"""What becomes of servers and clients under faults and floods, in figures: `make soak`."""
