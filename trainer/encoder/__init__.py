"""From a few seconds of sound to a point of a bank's timbre space."""
