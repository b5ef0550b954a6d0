"""From MIDI files and a SoundFont to a data set."""
