"""Piano-roll windows in, sound out: networks, vocoders, the mixer and the outputs."""
