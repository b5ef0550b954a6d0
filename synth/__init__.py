"""What the ear gets: piano-roll windows in, sound out."""
