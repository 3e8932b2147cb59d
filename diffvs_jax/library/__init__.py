"""Many songs: which they are, whose they are among processes, and which are done. Knows no model."""
