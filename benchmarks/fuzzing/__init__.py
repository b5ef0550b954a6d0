"""Input that nobody means: what reads it must say so in one line, and never do anything else."""
