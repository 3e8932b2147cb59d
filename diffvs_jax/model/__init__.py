"""The network (the only Flax in the house) and its weights."""
