import csv

import numpy as np
import pytest
from matplotlib import image

from diffvs_jax.audio.representation import BandStats
from diffvs_jax.data.datasets import open_split
from diffvs_jax.diffusion.samplers import sigma_grid
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation import sweep as sweep_module
from diffvs_jax.evaluation.clips import load_clip
from diffvs_jax.evaluation.scoring import score
from diffvs_jax.evaluation.sweep import Grid, Setting, best, settings, sweep
from diffvs_jax.inference.separator import Separator
from diffvs_jax.model import weights

GRID = Grid(("heun", "dpmpp_2m"), (1, 3), (3.0, 10.0), (3.0, 7.0))


@pytest.fixture(scope="module")
def swept(trained, musdb_folder, tmp_path_factory):
    model = weights.load(trained.workdir)
    clips = [load_clip(track, ("vocals",)) for track in open_split(musdb_folder, "test")]
    folder, log = tmp_path_factory.mktemp("sweep") / "new", []
    return model, clips, sweep(model, clips, GRID, folder, log=log.append), folder, log


def test_every_combination_once_and_one_step_once_per_sigma_max():
    points = settings(GRID)
    assert len(points) == len(set(points)) == 2 * (2 + 4)
    assert Setting("heun", 1, 10.0, 3.0) in points and Setting("heun", 1, 10.0, 7.0) not in points
    assert Setting("dpmpp_2m", 3, 10.0, 7.0) in points


def test_a_program_compiles_once_per_sampler_and_number_of_steps(swept):
    assert swept[4][-1] == "12 settings took 4 compiled programs"


def test_a_row_is_what_the_separator_scores_there(swept):
    model, clips, rows, _, _ = swept
    (row,) = [r for r in rows if r["sampler"] == "heun" and r["num_steps"] == 3 and r["sigma_max"] == r["rho"] + 7]
    assert row["evaluations"] == 5
    separator = Separator(model.params, BandStats(**model.stats), model.config)
    grid = sigma_grid(3, model.config.sampler.sigma_min, 10.0, 3.0)
    scores = []
    for clip in clips:
        estimates = separator(clip.mixture, clip.sample_rate, sigmas=grid)
        scores.append(score(clip.name, clip.truth, estimates, clip.sample_rate))
    assert row["csdr_vocals_median"] == pytest.approx(np.median([s["csdr_vocals"] for s in scores]), abs=1e-4)
    assert row["usdr_vocals_mean"] == pytest.approx(np.mean([s["usdr_vocals"] for s in scores]), abs=1e-4)


def test_settings_differ(swept):
    assert len({round(row["usdr_vocals_mean"], 4) for row in swept[2] if row["num_steps"] == 3}) == 8


def test_one_step_is_the_same_for_every_sampler(swept):
    single = [row for row in swept[2] if row["num_steps"] == 1]
    for sigma_max in (3.0, 10.0):
        heun, other = (row["usdr_vocals_mean"] for row in single if row["sigma_max"] == sigma_max)
        assert heun == pytest.approx(other, abs=1e-4)


def test_table_and_plot_are_written(swept):
    _, _, rows, folder, _ = swept
    with (folder / "sweep.csv").open() as file:
        written = list(csv.DictReader(file))
    assert len(written) == len(rows)
    assert [float(row["csdr_vocals_median"]) for row in written] == [row["csdr_vocals_median"] for row in rows]
    picture = image.imread(folder / "sweep.png")
    assert picture.shape[0] > 300 and np.std(picture[..., :3]) > 0.05


def test_an_interrupted_sweep_leaves_its_table_and_plot(swept, tmp_path):
    model, clips, *_ = swept

    def interrupt(line):
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt, match=r"^1/12"):
        sweep(model, clips, GRID, tmp_path, log=interrupt)
    assert len((tmp_path / "sweep.csv").read_text().splitlines()) == 2
    assert image.imread(tmp_path / "sweep.png").shape[0] > 300


def test_the_best_row_ignores_missing_scores():
    rows = [{"x": float("nan")}, {"x": -3.0}, {"x": 2.0}, {"x": float("nan")}]
    assert best(rows, "x") == {"x": 2.0}


def test_an_impossible_grid_is_told_before_anything_is_separated(swept, tmp_path):
    model, clips, *_ = swept
    with pytest.raises(InputError, match=r"sigma_min < sigma_max, got 0\.002 and 0\.001"):
        sweep(model, clips, GRID._replace(sigma_max=(3.0, 0.001)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_sweep_leaves_the_model_as_it_was(swept):
    assert swept[0].config.sampler.name == "heun"


def test_stochastic_heun_is_given_churn_and_others_none(swept, monkeypatch):
    made = []
    monkeypatch.setattr(Separator, "from_model", lambda model, seed: made.append(model.config.sampler))
    for name in ("heun", "stochastic_heun"):
        sweep_module._separator(swept[0], name, 7.0, 0)
    assert [(sampler.name, sampler.s_churn) for sampler in made] == [("heun", 0.0), ("stochastic_heun", 7.0)]


def test_averaged_samples_count_as_evaluations(swept, monkeypatch, tmp_path):
    model, clips, *_ = swept
    config = model.config.copy_and_resolve_references()
    config.sampler.num_samples = 2
    rows = sweep(model._replace(config=config), clips[:1], Grid(("euler",), (1,), (3.0,), (7.0,)), tmp_path)
    assert [row["evaluations"] for row in rows] == [2]
