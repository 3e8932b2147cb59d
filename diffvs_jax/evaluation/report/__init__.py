"""Scores as one HTML page that opens from disk: numbers, plots, and what the scored seconds sound like."""
