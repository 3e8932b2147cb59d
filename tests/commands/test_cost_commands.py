"""Commands that tell what things cost, and which settings are worth it."""

import csv
import json
import re

import pytest

from tests.commands.processes import CONFIG

ONE_LEVEL = "--config.model.channel_mult=(1,)"  # compiles in half the time


def test_a_dry_run_prints_the_costs_and_leaves_nothing(command, tmp_path):
    arguments = (f"--config={CONFIG}", f"--workdir={tmp_path / 'run'}", "--dry_run", "--dry_run_batch_sizes=3")
    result = command("train", *arguments, ONE_LEVEL)
    assert result.code == 0, result.err
    for words in ("middle", "one evaluation of a 0.12-s chunk", "one chunk: 5 evaluations, heun", "XLA, batch 3"):
        assert words in result.out
    assert "hours for 6 steps of 4 examples, remat none, if 40% of the peak" in result.out
    for remat in ("none", "selective", "block"):
        assert re.search(rf"^{remat} +\d", result.out, re.MULTILINE)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_refuses_batch_sizes_that_are_none(command):
    result = command("train", f"--config={CONFIG}", "--dry_run", "--dry_run_batch_sizes=1,no")
    assert (result.code, result.err) == (
        2,
        "error: --dry_run_batch_sizes=1,no: give numbers above zero, such as --dry_run_batch_sizes=1,2,4\n",
    )


def test_a_sweep_writes_a_table_and_a_plot(command, workdir, tmp_path):
    result = command(
        *("evaluate", f"--checkpoint={workdir}", f"--root={workdir / 'songs'}", f"--output={tmp_path}", "--sweep"),
        *("--sweep_samplers=euler,dpmpp_2m", "--sweep_steps=2,3", "--sweep_sigma_max=5,3", "--sweep_rho=3,7"),
        "--seconds=1.2",
    )
    assert result.code == 0, result.err
    assert "16 settings took 4 compiled programs" in result.out
    assert "best for each number of network evaluations" in result.out
    with (tmp_path / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    assert {(row["sampler"], row["num_steps"], row["evaluations"]) for row in rows} == {
        ("euler", "2", "2"),
        ("euler", "3", "3"),
        ("dpmpp_2m", "2", "2"),
        ("dpmpp_2m", "3", "3"),
    }
    assert (tmp_path / "sweep.png").stat().st_size > 5000
    about = json.loads((tmp_path / "sweep.json").read_text())
    assert about["sigma_max"] == [5, 3] and about["seconds"] == 1.2 and len(about["tracks"]) == 1
    assert not (tmp_path / "summary.json").exists()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--sweep_samplers=heun,magic", "choose from heun, stochastic_heun, euler, dpmpp_2m"),
        ("--sweep_steps=0", "give numbers above zero"),
        ("--sweep_rho=x", "give numbers above zero"),
        ("--seconds=-1", "give a number of seconds, at least 1"),
        ("--seconds=nan", "give a number of seconds, at least 1"),
        ("--sweep_sigma_max=inf", "give numbers above zero"),
        ("--sweep_sigma_max=1e30", "at most 1e+06 is of use in float32"),
        ("--sweep_rho=1e-5", "do not fall from one to the next in float32"),
        ("--set=sampler.loop=never", "sampler.loop 'never' is none of"),
        ("--set=sampler.num_steps=many", "sampler.num_steps is int, such as"),
        ("--set=train.num_steps=3", "give KEY=VALUE with a key of sampler or separation"),
        ("--set=sampler.nothing=3", "give KEY=VALUE with a key of sampler or separation"),
    ],
)
def test_a_sweep_refuses_what_cannot_be(command, workdir, tmp_path, flag, message):
    arguments = (f"--checkpoint={workdir}", f"--root={workdir / 'songs'}", f"--output={tmp_path / 'o'}", "--sweep")
    result = command("evaluate", *arguments, flag)
    assert result.code == 2 and message in result.err
    assert not (tmp_path / "o").exists()


def test_a_benchmark_prints_times_rates_and_shares(command):
    result = command(
        *("benchmark", f"--config={CONFIG}", "--parts=evaluation,separation,compilation,training"),
        *("--seconds=1", "--batch_sizes=1", "--remat=none", ONE_LEVEL, "--config.sampler.num_steps=2"),
    )
    assert result.code == 0, result.err
    for words in (
        "M parameters",
        "real-time factor",
        "convolutions",
        "unrolled",
        "scanned",
        "loss and gradient: remat",
    ):
        assert words in result.out
    shares = [float(share) for share in re.findall(r"([\d.]+) %", result.out)]
    assert sum(shares) == pytest.approx(100, abs=0.5)


def test_a_benchmark_refuses_parts_it_does_not_know(command):
    result = command("benchmark", f"--config={CONFIG}", "--parts=speed")
    assert result.code == 2
    assert "--parts=speed: choose from evaluation, separation, compilation, training" in result.err


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--seconds=nan", "--seconds=nan: give a number of seconds, at least 1"),
        ("--remat=all", "--remat=all: choose from none, selective, block"),
        ("--config.model.num_heads=0", "model.num_heads is 0; it must be at least 1"),
        ("--config.model.stem_size=-1", "model.stem_size is -1; it must be odd"),
        ("--batch_sizes=inf", "--batch_sizes=inf: give numbers above zero"),
    ],
)
def test_a_benchmark_refuses_what_cannot_be(command, flag, message):
    result = command("benchmark", f"--config={CONFIG}", flag)
    assert result.code == 2 and message in result.err, result.err


def test_a_trained_model_takes_other_settings(command, workdir, tmp_path):
    """One step with two samples averaged is another estimate than the config's, and says how it was made."""
    common = (f"--checkpoint={workdir}", f"--root={workdir / 'songs'}", "--seconds=1.2", "--baselines=mixture")
    changes = ("--set=sampler.num_steps=1", "--set=sampler.num_samples=2", "--set=sampler.sigma_max=5")
    scores = []
    for name, flags in (("own", ()), ("changed", changes)):
        result = command("evaluate", *common, f"--output={tmp_path / name}", *flags)
        assert result.code == 0, result.err
        scores.append(json.loads((tmp_path / name / "summary.json").read_text()))
    assert [len(s["sigmas"]) for s in scores] == [4, 2]
    assert scores[1]["sigmas"][0] == pytest.approx(5)
    assert scores[1]["set"] == ["sampler.num_steps=1", "sampler.num_samples=2", "sampler.sigma_max=5"]
    own, other = (content["summary"]["estimate"]["usdr_vocals_mean"] for content in scores)
    assert own != other
