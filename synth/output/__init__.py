"""Where the sound goes: an audio device, the system's clock, a recording."""
