"""Which sampler, noise levels and number of steps score best: one table and one plot."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from diffvs_jax.diffusion.samplers import num_evaluations, sigma_grid
from diffvs_jax.evaluation.clips import Clip
from diffvs_jax.evaluation.scoring import score
from diffvs_jax.evaluation.summary import summarize, write_table
from diffvs_jax.inference.separator import Separator
from diffvs_jax.model.weights import Model

Row = dict[str, Any]


class Grid(NamedTuple):
    """What a sweep varies; every combination is scored."""

    samplers: Sequence[str]
    num_steps: Sequence[int]
    sigma_max: Sequence[float]
    rho: Sequence[float]
    s_churn: float = 10.0  # of stochastic_heun, which is Heun without it


class Setting(NamedTuple):
    """One point of a ``Grid``."""

    sampler: str
    num_steps: int
    sigma_max: float
    rho: float


def settings(grid: Grid) -> list[Setting]:
    """All combinations, those that compile alike in a row. One step has no use for rho: it is tried once."""
    points = itertools.product(grid.samplers, grid.num_steps, grid.sigma_max, grid.rho)
    return [Setting(*point) for point in points if point[1] > 1 or point[3] == grid.rho[0]]


def sweep(
    model: Model, clips: Sequence[Clip], grid: Grid, folder: Path, seed: int = 0, log: Callable[[str], None] = print
) -> list[Row]:
    """Scores every setting on every clip.

    Programs compile once per sampler and number of steps: sigma_max and rho are arguments of theirs.
    ``folder/sweep.csv`` and ``folder/sweep.png`` are written anew after every setting.

    Args:
      model: the trained model; its config's ``sampler.sigma_min`` and all else stay as they are.
      clips: the validation set, decoded.
      grid: what to vary.
      folder: to write to.
      seed: of the noise.
      log: is told every setting's score.

    Returns:
      One row per setting: sampler, num_steps, sigma_max, rho, evaluations, and the summary of
      ``scoring.summarize`` for the model's targets.

    Raises:
      InputError: a sampler or noise levels that do not exist.
    """
    sigma_min = model.config.sampler.sigma_min
    points = settings(grid)
    grids = [sigma_grid(point.num_steps, sigma_min, point.sigma_max, point.rho) for point in points]
    main = _main_column(model.config.data.targets)
    rows: list[Row] = []
    separators = {name: _separator(model, name, grid.s_churn, seed) for name in grid.samplers}
    for point, sigmas in zip(points, grids, strict=True):
        separator = separators[point.sampler]
        scores = list(_scores(separator, clips, sigmas))
        evaluations = num_evaluations(point.sampler, point.num_steps) * model.config.sampler.num_samples
        rows.append({**point._asdict(), "evaluations": evaluations, **summarize(scores)})
        write_table(folder / "sweep.csv", rows)
        save_plot(folder / "sweep.png", rows, main)
        log(f"{len(rows)}/{len(points)}  {_name(point)}  {evaluations} evaluations  {main} {rows[-1][main]:.2f} dB")
    compiled = sum(separator.num_compiled for separator in separators.values())
    log(f"{len(points)} settings took {compiled} compiled programs")
    return rows


def best(rows: Sequence[Row], column: str) -> Row:
    """The row that scores highest; rows without a score lose."""
    return max(rows, key=lambda row: -np.inf if np.isnan(row[column]) else row[column])


def save_plot(path: Path, rows: Sequence[Row], column: str) -> None:
    """Score against network evaluations: a line through each sampler's best, a dot for every setting."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import, and only pictures need it
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)  # no display is needed
    axes = figure.subplots()
    for index, sampler in enumerate(dict.fromkeys(row["sampler"] for row in rows)):
        own = [row for row in rows if row["sampler"] == sampler]
        counts = sorted({row["evaluations"] for row in own})
        tops = [best([row for row in own if row["evaluations"] == count], column) for count in counts]
        axes.plot([row["evaluations"] for row in own], [row[column] for row in own], ".", color=f"C{index}", alpha=0.3)
        axes.plot(counts, [row[column] for row in tops], "o-", color=f"C{index}", label=sampler)
    axes.set_xlabel("network evaluations per chunk")
    axes.set_ylabel(f"{column}, dB")
    axes.grid(alpha=0.3)
    axes.legend(title="best of each; dots: all")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _separator(model: Model, sampler: str, s_churn: float, seed: int) -> Separator:
    config = model.config.copy_and_resolve_references()
    config.sampler.name = sampler
    config.sampler.s_churn = s_churn if sampler == "stochastic_heun" else 0.0
    return Separator.from_model(model._replace(config=config), seed=seed)


def _scores(separator: Separator, clips: Sequence[Clip], sigmas: np.ndarray) -> Iterator[Row]:
    for clip in clips:
        estimates = separator(clip.mixture, clip.sample_rate, sigmas=sigmas)
        yield score(clip.name, clip.truth, estimates, clip.sample_rate)


def _main_column(targets: Sequence[str]) -> str:
    return f"csdr_{targets[0]}_median"


def _name(point: Setting) -> str:
    return f"{point.sampler}  {point.num_steps} steps  sigma_max {point.sigma_max:g}  rho {point.rho:g}"
