"""How Mel2Mel is trained."""
