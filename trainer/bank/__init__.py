"""From trained weights to a bank."""
