import itertools
import json
import os
import shutil
import signal
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.data.source import open_tracks
from diffvs_jax.errors import InputError
from diffvs_jax.model import weights
from diffvs_jax.profiling.chips import peak_flops
from diffvs_jax.profiling.cost import evaluation_flops
from diffvs_jax.training import loop
from diffvs_jax.training.batches import process_batches
from diffvs_jax.training.lock import only_run
from diffvs_jax.training.loop import train

# Octiles of ln sigma ~ N(-1.2, 1.2^2), as they are written.
EDGES = ("0", "0.0757", "0.134", "0.205", "0.301", "0.441", "0.677", "1.2", "inf")


def metrics_of(workdir):
    """Metrics by step, of which each has one line, without the clock's."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    steps = {line["step"]: {key: value for key, value in line.items() if "speed/" not in key} for line in lines}
    assert len(steps) == len(lines)
    return steps


def saved_steps(workdir, folder="checkpoints"):
    return sorted(int(path.name) for path in (workdir / folder).iterdir() if path.name.isdigit())


def go_on(config, workdir, make_validate=None):
    log: list[str] = []
    result = train(config, workdir, open_tracks(config, "train", workdir), log.append, make_validate)
    return result.state, result.stats, log


@pytest.fixture
def copied_run(trained, tmp_path):
    """A copy of the finished run, free to be changed, and its config."""
    shutil.copytree(trained.workdir, tmp_path / "copy")
    return trained.config.copy_and_resolve_references(), tmp_path / "copy"


def assert_same_bits(first, second):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(first), jax.device_get(second))


def fake_steps(monkeypatch, bad=(), name="loss", max_skipped=0):
    """Has the loop take steps that only count; one of the ``bad`` reports a loss, or a gradient, that is not finite."""

    def make_fake_step(*_):
        def step(state, *_):
            number = int(state.step) + 1
            spoiled = number in bad and int(state.skipped) <= max_skipped
            values = dict.fromkeys(("loss", "gradient_norm", "learning_rate", "target_mean", "target_square"), 1.0)
            values |= {"by_band": np.ones((1, 2)), "by_sigma": np.ones(8), "sigma_share": np.ones(8), "wish": 0}
            skipped = state.skipped + spoiled
            if spoiled:
                values[name] = np.nan
            counts = skipped <= max_skipped
            state = state._replace(
                step=state.step + counts, examples=state.examples + 4 * counts, skipped=jnp.int32(skipped)
            )
            return state, values | {"skipped": skipped}

        return step

    monkeypatch.setattr(loop, "_compile", make_fake_step)


@pytest.fixture
def counting_steps(monkeypatch):
    """For what the loop does around its steps: nothing is compiled."""
    fake_steps(monkeypatch)


def test_a_run_writes_one_json_line_per_report(trained):
    metrics = metrics_of(trained.workdir)
    assert list(metrics) == [1, 2, 3, 4, 5, 6]
    by_sigma = {name for line in metrics.values() for name in line if name.startswith("loss_by_sigma/")}
    assert by_sigma == {f"loss_by_sigma/{low}-{high}" for low, high in itertools.pairwise(EDGES)}
    others = {"step", "loss", "gradient_norm", "learning_rate", "target_std", "skipped_steps"}
    assert set(metrics[1]) - by_sigma == others | {"loss_by_band/vocals_1", "loss_by_band/vocals_2"}
    assert [metrics[step]["learning_rate"] for step in (1, 3, 5, 6)] == pytest.approx([0, 2.5e-3, 5e-3, 5e-3])
    line = next(line for line in trained.log if line.startswith("step=6 "))
    words = dict(pair.split("=") for pair in line.split())
    assert words["of"] == "6" and float(words["loss"]) == pytest.approx(metrics[6]["loss"], abs=1e-4)


def test_speed_is_told_in_every_report(trained):
    for line in (trained.workdir / "metrics.jsonl").read_text().splitlines():
        values = {key.removeprefix("speed/"): value for key, value in json.loads(line).items() if "speed/" in key}
        steps = values["steps_per_second"]
        assert values["examples_per_second"] == pytest.approx(4 * steps)
        assert values["audio_seconds_per_second"] == pytest.approx(4 * steps * 15 * 64 / 8000)
        assert values["tflops_per_second"] == pytest.approx(3e-12 * 4 * steps * evaluation_flops(trained.config))
        assert 0 <= values["data_wait_share"] < 1
        assert ("mfu" in values) == (peak_flops(jax.devices()[0].device_kind) is not None)


def test_targets_enter_the_network_near_sigma_data(trained):
    assert np.mean([entry["target_std"] for entry in metrics_of(trained.workdir).values()]) == pytest.approx(0.5, 0.3)


def test_an_interrupted_run_goes_on_bit_for_bit(trained, tmp_path):
    def interrupt(line):
        if line.startswith("step=4 "):
            raise KeyboardInterrupt

    config = trained.config
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path, open_tracks(config, "train", tmp_path), interrupt)
    assert saved_steps(tmp_path) == [3]
    assert list(metrics_of(tmp_path)) == [1, 2, 3, 4]  # the last is dropped and written anew
    state, stats, log = go_on(config, tmp_path)
    assert "continuing from step 3" in log
    assert_same_bits(state, trained.state)
    assert_same_bits(stats, trained.stats)
    assert metrics_of(tmp_path) == metrics_of(trained.workdir)


def test_a_finished_run_has_nothing_left_to_do(copied_run, trained, monkeypatch):
    config, workdir = copied_run
    before = (workdir / "metrics.jsonl").read_text()
    state, stats, log = go_on(config, workdir)
    assert_same_bits(state, trained.state)
    assert_same_bits(stats, trained.stats)
    assert log[-2:] == ["continuing from step 6", "nothing left to do: train.num_steps is 6"]
    assert (workdir / "metrics.jsonl").read_text() == before
    assert saved_steps(workdir) == [3, 6]


@pytest.mark.usefixtures("counting_steps")
def test_going_on_keeps_the_checkpoints_statistics(copied_run, trained):
    config, workdir = copied_run
    config.train.num_steps = 7
    config.data.stats_batches = 3  # measured or cached, they would be others
    _, stats, log = go_on(config, workdir)
    assert_same_bits(stats, trained.stats)
    assert not any("band statistics" in line for line in log)


@pytest.mark.usefixtures("counting_steps")
def test_only_the_newest_checkpoints_are_kept(copied_run):
    config, workdir = copied_run
    config.train.num_steps = 8
    config.train.checkpoint_every_steps = 1
    state, _, _ = go_on(config, workdir)
    assert int(state.step) == 8
    assert saved_steps(workdir) == [7, 8]


@pytest.mark.parametrize(
    ("section", "key", "value", "leaf"),
    [
        ("model", "channels", 32, r"ema/0/\w+/\S* is \(\S.*\) on disk, the config needs \("),
        ("model", "attention_levels", (1,), r"roformer\S* is missing on disk"),
        ("train", "ema_rates", (0.9,), r"ema/1/\S* is \(.*\) on disk, the config needs nothing there"),
    ],
)
def test_a_changed_model_does_not_go_on(copied_run, section, key, value, leaf):
    config, workdir = copied_run
    config[section][key] = value
    with pytest.raises(InputError, match=leaf):
        go_on(config, workdir)
    assert saved_steps(workdir) == [3, 6]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("audio.alpha", 0.5),
        ("audio.sample_rate", 16_000),
        ("data.targets", ("drums",)),
        ("model.embedding", "fourier"),
        ("model.resampling", "both"),
        ("model.fourier_scale", 2.0),
    ],
)
def test_arrays_that_fit_but_mean_something_else_do_not_go_on(copied_run, name, value):
    config, workdir = copied_run
    config.update_from_flattened_dict({name: value})
    with pytest.raises(InputError, match=rf"{name} .* the config has .*{value if name != 'data.targets' else 'drums'}"):
        go_on(config, workdir)


@pytest.mark.usefixtures("counting_steps")
def test_the_time_limit_saves_and_a_longer_one_goes_on(copied_run):
    config, workdir = copied_run
    config.train.num_steps, config.train.max_minutes = 9, 1e-9
    for steps in (7, 8):  # the limit has always passed after one step
        log = go_on(config, workdir)[2]
        assert saved_steps(workdir)[-1] == steps
        assert log[-1] == f"stopped by train.max_minutes 1e-09 at step {steps}; run again to go on"


@pytest.mark.parametrize("spoiled", ["loss", "gradient_norm"])
def test_a_run_that_blows_up_stops_with_what_reproduces_it(copied_run, spoiled, monkeypatch):
    config, workdir = copied_run
    config.train.num_steps = 20
    fake_steps(monkeypatch, {9}, spoiled)
    with pytest.raises(FloatingPointError, match=f"{spoiled} is nan at step 9; .*max_skipped_steps above 0"):
        go_on(config, workdir)
    assert saved_steps(workdir) == [3, 6] and saved_steps(workdir, "nonfinite") == [8]
    assert list(metrics_of(workdir))[-1] == 8
    told = json.loads((workdir / "nonfinite_9.json").read_text())
    assert told["step"] == 9 and len(told["examples"]) == config.train.batch_size
    stems = next(process_batches(config, open_tracks(config, "train", workdir), 32))
    for example, words in zip(stems, told["examples"], strict=True):
        assert words["peaks"] == dict(zip(("vocals", "rest"), np.abs(example).max(axis=(1, 2)).tolist(), strict=True))
    # The state before it meets the same step first.
    (workdir / "nonfinite" / "8").rename(workdir / "checkpoints" / "8")
    with pytest.raises(FloatingPointError, match="at step 9"):
        go_on(config, workdir)
    assert saved_steps(workdir) == [3, 6, 8] and saved_steps(workdir, "nonfinite") == [8]


def test_steps_that_are_not_finite_are_passed_over_and_counted(copied_run, monkeypatch):
    config, workdir = copied_run
    config.train.num_steps, config.train.max_skipped_steps = 12, 2
    fake_steps(monkeypatch, {8, 11}, max_skipped=2)
    state, _, log = go_on(config, workdir)
    assert int(state.step) == 12 and int(state.skipped) == 2
    assert "loss is nan at step 11: skipped, 2 of at most 2 (train.max_skipped_steps)" in log
    metrics = metrics_of(workdir)
    assert [metrics[step]["skipped_steps"] for step in range(7, 13)] == [0, 1, 1, 1, 2, 2]
    assert "loss" not in metrics[8] and metrics[9]["loss"] == 1


@pytest.mark.usefixtures("counting_steps")
def test_the_best_in_validation_is_kept(copied_run, trained):
    config, workdir = copied_run
    config.train.num_steps, config.train.validate_every_steps, config.train.keep_checkpoints = 12, 1, 1
    scores = iter([1.0, 3.0, float("nan"), 2.0, 2.9, 1.5])
    seen = []

    def validate(params, stats):
        seen.append(params)
        scalars = {"validation/csdr": next(scores)}
        return SimpleNamespace(csdr=scalars["validation/csdr"], scalars=scalars, images={}, audio={})

    log = go_on(config, workdir, lambda mesh: validate)[2]
    assert len(seen) == 6
    assert saved_steps(workdir) == [12] and saved_steps(workdir, "best") == [8]
    assert "step=8 validation_csdr=3.000 best=true" in log and "step=9 validation_csdr=nan best=false" in log
    assert weights.load(workdir / "best").step == 8
    # Going on, it is still what a new score is held against.
    config.train.num_steps = 14
    scores = iter([2.95, 3.1])
    go_on(config, workdir, lambda mesh: validate)
    assert saved_steps(workdir, "best") == [14]
    # So it is when the run goes another way from an earlier checkpoint.
    shutil.rmtree(workdir / "checkpoints" / "14")
    shutil.copytree(trained.workdir / "checkpoints" / "6", workdir / "checkpoints" / "6")
    config.train.num_steps = 7
    scores = iter([3.2])
    go_on(config, workdir, lambda mesh: validate)
    assert saved_steps(workdir, "best") == [7]


@pytest.mark.usefixtures("counting_steps")
def test_a_time_between_checkpoints_saves_too(copied_run):
    config, workdir = copied_run
    config.train.num_steps, config.train.keep_checkpoints = 8, 5
    config.train.checkpoint_every_steps, config.train.checkpoint_every_minutes = 100, 1e-9
    go_on(config, workdir)
    assert saved_steps(workdir) == [3, 6, 7, 8]


@pytest.mark.usefixtures("counting_steps")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_the_step_and_saves(copied_run, number, capfd):
    config, workdir = copied_run
    config.train.num_steps = 100
    before = signal.getsignal(number)

    def strike(line):
        if line.startswith("step=7 "):
            signal.raise_signal(number)

    result = train(config, workdir, open_tracks(config, "train", workdir), strike)
    assert result.interrupted and signal.getsignal(number) is before
    assert int(result.state.step) in (7, 8) and saved_steps(workdir)[-1] == int(result.state.step)
    assert f"{number.name}: finishing the step and saving" in capfd.readouterr().err


@pytest.mark.usefixtures("ctrl_c_is_heard", "counting_steps")
def test_a_second_signal_stops_at_once(copied_run):
    config, workdir = copied_run
    config.train.num_steps = 100

    def strike(line):
        if line.startswith("step=8 "):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(config, workdir, open_tracks(config, "train", workdir), strike)
    assert saved_steps(workdir) == [3, 6]


def test_a_batch_of_another_size_goes_on_where_the_data_was_left(copied_run):
    config, workdir = copied_run
    config.train.batch_size, config.train.num_steps = 2, 9
    assert int(go_on(config, workdir)[0].examples) == 6 * 4 + 3 * 2


def test_a_second_run_in_the_workdir_is_refused(copied_run):
    config, workdir = copied_run
    with only_run(workdir), pytest.raises(InputError, match=f"process {os.getpid()} trains here"):
        go_on(config, workdir)
    go_on(config, workdir)


@pytest.mark.usefixtures("counting_steps")
def test_a_signal_in_the_last_step_is_an_interruption_too(copied_run):
    config, workdir = copied_run
    config.train.num_steps = 7

    def validate(params, stats):
        signal.raise_signal(signal.SIGTERM)
        return SimpleNamespace(csdr=1.0, scalars={}, images={}, audio={})

    result = train(config, workdir, open_tracks(config, "train", workdir), print, lambda mesh: validate)
    assert result.interrupted and saved_steps(workdir)[-1] == 7
