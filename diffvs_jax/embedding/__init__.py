"""Embeddings of music: how near an estimate comes to its reference for something that listens."""
