"""Where banks come from: MIDI and a SoundFont in, networks and patches out."""
