"""MIDI ports, files and messages."""
