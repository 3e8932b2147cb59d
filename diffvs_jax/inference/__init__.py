"""Whole tracks through a trained model."""
