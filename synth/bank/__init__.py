"""Reading and checking a bank's folder, saving patches, and choosing a vocoder for a bank."""
