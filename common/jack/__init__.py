"""JACK, on Linux and macOS: one client for sound and MIDI, with a compiled callback."""
