"""The train state, its step, and where it is kept."""
