"""Scores from waveforms. Knows no model."""
