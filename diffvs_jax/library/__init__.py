"""Many songs: which they are, whose they are among processes, which are done; and their separation."""
