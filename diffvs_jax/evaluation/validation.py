"""While training: what a model makes of music that it never trains on, in numbers, pictures and sound."""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from diffvs_jax.audio.representation import BandStats, SignalPath
from diffvs_jax.data.examples import evaluation_chunks
from diffvs_jax.data.source import open_tracks
from diffvs_jax.data.tracks import Track
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.clips import Clip
from diffvs_jax.evaluation.scoring import score
from diffvs_jax.evaluation.spectrogram import contact_sheet
from diffvs_jax.evaluation.summary import summarize
from diffvs_jax.inference.program import chunks_at_once, make_program
from diffvs_jax.inference.remainder import add_remainder, complete
from diffvs_jax.inference.separator import Stems, separation_plan
from diffvs_jax.metrics.track import track_usdr
from diffvs_jax.model.denoiser import Params

_SEED = 0  # of the noise that every validation starts from


class Validation(NamedTuple):
    """What one validation found."""

    csdr: float  # dB, of all steps, mean over targets: larger is better; NaN where no second could be scored
    scalars: dict[str, float]
    images: dict[str, np.ndarray]  # uint8 [height, width, 3]
    audio: dict[str, tuple[np.ndarray, int]]  # [samples, channels], and its rate in Hz


def validation_tracks(config: Any, workdir: str | os.PathLike, log: Callable[[str], None] = print) -> list[Track]:
    """Tracks of the split "valid" that can be scored: they hold all targets, and something else.

    Where there are none, ``log`` is told why, and what to do about it. Arguments as of ``open_tracks``.
    """
    try:
        tracks = open_tracks(config, "valid", workdir, log=log)
    except InputError as error:
        log(f"no validation while training: {error}; data.valid_tracks names tracks to hold out")
        return []
    targets = set(config.data.targets)
    whole = [track for track in tracks if targets <= set(track.stems) and len(track.stems) > 1]
    if not whole:
        log(f"no validation while training: no track of split 'valid' has {', '.join(targets)} and something else")
    return whole


class Validator:
    """Separates and scores the same chunks, from the same noise, whenever it is called.

    A track's chunks are joined in time and scored as one. cSDR is the median over the track's whole
    seconds (see ``metrics.sdr``), then over tracks; uSDR is one ratio per track, then their mean.
    A track whose chunks last less than a second together has no cSDR.

    All processes of a training run call it together, and all get the same.
    """

    def __init__(self, config: Any, tracks: Sequence[Track], mesh: Mesh):
        """Reads the chunks.

        Args:
          config: sections audio, edm, model, sampler, separation, validation and data.targets.
          tracks: such as ``validation_tracks`` finds; the first ``validation.num_tracks`` are taken.
          mesh: what the parameters lie on; chunks are split over all its devices.

        Raises:
          InputError: no tracks, or some that lack a target or cannot be read.
        """
        self._config, self._path = config, SignalPath.from_config(config)
        self._sigmas, _ = separation_plan(config)
        self._clips = _read_clips(config, tracks[: config.validation.num_tracks], self._path)
        per_track = config.validation.chunks_per_track
        self._chunks = [chunk for clip in self._clips for chunk in np.split(clip.mixture, per_track)]
        self._references_given = False

        self._split = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
        at_once = chunks_at_once(config, mesh.devices.flat[0].platform)
        self._batch_size = -(-at_once // mesh.size) * mesh.size
        program = make_program(config)

        whole = NamedSharding(mesh, PartitionSpec())

        def separate(params, stats, mixture, first_frames, sigmas):
            gathered = jax.lax.with_sharding_constraint(params, whole)  # or XLA may split activations as they are
            return program(gathered, stats, mixture, first_frames, sigmas, jax.random.key(_SEED))

        # Compiles once per number of steps: all that changes from one validation to the next is an argument.
        self._program = jax.jit(separate, out_shardings=whole)

    def __call__(self, params: Params, stats: BandStats) -> Validation:
        """Validates parameters, sharded over the mesh in any way.

        Returns:
          Scalars "validation/csdr" and "usdr" of all steps, "csdr_one_step" and "usdr_one_step",
          "usdr_mixture" of the mixture taken for the estimate, and the "seconds" that it all took.
          Of several targets these are the means, beside "validation/csdr/vocals" and so on.

          For every example "validation/example_0": a picture, with a row per target, of the mixture,
          both estimates and the truth, and the estimates' sound. The sound of mixture and truth,
          which stays the same, is in the first call's alone.
        """
        start = time.perf_counter()
        one_step = self._separate(params, stats, self._sigmas[[0, -1]])
        all_steps = self._separate(params, stats, self._sigmas)
        scalars = self._scalars(one_step, all_steps)
        images, audio = {}, {}
        for number in range(min(self._config.validation.num_examples, len(self._clips))):
            name = f"validation/example_{number}"
            images[name] = self._picture(number, one_step[number], all_steps[number])
            for part, sound in self._sounds(number, all_steps[number]).items():
                audio[f"{name}/{part}"] = (sound, self._path.sample_rate)
        self._references_given = True
        scalars["validation/seconds"] = time.perf_counter() - start
        return Validation(scalars["validation/csdr"], scalars, images, audio)

    def _separate(self, params: Params, stats: BandStats, sigmas: np.ndarray) -> list[Stems]:
        """Every clip's stems by name, named and completed as ``Separator`` does."""
        count, estimates = len(self._chunks), []
        for first in range(0, count, self._batch_size):
            numbers = np.arange(first, first + self._batch_size) % count  # the last batch is filled with the first
            mixture = self._over_devices(np.stack([self._chunks[number] for number in numbers]))
            first_frames = self._over_devices(numbers.astype(np.int32) * self._path.num_frames)  # each has own noise
            batch = self._program(params, stats, mixture, first_frames, sigmas.astype(np.float32))
            estimates.append(np.asarray(batch))
        joined = _join(np.concatenate(estimates)[:count], len(self._clips))
        return [
            complete(
                clip.mixture,
                dict(zip(self._config.data.targets, stems, strict=True)),
                self._config.separation.sum_to_mixture,
            )
            for clip, stems in zip(self._clips, joined, strict=True)
        ]

    def _over_devices(self, array: np.ndarray) -> jax.Array:
        """What every process has, split over the devices of all."""
        return jax.make_array_from_callback(array.shape, self._split, array.__getitem__)

    def _scalars(self, one_step: list[Stems], all_steps: list[Stems]) -> dict[str, float]:
        targets, scalars = self._config.data.targets, {}
        for kind, values in self._scores(one_step, all_steps).items():
            known = [value for value in values if not np.isnan(value)]
            scalars[f"validation/{kind}"] = float(np.mean(known)) if known else float("nan")
            if len(targets) > 1:
                names = [f"validation/{kind}/{target}" for target in targets]
                scalars.update(zip(names, values, strict=True))
        return scalars

    def _scores(self, one_step: list[Stems], all_steps: list[Stems]) -> dict[str, list[float]]:
        """Kind of score to its value for every target."""
        targets, scores = self._config.data.targets, {}
        for suffix, estimates in (("", all_steps), ("_one_step", one_step)):
            rows = [
                score(clip.name, clip.truth, stems, clip.sample_rate)
                for clip, stems in zip(self._clips, estimates, strict=True)
            ]
            summary = summarize(rows)
            scores[f"csdr{suffix}"] = [summary[f"csdr_{name}_median"] for name in targets]
            scores[f"usdr{suffix}"] = [summary[f"usdr_{name}_mean"] for name in targets]
        scores["usdr_mixture"] = [
            float(np.mean([track_usdr(clip.truth[name], clip.mixture, clip.sample_rate) for clip in self._clips]))
            for name in targets
        ]
        return scores

    def _picture(self, number: int, one_step: Stems, all_steps: Stems) -> np.ndarray:
        clip, part = self._clips[number], self._shown(number)
        titles = f"mixture: {clip.name}", "one step", f"{len(self._sigmas) - 1} steps", "truth"
        rows = []
        for name in self._config.data.targets:
            panels = clip.mixture, one_step[name], all_steps[name], clip.truth[name]
            named = [titles[0], *(f"{title}: {name}" for title in titles[1:])]
            rows.append({title: _finite(panel[part]) for title, panel in zip(named, panels, strict=True)})
        return contact_sheet(rows, clip.sample_rate)

    def _sounds(self, number: int, all_steps: Stems) -> dict[str, np.ndarray]:
        clip, part = self._clips[number], self._shown(number)
        sounds = {name: all_steps[name][part] for name in self._config.data.targets}
        if not self._references_given:
            sounds["mixture"] = clip.mixture[part]
            sounds.update({f"{name}_truth": clip.truth[name][part] for name in self._config.data.targets})
        return sounds

    def _shown(self, number: int) -> slice:
        """The chunk of a clip whose targets are loudest: something to hear."""
        clip, length = self._clips[number], self._path.chunk_samples
        power = sum(np.square(clip.truth[name]).sum(axis=1) for name in self._config.data.targets)
        loudest = int(np.argmax(power.reshape(-1, length).sum(axis=1)))
        return slice(loudest * length, (loudest + 1) * length)


def _read_clips(config: Any, tracks: Sequence[Track], path: SignalPath) -> list[Clip]:
    """Of every track its chunks, joined."""
    chunks_KSNA = evaluation_chunks(
        tracks,
        config.data.targets,
        chunk_samples=path.chunk_samples,
        sample_rate=path.sample_rate,
        num_channels=path.num_channels,
        per_track=config.validation.chunks_per_track,
    )
    clips = []
    for track, rows in zip(tracks, _join(chunks_KSNA, len(tracks)), strict=True):
        mixture = rows.sum(axis=0)
        truth = add_remainder(mixture, dict(zip(config.data.targets, rows, strict=False)))
        clips.append(Clip(track.name, mixture, truth, path.sample_rate))
    return clips


def _join(chunks_KSNA: np.ndarray, num_tracks: int) -> np.ndarray:
    """Chunks track by track to ``[num_tracks, S, samples, channels]``, one after the other in time."""
    _, stems, samples, channels = chunks_KSNA.shape
    by_track = np.moveaxis(chunks_KSNA.reshape(num_tracks, -1, stems, samples, channels), 2, 1)
    return by_track.reshape(num_tracks, stems, -1, channels)


def _finite(audio: np.ndarray) -> np.ndarray:
    """Silence for what is not finite: a model that has gone astray is told by its scores, not by its picture."""
    return np.where(np.isfinite(audio), audio, 0)
