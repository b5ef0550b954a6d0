"""Who draws the WaveNet's samples: a readable reference, a CPU and a GPU."""
