"""Separate, score and show: what the train and evaluate commands share."""
