"""Real servers and players to measure with."""
