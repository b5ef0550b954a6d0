"""Real servers and players that measurements are made with."""
