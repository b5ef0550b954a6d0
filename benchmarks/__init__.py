"""What melstream claims, measured: each benchmark is one command that prints a table."""
