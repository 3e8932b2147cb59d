"""Commands that tell what things cost, and which settings are worth it."""

import csv
import re

import pytest

from tests.commands.processes import CONFIG


def test_a_dry_run_prints_the_costs_and_leaves_nothing(command, tmp_path):
    arguments = (f"--config={CONFIG}", f"--workdir={tmp_path / 'run'}", "--dry_run", "--dry_run_batch_sizes=3")
    result = command("train", *arguments)
    assert result.code == 0, result.err
    for words in ("middle", "one evaluation of a 0.12-s chunk", "one chunk: 5 evaluations, heun", "XLA, batch 3"):
        assert words in result.out
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
    assert not (tmp_path / "scores.json").exists()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--sweep_samplers=heun,magic", "choose from heun, stochastic_heun, euler, dpmpp_2m"),
        ("--sweep_steps=0", "give numbers above zero"),
        ("--sweep_rho=x", "give numbers above zero"),
        ("--seconds=-1", "must be above 0, or 0 for whole tracks"),
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
        *("--seconds=1", "--batch_sizes=1", "--remat=none"),
    )
    assert result.code == 0, result.err
    for words in ("M parameters", "real-time factor", "convolutions", "unrolled", "scanned", "training step: remat"):
        assert words in result.out
    shares = [float(share) for share in re.findall(r"([\d.]+) %", result.out)]
    assert sum(shares) == pytest.approx(100, abs=0.5)


def test_a_benchmark_refuses_parts_it_does_not_know(command):
    result = command("benchmark", f"--config={CONFIG}", "--parts=speed")
    assert result.code == 2
    assert "--parts=speed: choose from evaluation, separation, compilation, training" in result.err
