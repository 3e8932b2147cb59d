"""Which stems of a track are scored together."""

from collections.abc import Mapping

import numpy as np

VOCALS = "vocals"
INSTRUMENTAL = "instrumental"  # mixture minus vocals, whatever else is a target


def scored_together(references: Mapping[str, np.ndarray]) -> list[list[str]]:
    """Groups of stems whose silences drop a second from all their scores, as museval's do.

    One target goes with the rest of its mixture. Of several, the vocals go with the instrumental,
    and then all targets together, whose score for the vocals is the one that counts. A target
    that is silent in the whole track would drop every second of it: it has no score, and is left
    out of the group.
    """
    if len(references) <= 2:
        return [list(references)]
    overlapping = [[VOCALS, INSTRUMENTAL]] if INSTRUMENTAL in references else []
    heard = [stem for stem, audio in references.items() if stem != INSTRUMENTAL and np.any(audio)]
    return [*overlapping, *([heard] if heard else [])]
