"""What the DAW says: MIDI, OSC and files in, stamped events and piano-roll windows out."""
