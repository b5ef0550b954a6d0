"""How the instrument plays by hand: each section of the `play` benchmark, and what they share."""
