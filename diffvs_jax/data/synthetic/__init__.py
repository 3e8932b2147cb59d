"""Procedural songs with stems: train and test a separator before any recording is at hand.

``song`` mixes what is played within the ``frame`` that ``structure`` draws: ``vocals``, by singers (``singer``)
who sing a ``melody`` of ``phonemes`` with a ``voice``; ``drums`` on ``kits``; ``bass``; and a ``band`` of ``chords``
and ``leads``, whose notes ``tones`` makes or a ``soundfont`` plays, and whose entries ``arrangement`` decides.
``sound``, ``filters`` and ``effects`` are what they share; ``corpus`` writes songs to disk.
"""

from diffvs_jax.data.synthetic.corpus import write_corpus
from diffvs_jax.data.synthetic.song import STEMS, render_song

__all__ = ["STEMS", "render_song", "write_corpus"]
