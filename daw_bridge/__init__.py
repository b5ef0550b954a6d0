"""What the DAW says: MIDI, OSC and files in, timed events and piano-roll windows out."""
