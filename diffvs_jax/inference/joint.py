"""Overlapping chunks solved jointly: one trajectory for a whole track.

Chunks that are solved one by one come to different answers where they overlap, and a cross-fade of
two answers is neither. Here their predictions are averaged at every evaluation of the network, as
MultiDiffusion does with pictures (Bar-Tal et al. 2023, eq. 5), so that overlapping chunks never part:
every solver ends with x = D, hence with the same spectrum where chunks overlap.
"""

import jax
import jax.numpy as jnp
import numpy as np

from diffvs_jax.audio.chunking import ChunkPlan, fade


def frame_weights(plan: ChunkPlan, hop_length: int) -> np.ndarray:
    """Weight of each frame of a chunk, float32 ``[T]``: the cross-fade's at the frame's centre; zero in the taper."""
    weights = np.pad(fade(plan), 1)
    return 0.5 * (weights[:-1] + weights[1:])[::hop_length]


def blend(
    denoised_KTFC: jax.Array,
    units_KC: jax.Array,
    before: jax.Array,
    weights: np.ndarray,
    step_frames: int,
) -> jax.Array:
    """Weighted mean of the predictions of all chunks that hold a frame, for every chunk in units of its own.

    Args:
      denoised_KTFC: what the network predicts for K chunks of one or several tracks.
      units_KC: how much one is in each chunk's channels (``representation.units``).
      before: int ``[K]``, which of them is the chunk before on the same track; -1 where there is none.
      weights: ``[T]`` (``frame_weights``).
      step_frames: between a chunk's start and the next one's.

    Returns:
      ``[K, T, F, C]``. A frame that nobody gives weight to stays as it is.
    """
    num_chunks, num_frames = denoised_KTFC.shape[:2]
    after = _inverse(before)
    total = denoised_KTFC * weights.reshape(1, -1, 1, 1)
    norm = jnp.broadcast_to(weights[None], (num_chunks, num_frames))
    for neighbour, sign in ((before, 1), (after, -1)):
        at = neighbour
        for shift in range(step_frames, num_frames, step_frames):
            theirs = slice(shift, None) if sign > 0 else slice(None, num_frames - shift)
            ours = (0, shift) if sign > 0 else (shift, 0)
            weight = jnp.where(at[:, None] >= 0, weights[None, theirs], 0.0)
            ratio = units_KC[at] / units_KC
            piece = denoised_KTFC[:, theirs][at] * ratio[:, None, None] * weight[:, :, None, None]
            total += jnp.pad(piece, ((0, 0), ours, (0, 0), (0, 0)))
            norm += jnp.pad(weight, ((0, 0), ours))
            at = jnp.where(at >= 0, neighbour[at], -1)
    known = norm[:, :, None, None] > 0
    return jnp.where(known, total / jnp.where(known, norm[:, :, None, None], 1.0), denoised_KTFC)


def _inverse(before: jax.Array) -> jax.Array:
    """Of each chunk the one after it, or -1."""
    numbers = jnp.arange(before.shape[0])
    follows = before[None, :] == numbers[:, None]
    return jnp.max(jnp.where(follows, numbers[None, :], -1), axis=1)
