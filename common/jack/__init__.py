"""JACK, on Linux and macOS: one client for sound and MIDI, with a compiled callback."""

from common.caches import provide_caches

# Before a function is compiled, whoever asks for it.
provide_caches()
