"""How the WaveNet is trained."""
