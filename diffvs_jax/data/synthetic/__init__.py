"""Procedural songs with stems: train and test a separator before any recording is at hand.

``song`` draws a song's frame and mixes its stems; ``singer`` draws voices and words that
``voice`` sings; ``drums`` and ``band`` play, the latter notes made by ``tones``; ``sound`` holds
what they share; ``corpus`` writes songs to disk.
"""

from diffvs_jax.data.synthetic.corpus import write_corpus
from diffvs_jax.data.synthetic.song import STEMS, render_song

__all__ = ["STEMS", "render_song", "write_corpus"]
