"""OSC packets, the server that hears them, and what each address does."""
