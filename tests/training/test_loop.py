import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffvs_jax.data.source import open_tracks
from diffvs_jax.errors import InputError
from diffvs_jax.training import loop
from diffvs_jax.training.loop import train


def metrics_of(workdir):
    """Metrics by step without the clock's; a step that was repeated counts once, the later time."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: {key: value for key, value in line.items() if key != "seconds_per_step"} for line in lines}


def saved_steps(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdigit())


def go_on(config, workdir):
    log: list[str] = []
    state, stats = train(config, workdir, open_tracks(config, "train", workdir), log.append)
    return state, stats, log


@pytest.fixture
def copied_run(trained, tmp_path):
    """A copy of the finished run, free to be changed, and its config."""
    shutil.copytree(trained.workdir, tmp_path / "copy")
    return trained.config.copy_and_resolve_references(), tmp_path / "copy"


def assert_same_bits(first, second):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(first), jax.device_get(second))


def test_a_run_writes_one_json_line_per_report(trained):
    metrics = metrics_of(trained.workdir)
    assert list(metrics) == [1, 2, 3, 4, 5, 6]
    assert set(metrics[1]) == {"step", "loss", "gradient_norm", "learning_rate", "target_std"}
    assert [metrics[step]["learning_rate"] for step in (1, 3, 5, 6)] == pytest.approx([0, 2.5e-3, 5e-3, 5e-3])
    assert any(line.startswith("step 6/6") for line in trained.log)


def test_targets_enter_the_network_near_sigma_data(trained):
    assert np.mean([entry["target_std"] for entry in metrics_of(trained.workdir).values()]) == pytest.approx(0.5, 0.3)


def test_an_interrupted_run_goes_on_bit_for_bit(trained, tmp_path):
    def interrupt(line):
        if line.startswith("step 4/"):
            raise KeyboardInterrupt

    config = trained.config
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path, open_tracks(config, "train", tmp_path), interrupt)
    assert saved_steps(tmp_path) == [3]
    assert list(metrics_of(tmp_path)) == [1, 2, 3, 4]
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
    assert log[-1] == "continuing from step 6"
    assert (workdir / "metrics.jsonl").read_text() == before
    assert saved_steps(workdir) == [3, 6]


def test_going_on_keeps_the_checkpoints_statistics(copied_run, trained):
    config, workdir = copied_run
    config.train.num_steps = 7
    config.data.stats_batches = 3  # measured or cached, they would be others
    _, stats, log = go_on(config, workdir)
    assert_same_bits(stats, trained.stats)
    assert not any("band statistics" in line for line in log)


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


def test_the_time_limit_saves_and_a_longer_one_goes_on(nano_config, musdb_folder, tmp_path):
    nano_config.data.root = str(musdb_folder)
    nano_config.train.max_minutes = 1e-9
    for steps in (1, 2):  # the limit has always passed after one step
        log = go_on(nano_config, tmp_path)[2]
        assert saved_steps(tmp_path)[-1] == steps
        assert f"stopped at step {steps} after train.max_minutes" in log[-1]


@pytest.mark.parametrize("spoiled", ["loss", "gradient_norm"])
def test_a_run_that_blows_up_stops_before_it_saves(copied_run, spoiled, monkeypatch):
    config, workdir = copied_run
    config.train.num_steps = 20
    config.train.checkpoint_every_steps = 1

    def make_fake_step(*_):
        def step(state, *_):
            values = dict.fromkeys(("loss", "gradient_norm", "learning_rate", "target_std"), jnp.float32(1))
            if int(state.step) == 7:  # step number 8
                values[spoiled] = jnp.float32(jnp.nan)
            return state._replace(step=state.step + 1), values

        return step

    monkeypatch.setattr(loop, "_compile", make_fake_step)
    with pytest.raises(FloatingPointError, match=f"{spoiled} is nan at step 8; lower train.learning_rate"):
        go_on(config, workdir)
    assert saved_steps(workdir)[-1] == 7
    assert list(metrics_of(workdir))[-1] == 7
