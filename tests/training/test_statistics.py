import jax
import numpy as np
import pytest

from diffvs_jax.audio.representation import BandStats
from diffvs_jax.data.source import open_tracks
from diffvs_jax.training import statistics
from diffvs_jax.training.statistics import check_sigma_data, find_band_stats


@pytest.fixture
def config(nano_config):
    nano_config.data.stats_batches = 8  # 32 chunks: enough for the check
    return nano_config


@pytest.fixture
def tracks(config, musdb_folder, tmp_path):
    """Tracks of a data set that the config does not name: the cache lies in the workdir."""
    named = config.copy_and_resolve_references()
    named.data.root = str(musdb_folder)
    return open_tracks(named, "train", tmp_path)


def run(config, workdir, tracks):
    log: list[str] = []
    return find_band_stats(config, workdir, tracks, log.append), log


def assert_same(first, second):
    for values, expected in zip(first, second, strict=True):
        np.testing.assert_array_equal(values, expected)


def test_a_second_run_reads_what_the_first_measured(config, tracks, tmp_path):
    stats, log = run(config, tmp_path, tracks)
    (file,) = (tmp_path / ".diffvs_jax").iterdir()
    assert log[0].startswith("band statistics of 4 s of audio (vocals in ") and f"kept in {file}" in log[0]
    assert log[1] == "standard deviation per band: " + "; ".join(
        f"{name} {values[0]:.3g} {values[1]:.3g}"
        for name, values in (("mixture", stats.mixture), ("vocals", stats.targets[0]))
    )
    assert log[2].startswith("after normalisation, in 32 other chunks: mixture 0.") and len(log) == 3
    again, log_again = run(config, tmp_path, tracks)
    assert_same(again, stats)
    assert log_again[0].startswith(f"band statistics from {file}: 4 s of audio (vocals in ")
    assert log_again[1:] == log[1:]

    text = file.read_text()
    file.write_text(text[: len(text) // 2])
    assert_same(run(config, tmp_path, tracks)[0], stats)
    assert file.read_text() == text


def test_all_processes_measure_the_same_and_the_first_keeps_it(config, tracks, tmp_path, monkeypatch):
    alone, _ = run(config, tmp_path / "alone", tracks)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(statistics.multihost_utils, "broadcast_one_to_all", lambda stats: stats)
    found = []
    for index in range(2):
        monkeypatch.setattr(jax, "process_index", lambda index=index: index)
        found.append(run(config, tmp_path / str(index), tracks)[0])
    assert_same(*found)
    for values, expected in zip(found[0], alone, strict=True):
        np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert (tmp_path / "0").exists() and not (tmp_path / "1").exists()


def test_workers_and_threads_do_not_matter(config, tracks, tmp_path):
    stats, _ = run(config, tmp_path / "threads", tracks)
    config.data.num_workers = 2  # none of them is started
    assert_same(run(config, tmp_path / "workers", tracks)[0], stats)


def test_statistics_of_other_songs_are_warned_of(config, tracks, tmp_path):
    stats, log = run(config, tmp_path, tracks)
    assert not any("warning" in line for line in log)
    wrong = BandStats(stats.mixture, stats.targets * np.float32([[1, 5]]))
    log = []
    check_sigma_data(config, wrong, tracks, log.append, "do this")
    warnings = [line for line in log if line.startswith("warning")]
    assert len(warnings) == 1
    assert warnings[0].startswith("warning: vocals, band 2 of 2: standard deviation ")
    assert float(warnings[0].split()[8]) == pytest.approx(0.5 / 5, rel=0.2)
    assert warnings[0].endswith("where edm.sigma_data 0.5 is assumed; do this")
    for norm in ("chunk", "none"):
        config.audio.band_norm = norm
        log = []
        check_sigma_data(config, wrong, tracks, log.append, "")
        assert log == []


def test_a_cached_file_that_is_wrong_is_the_one_to_delete(config, tracks, tmp_path):
    stats, _ = run(config, tmp_path, tracks)
    (file,) = (tmp_path / ".diffvs_jax").iterdir()
    file.write_text(file.read_text().replace(str(stats.mixture.tolist()[0]), str(100.0)))
    _, log = run(config, tmp_path, tracks)
    assert log[-1].startswith("warning: mixture, band 1 of 2") and f"delete {file}" in log[-1]
