"""Piano-roll windows in, sound out: networks, vocoders, the mixer and the outputs."""

from common.caches import provide_caches

# Before a function is compiled, whoever asks for it.
provide_caches()
