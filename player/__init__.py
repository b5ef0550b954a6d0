"""The instrument as a whole: live, and rendering to a file. Knows every hall."""
