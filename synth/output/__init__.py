"""Outputs: an audio device, a clock in place of one, a recording."""
