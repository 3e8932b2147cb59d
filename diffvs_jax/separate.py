"""Separates songs: ``python -m diffvs_jax.separate SONG... --checkpoint=DIR --output=DIR``.

A SONG is a file, a folder with all its subfolders, a pattern such as 'music/**/*.mp3', or "-" for
standard input. Writes ``OUTPUT/SONG/vocals.wav`` and ``instrumental.wav`` (or what else the
model's targets are) at the song's rate, channels and exact length, in the order and folders of the
input. Songs that are done are passed over, one that fails leaves the others alone; the exit code
is 1 if any did.
"""

import dataclasses
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import jax
from absl import flags

from diffvs_jax import __version__, cli
from diffvs_jax.audio import files
from diffvs_jax.audio.encoding import FORMATS
from diffvs_jax.audio.reading import STANDARD_INPUT
from diffvs_jax.audio.representation import BandStats
from diffvs_jax.audio.writing import STANDARD_OUTPUT
from diffvs_jax.compilation import use_cache
from diffvs_jax.diffusion.samplers import SAMPLERS
from diffvs_jax.errors import InputError
from diffvs_jax.inference.remainder import stem_names
from diffvs_jax.inference.separator import Separator
from diffvs_jax.library import separating
from diffvs_jax.library.inputs import Song, find_songs
from diffvs_jax.library.separating import DONE, FAILED, SKIPPED, Options, Outcome
from diffvs_jax.library.share import index_and_count, my_share
from diffvs_jax.model import weights
from diffvs_jax.training.processes import finish_processes, start_processes

_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", None, "A training run's workdir, an export, or a model's name.", required=True
)
_OUTPUT = flags.DEFINE_string("output", "separated", "Folder to write to; '-' writes one stem to standard output.")
_STEMS = flags.DEFINE_list("stems", [], "Which to write, such as vocals or instrumental; all by default.")
_FORMAT = flags.DEFINE_enum("format", "wav32f", list(FORMATS), "Of the stems' files.")
_NORMALIZE = flags.DEFINE_bool("normalize", False, "Scale a song's stems together so that the loudest just fits.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Separate also what is done.")
_JSON = flags.DEFINE_string("json", None, "File for a report of every song; '-' is standard output.")
_SHARE = flags.DEFINE_string("share", None, "Only a part of the songs: 1/4 is the first of four.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the noise that sampling starts from.")
_STEPS = flags.DEFINE_integer("steps", None, "Sampling steps; the model's own by default.", lower_bound=1)
_SAMPLER = flags.DEFINE_enum("sampler", None, list(SAMPLERS), "Another sampler than the model's own.")
_OVERLAP = flags.DEFINE_float("overlap", None, "Share of a chunk that the next one overlaps, 0 to below 1.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", None, "Chunks at once on a device; 0 chooses.", lower_bound=0)
_DEVICE = flags.DEFINE_enum("device", None, ["cpu", "gpu", "tpu"], "The best there is by default.")
_PRECISION = flags.DEFINE_enum("precision", None, ["float32", "bfloat16"], "What the network computes in.")
_SET = flags.DEFINE_multi_string("set", [], "Any other setting than the model's own: --set=sampler.sigma_max=20.")


def main(arguments: list[str]) -> None:
    """Finds the songs, loads the model, separates."""
    if STANDARD_OUTPUT in (_OUTPUT.value, _JSON.value):
        cli.messages_to(sys.stderr)
    songs = _songs(arguments)
    if _DEVICE.value:
        cli.use_device(_DEVICE.value)
    start_processes(cli.say)
    songs = my_share(songs, *_share())
    cli.announce_device()
    if jax.process_count() > 1:
        finish_processes()  # they have nothing more to tell each other, and need not end together
    model = weights.load(_CHECKPOINT.value)
    _change_settings(model.config)
    separator = Separator(model.params, BandStats(**model.stats), model.config, seed=_SEED.value, log=cli.say)
    options = _options(model)
    use_cache(separator.config.compilation_cache)
    cli.say(f"separation program compiled in {separator.compile()}")
    outcomes, started = [], time.perf_counter()
    try:
        with cli.seconds_of_audio(_total_seconds(songs)) as advance:
            for outcome in separating.separate_songs(separator, songs, options, advance):
                outcomes.append(outcome)
                _tell(outcome, options)
    finally:
        if _JSON.value:
            _write_report(_JSON.value, outcomes, options, time.perf_counter() - started)
    _summarize(outcomes, time.perf_counter() - started)
    if any(outcome.status == FAILED for outcome in outcomes):
        sys.exit(1)


def _songs(arguments: list[str]) -> list[Song]:
    if not arguments:
        raise InputError("no songs given; usage: python -m diffvs_jax.separate SONG... --checkpoint=DIR --output=DIR")
    if _OUTPUT.value == STANDARD_OUTPUT:
        songs = find_songs(arguments)
        if len(songs) != 1 or _JSON.value == STANDARD_OUTPUT:
            raise InputError(f"--output=-: standard output takes one stem of one song, not of {len(songs)}")
        return songs
    return find_songs(arguments, exclude=cli.output_folder("output", _OUTPUT.value))


def _share() -> tuple[int, int]:
    """Which part of the songs is this process's: a flag's or a job array's, or one for each of JAX's processes."""
    if _SHARE.value is None and jax.process_count() > 1:
        return jax.process_index(), jax.process_count()
    return index_and_count(os.environ, _SHARE.value)


def _change_settings(config: Any) -> None:
    """The flags that are settings of the model, then ``--set``."""
    if _OVERLAP.value is not None:
        if not 0 <= _OVERLAP.value < 1:
            raise InputError(f"--overlap={_OVERLAP.value}: give a share of a chunk from 0 to below 1")
        whole = config.audio.num_frames - 1 - 2 * config.separation.taper_frames
        config.separation.step_frames = max(1, min(whole, round(config.audio.num_frames * (1 - _OVERLAP.value))))
    for section, key, flag in (
        ("sampler", "num_steps", _STEPS),
        ("sampler", "name", _SAMPLER),
        ("separation", "batch_size", _BATCH_SIZE),
        ("model", "dtype", _PRECISION),
    ):
        if flag.value is not None:
            config[section][key] = flag.value
    cli.change_settings(config, _SET.value)


def _options(model: weights.Model) -> Options:
    config = model.config.to_dict()
    names = stem_names(config["data"]["targets"])
    for name in _STEMS.value:
        if name not in names:
            raise InputError(f"--stems={','.join(_STEMS.value)}: this model gives {', '.join(names)}")
    stems = tuple(name for name in names if name in _STEMS.value) or names
    settings = {section: config[section] for section in ("audio", "edm", "model", "sampler", "separation")}
    settings |= {"seed": _SEED.value, "stems": stems, "format": _FORMAT.value, "normalize": _NORMALIZE.value}
    return Options(
        _OUTPUT.value, stems, _FORMAT.value, _NORMALIZE.value, _OVERWRITE.value, settings, weights.fingerprint(model)
    )


def _total_seconds(songs: list[Song]) -> float | None:
    """Of what the headers say; None where standard input is among the songs."""
    total = 0.0
    for song in songs:
        if str(song.path) == STANDARD_INPUT:
            return None
        try:
            header = files.info(song.path)
        except InputError:  # it is told of when its turn comes
            continue
        total += header.num_samples / header.sample_rate
    return total


def _tell(outcome: Outcome, options: Options) -> None:
    """One line of what became of a song, and one of every file that was clipped."""
    folder = separating.folder_of(outcome.song, options)
    if outcome.status == FAILED:
        cli.say(f"failed: {outcome.error}")
        return
    if outcome.status == SKIPPED:
        cli.say(f"{folder}: done before; --overwrite separates it again")
        return
    names = ", ".join(Path(file.path).name for file in outcome.written)
    speed = f"{outcome.seconds:.1f} s of audio in {outcome.took:.1f} s"
    gain = f", scaled by {outcome.gain:.4g}" if options.normalize else ""
    cli.say(f"{folder}: {names} ({speed}{gain})")
    for file in outcome.written:
        if file.num_clipped:
            cli.say(
                f"{file.path}: clipped {file.num_clipped} samples, by up to {file.peak_db:.2f} dB; "
                "--normalize or --format=wav32f keeps them"
            )


def _summarize(outcomes: list[Outcome], seconds: float) -> None:
    by_status = {status: [outcome for outcome in outcomes if outcome.status == status] for status in (DONE, SKIPPED)}
    failed = [outcome for outcome in outcomes if outcome.status == FAILED]
    audio = sum(outcome.seconds for outcome in by_status[DONE])
    speed = f", {audio / 60:.1f} minutes of audio, real-time factor {seconds / audio:.3f}" if audio else ""
    cli.say(
        f"{len(by_status[DONE])} separated, {len(by_status[SKIPPED])} done before, {len(failed)} failed "
        f"in {seconds:.1f} s{speed}"
    )
    for outcome in failed:
        print(f"error: {outcome.error}", file=sys.stderr)


def _write_report(path: str, outcomes: list[Outcome], options: Options, seconds: float) -> None:
    def of_song(outcome: Outcome) -> dict[str, Any]:
        fields = dataclasses.asdict(outcome)
        fields["song"] = {"path": str(outcome.song.path), "folder": separating.folder_of(outcome.song, options)}
        fields["written"] = [{**dataclasses.asdict(file), "path": str(file.path)} for file in outcome.written]
        return fields

    audio = sum(outcome.seconds for outcome in outcomes if outcome.status == DONE)
    report = {
        "version": __version__,
        "model": options.model,
        "settings": options.settings,
        "device": f"{jax.local_device_count()} x {jax.local_devices()[0].device_kind}",
        "seconds": seconds,
        "seconds_of_audio": audio,
        "real_time_factor": seconds / audio if audio else None,
        "songs": [of_song(outcome) for outcome in outcomes],
    }
    text = json.dumps(report, indent=2) + "\n"
    if path == STANDARD_OUTPUT:
        sys.stdout.write(text)
    else:
        cli.write_whole(path, text)


if __name__ == "__main__":
    cli.run(main)
