"""A bank's folder, read and checked, and which vocoder it is played through."""
