"""Whether a data set can be trained on: every sample of every file is read once."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from diffvs_jax.audio import files
from diffvs_jax.audio.ogg import damaged_at
from diffvs_jax.data.datasets import Dataset
from diffvs_jax.data.levels import AUDIBLE_PEAK, CLIPPED_RUN
from diffvs_jax.data.listening import BLOCK_SECONDS, Source, listen
from diffvs_jax.data.processes import run_jobs
from diffvs_jax.data.tracks import SAME_LENGTH, CutOff, TooManyChannels, Track, UnequalLengths, read_header
from diffvs_jax.errors import InputError

BAD = ("unreadable", "truncated", "length", "nan", "channels")
"""Kinds of findings that training or evaluation stops at, or learns nonsense from."""
NOTES = ("rate", "mono", "clipped", "silent", "residual")
"""Kinds of findings that are worth knowing."""

# No separation scores above minus this against stems that miss the mixture by it. Separators score up
# to some 20 dB; what 16 bits round off stays below -60 dB.
RESIDUAL_LIMIT = -40.0
_SILENT_PEAK = 1e-4  # -80 dB of full scale
_MIXTURE = "mixture"


@dataclasses.dataclass(frozen=True)
class Finding:
    """What is remarkable about a track.

    Attributes:
      kind: one of ``BAD`` or ``NOTES``.
      message: one line: the file, the value, the limit.
      of_mixture: whether it is the mixture that is so, which scores are taken of and training never reads.
    """

    kind: str
    message: str
    of_mixture: bool = False

    @property
    def bad(self) -> bool:
        """Whether the track must not be trained on or scored."""
        return self.kind in BAD


@dataclasses.dataclass(frozen=True)
class TrackReport:
    """What was found in a track.

    Attributes:
      name: of the track; of its folder or file where it cannot be opened.
      opens: whether its headers are in order; training leaves out tracks whose headers are not.
      seconds: duration.
      heard: seconds in which a stem is over -60 dB, by stem.
      residual_db: energy of the mixture less the sum of the stems, relative to the mixture's; None
        without a mixture, or where it cannot be told since a file is damaged.
      findings: all there are; of a track that does not open, the first.
    """

    name: str
    opens: bool
    seconds: float
    heard: dict[str, float]
    residual_db: float | None
    findings: tuple[Finding, ...]

    @property
    def bad(self) -> bool:
        """Whether it must not be trained on or scored."""
        return any(finding.bad for finding in self.findings)

    @property
    def obstacle(self) -> Finding | None:
        """Why training leaves the track out; None where it does not."""
        return next((finding for finding in self.findings if finding.bad and not finding.of_mixture), None)


@dataclasses.dataclass(frozen=True)
class Form:
    """What training asks for: rate in Hz and number of channels, 1 or 2."""

    sample_rate: int = 44100
    num_channels: int = 2


def check_split(
    dataset: Dataset, split: str, form: Form, num_workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> list[TrackReport]:
    """Reports of all tracks of a split, in its order, whatever the number of workers.

    Args:
      dataset: what to read.
      split: of it.
      form: what training asks for.
      num_workers: processes, a track each at a time; 1 or less reads in this one.
      progress: called with (tracks done, tracks in all).

    Raises:
      InputError: no such split.
    """
    entries = dataset.entries(split)
    reports = []
    for report in run_jobs(check_entry, [(dataset, entry, form) for entry in entries], num_workers):
        reports.append(report)
        if progress:
            progress(len(reports), len(entries))
    return reports


def check_entry(dataset: Dataset, entry: Path, form: Form) -> TrackReport:
    """The report of what stands for a track in a data set; see ``check_track``."""
    try:
        return check_track(dataset.open(entry), form)
    except InputError as error:
        name = entry.relative_to(dataset.root).as_posix()
        return TrackReport(name, False, 0.0, {}, None, (_header_finding(error),))


def check_track(track: Track, form: Form) -> TrackReport:
    """The report of a track, whose files are read block by block.

    Args:
      track: to read.
      form: what training asks for.
    """
    sources = [Source(stem, path, files.info(path)) for stem, paths in track.stems.items() for path in paths]
    findings, mixture = _open_mixture(track)
    everything = [*sources, *([mixture] if mixture else [])]
    findings += _form_findings(everything, form)
    peaks, residual_db = listen(sources, mixture)
    for source in everything:
        findings += _sample_findings(source)
    for stem in track.stems:
        findings += _silence(stem, float(peaks[stem].max()), [source for source in sources if source.stem == stem])
    if residual_db is not None and residual_db > RESIDUAL_LIMIT:
        deviation = f"differs from the sum of the stems by {residual_db:.1f} dB (limit {RESIDUAL_LIMIT:g} dB)"
        findings.append(Finding("residual", f"{track.mixture}: {deviation}"))
    heard = {stem: min(float((peaks[stem] >= AUDIBLE_PEAK).sum()), track.seconds) for stem in track.stems}
    return TrackReport(track.name, True, track.seconds, heard, residual_db, tuple(findings))


def _open_mixture(track: Track) -> tuple[list[Finding], Source | None]:
    """The mixture where there is one that can be read, and what its header tells."""
    if track.mixture is None:
        return [], None
    try:
        mixture = Source(_MIXTURE, track.mixture, read_header(track.mixture))
    except InputError as error:
        return [dataclasses.replace(_header_finding(error), of_mixture=True)], None
    if track.whole and abs(mixture.seconds - track.seconds) > SAME_LENGTH:
        lasts = f"lasts {mixture.seconds:.2f} s and the stems {track.seconds:.2f} s (limit {SAME_LENGTH} s)"
        return [Finding("length", f"{track.mixture}: {lasts}; replace the file or remove it", True)], mixture
    return [], mixture


def _header_finding(error: InputError) -> Finding:
    kinds: dict[type, str] = {CutOff: "truncated", UnequalLengths: "length", TooManyChannels: "channels"}
    return Finding(kinds.get(type(error), "unreadable"), str(error))


def _form_findings(sources: Sequence[Source], form: Form) -> list[Finding]:
    """Files that are not of the wanted form; those alike share a finding."""
    found = []
    rates = Counter(source.header.sample_rate for source in sources)
    for rate in sorted(rates.keys() - {form.sample_rate}):
        names = _names([source for source in sources if source.header.sample_rate == rate])
        found.append(Finding("rate", f"{names}: {rate} Hz, wanted {form.sample_rate} Hz; training resamples"))
    if form.num_channels == 1:  # anything can be mixed down
        return found
    mono = [source for source in sources if source.header.num_channels == 1]
    if mono:
        told = f"{_names(mono)}: 1 channel, wanted {form.num_channels}; training duplicates it"
        found.append(Finding("mono", told))
    return found


def _sample_findings(source: Source) -> list[Finding]:
    """What is wrong with a file that has been read."""
    found, levels, rate = [], source.levels, source.header.sample_rate
    of_mixture = source.stem == _MIXTURE
    if (place := damaged_at(source.path)) is not None:
        found.append(
            Finding(
                "truncated", f"{source.path}: is damaged at {100 * place:.0f} % of the file; replace it", of_mixture
            )
        )
    elif source.incomplete:
        at = f"within {BLOCK_SECONDS} s after" if source.breaks_off else "at"
        ends = f"breaks off {at} {levels.num_samples / rate:.2f} s, its header says {source.seconds:.2f} s"
        found.append(Finding("truncated", f"{source.path}: {ends}; replace the file", of_mixture))
    if levels.num_bad:
        many = f"{levels.num_bad} samples are NaN or infinite, the first at {levels.first_bad / rate:.2f} s"
        found.append(Finding("nan", f"{source.path}: {many}; repair the file or remove the track", of_mixture))
    if levels.clipped_runs:
        share = 100 * levels.clipped_samples / (levels.num_samples * source.header.num_channels)
        runs = (
            f"{levels.clipped_runs} runs of {CLIPPED_RUN} or more samples at full scale, {share:.2g} % of its samples"
        )
        found.append(Finding("clipped", f"{source.path}: {runs}"))
    return found


def _silence(stem: str, peak: float, sources: Sequence[Source]) -> list[Finding]:
    if peak >= _SILENT_PEAK or any(source.incomplete or source.levels.num_bad for source in sources):
        return []
    level = f"{20 * math.log10(peak):.0f} dB" if peak else "zero"
    return [Finding("silent", f"{_names(sources)}: all of stem '{stem}' is silent, peak {level} (limit -80 dB)")]


def _names(sources: Sequence[Source]) -> str:
    """Files of one track, not too many of them."""
    names = [str(sources[0].path), *(source.path.name for source in sources[1:])]
    return ", ".join(names if len(names) <= 5 else [*names[:4], f"{len(names) - 4} more"])
