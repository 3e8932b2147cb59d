import dataclasses
import html
import json
import os
import shutil
import threading

import jax
import numpy as np
import pytest

from diffvs_jax.audio import files
from diffvs_jax.data.datasets import open_split
from diffvs_jax.embedding.choose import Embedding
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation import evaluating
from diffvs_jax.evaluation.clips import Clip, load_clip
from diffvs_jax.evaluation.evaluating import Spent, runs_of, score_run, write_results
from diffvs_jax.evaluation.pipeline import Entry, Failures, Separated, score_beside, unique_names
from diffvs_jax.evaluation.provenance import digest
from diffvs_jax.evaluation.records import load_records
from diffvs_jax.evaluation.report.page import write_report
from diffvs_jax.evaluation.report.scores import load_scores
from diffvs_jax.evaluation.run import Run
from diffvs_jax.evaluation.scoring import Scoring
from diffvs_jax.evaluation.sources import OfFiles, OfModel
from diffvs_jax.inference.separator import Separator
from diffvs_jax.inference.solver import Solver
from diffvs_jax.metrics.track import score_sdr
from tests.helpers import random_model, write_song
from tests.nano import get_config

SCORING = Scoring(("vocals",), ("mixture", "silence", "oracle", "one_step"))
FEW = Scoring(("vocals",), ("mixture",))


@pytest.fixture(scope="module")
def model():
    config = get_config()
    config.model.channel_mult = (1,)
    config.sampler.num_steps = 2
    return random_model(config)


@pytest.fixture(scope="module")
def source(model):
    return OfModel("a model", model, [0, 3], lambda line: None)


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    root = tmp_path_factory.mktemp("songs")
    for number in range(3):
        write_song(root / "test" / f"song {number}", number, seconds=2.3)
    return root


def evaluate(folder, source, root, scoring=SCORING, *, seconds=0.0, tell=lambda record: None, only=None, made=None):
    """All runs of a source; what failed, the tracks that were scored, and the summary."""
    entries = unique_names(open_split(root, "test"))
    failures, scored = Failures(), []
    runs = runs_of(source, folder, entries, scoring, seconds, made)
    for run in runs:
        todo = run.unfinished([entry for entry in entries if only is None or entry.name in only])

        def told(record):
            scored.append((record.run, record.track))
            tell(record)

        separated = source.separate(run.name, todo, seconds, failures, lambda done, left_out: None)
        spent = Spent(lambda: source.busy_seconds)
        score_run(run, separated, scoring, source.one_step(run.name), failures, told, spent)
    return failures.lines, scored, write_results(folder, runs, {"seeds": [0, 3]}, failures)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, source, songs):
    folder = tmp_path_factory.mktemp("scores") / "new"
    return folder, *evaluate(folder, source, songs)


@pytest.fixture(scope="module")
def copies(songs, tmp_path_factory):
    """Estimates on disk: of every song's vocals a tenth is missing."""
    root = tmp_path_factory.mktemp("copies")
    for track in open_split(songs, "test"):
        vocals, rate = track.load_stem("vocals")
        files.save(root / "test" / track.name / "vocals.wav", 0.9 * vocals, rate)
    return OfFiles(root, "test")


@pytest.fixture(scope="module")
def of_files(tmp_path_factory, copies, songs):
    folder = tmp_path_factory.mktemp("scores of files")
    return folder, *evaluate(folder, copies, songs, FEW)


def numbers(folder):
    """All that was scored, without what depends on the clock and on where it lies."""
    return [
        dataclasses.replace(record, times={}, scores=repr(record.scores), frames=repr(record.frames), excerpts=())
        for record in load_records(folder)
    ]


def test_scores_are_those_of_the_separator_and_of_the_baselines(evaluated, model, songs):
    folder, failures, scored, _ = evaluated
    assert not failures
    assert scored == [(run, f"song {number}") for run in ("seed_0", "seed_3") for number in range(3)]
    records = {(record.run, record.track): record for record in load_records(folder)}
    for seed in (0, 3):
        separator = Separator.from_model(model, seed=seed)
        for track in open_split(songs, "test"):
            clip, record = load_clip(track, ["vocals"]), records[f"seed_{seed}", track.name]
            expected = score_sdr(clip.truth, separator(clip.mixture, clip.sample_rate), clip.sample_rate)
            found = {column: record.scores["estimate"][column] for column in expected.scores}
            assert found == pytest.approx(expected.scores, abs=1e-3)
            np.testing.assert_allclose(record.frames["sdr_vocals"], expected.frames["sdr_vocals"], atol=1e-3)
            mixture = score_sdr(clip.truth, dict.fromkeys(clip.truth, clip.mixture), clip.sample_rate).scores
            assert record.scores["mixture"]["usdr_vocals"] == pytest.approx(mixture["usdr_vocals"], abs=1e-3)
            assert record.scores["silence"]["usdr_vocals"] == pytest.approx(0, abs=1e-3)
            assert record.scores["silence"]["leakage_vocals"] != record.scores["silence"]["leakage_vocals"]
            assert record.scores["oracle"]["usdr_vocals"] > record.scores["mixture"]["usdr_vocals"] + 3
            one = separator(clip.mixture, clip.sample_rate, sigmas=separator.sigmas[[0, -1]])
            single = score_sdr(clip.truth, one, clip.sample_rate).scores
            assert record.scores["one_step"]["usdr_vocals"] == pytest.approx(single["usdr_vocals"], abs=1e-3)


def test_one_program_serves_all_tracks_and_seeds(evaluated, source):
    assert source._separator.num_compiled == 2  # of all steps, and of one
    assert source.busy_seconds > 0


def test_tracks_of_other_lengths_compile_nothing(evaluated, source, tmp_path):
    write_song(tmp_path / "songs" / "test" / "longer", 7, seconds=9.7)
    write_song(tmp_path / "songs" / "test" / "shorter", 8, seconds=1.1)
    compiled = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        assert len(evaluate(tmp_path / "scores", source, tmp_path / "songs")[1]) == 4
        assert not compiled
        jax.jit(lambda x: x + 1)(1)
        assert compiled  # were it otherwise, nothing would have been heard
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def test_what_is_written(evaluated):
    folder, _, _, summary = evaluated
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"summary.json", "scores.csv", "museval/seed_3/test/song 2.json"} <= written
    sounds = {path for path in written if path.endswith(".flac")}
    assert len(sounds) == 3 * 2 * 3 and all(path.startswith("excerpts/seed_0/") for path in sounds)
    assert json.loads((folder / "summary.json").read_text())["tracks"] == [f"song {number}" for number in range(3)]
    assert summary["runs"].keys() == {"seed_0", "seed_3"}
    assert summary["spread"]["usdr_vocals_mean"] > 0
    header, *rows = (folder / "scores.csv").read_text().splitlines()
    assert header.startswith("track,csdr_vocals,csdr_vocals_std,") and len(rows) == 3


def test_nothing_is_scored_twice_and_what_changed_is_scored_again(of_files, copies, songs, tmp_path):
    folder = shutil.copytree(of_files[0], tmp_path / "scores")
    assert evaluate(folder, copies, songs, FEW)[1] == []
    (folder / "tracks" / "estimates" / "song 1.json").write_text("cut o")
    assert evaluate(folder, copies, songs, FEW)[1] == [("estimates", "song 1")]
    other = shutil.copytree(songs, tmp_path / "songs")
    shutil.copy(other / "test" / "song 0" / "drums.wav", other / "test" / "song 2" / "drums.wav")
    assert evaluate(folder, copies, other, FEW)[1] == [("estimates", "song 2")]
    assert len(evaluate(folder, copies, other, FEW, seconds=1.0)[1]) == 3
    assert len(evaluate(folder, copies, other, dataclasses.replace(FEW, dtype="float64"))[1]) == 3


def test_a_models_scores_depend_on_its_weights_settings_and_seed(model, source):
    config = model.config.copy_and_resolve_references()
    config.sampler.sigma_max = 5.0
    larger = model.config.copy_and_resolve_references()
    larger.separation.batch_size = 7
    params = jax.tree.map(lambda leaf: leaf + 1e-3, model.params)
    changed = [model._replace(config=config), model._replace(params=params), model, model._replace(config=larger)]
    seeds = [[0, 3], [0, 3], [4, 3], [0, 3]]
    others = [OfModel("a model", *made, lambda line: None) for made in zip(changed, seeds, strict=True)]
    own = digest(source.depends_on("seed_0"))
    found = [digest(other.depends_on(other.runs[0])) for other in others]
    assert own not in found[:3] and found[3] == own  # how much fits into memory changes no score


def test_parts_join_to_the_whole(of_files, copies, songs, tmp_path):
    first = evaluate(tmp_path, copies, songs, FEW, only=["song 1"])[2]
    assert first["tracks"] == ["song 1"] and first["num_tracks"] == 3
    whole = evaluate(tmp_path, copies, songs, FEW, only=["song 0", "song 2"])[2]
    for method, scores in of_files[3]["summary"].items():
        assert whole["summary"][method] == pytest.approx(scores, nan_ok=True)
    assert numbers(tmp_path) == numbers(of_files[0])


def test_a_summary_names_what_scored_and_not_who_summed_up(copies, songs, tmp_path):
    first = evaluate(tmp_path, copies, songs, FEW, only=["song 1"], made={"commit": "a"})[2]
    assert first["commit"] == "a" and first["time"]["audio"] == pytest.approx(2.3)
    whole = evaluate(tmp_path, copies, songs, FEW, made={"commit": "b"})[2]
    again = evaluate(tmp_path, copies, songs, FEW, made={"commit": "c"})[2]
    assert whole["commit"] == again["commit"] == "b, a"  # in the order of the tracks
    assert whole["time"] == again["time"] and again["time"]["audio"] == pytest.approx(6.9)
    assert again["time"]["score"] > 0


def test_museval_counts_the_tracks_of_the_summary_alone(of_files, copies, songs, tmp_path):
    folder = shutil.copytree(of_files[0], tmp_path / "scores")
    stale = folder / "museval" / "seed_7" / "test" / "song 0.json"
    stale.parent.mkdir(parents=True)
    shutil.copy(folder / "museval" / "estimates" / "test" / "song 0.json", stale)
    fewer = shutil.copytree(songs, tmp_path / "songs")
    shutil.rmtree(fewer / "test" / "song 1")
    assert evaluate(folder, copies, fewer, FEW)[2]["num_tracks"] == 2
    left = [path.relative_to(folder).as_posix() for path in sorted((folder / "museval").rglob("*.json"))]
    assert left == ["museval/estimates/test/song 0.json", "museval/estimates/test/song 2.json"]


def test_a_track_that_fails_is_in_every_process_summary_until_it_is_scored(copies, songs, tmp_path):
    folder, root = tmp_path / "scores", shutil.copytree(copies._root, tmp_path / "estimates")
    source, path = OfFiles(root, "test"), root / "test" / "song 1" / "vocals.wav"
    path.rename(root / "elsewhere.wav")
    failed, _, summary = evaluate(folder, source, songs, FEW, only=["song 0", "song 1"])
    assert summary["failed"] == failed
    failed_elsewhere, _, summary = evaluate(folder, source, songs, FEW, only=["song 2"])
    assert not failed_elsewhere and summary["failed"] == failed and list(failed) == ["song 1"]
    assert (summary["tracks"], summary["num_tracks"]) == (["song 0", "song 2"], 3)
    page = write_report(folder).read_text()
    assert "1 track could not be scored" in page and html.escape(failed["song 1"]) in page
    (root / "elsewhere.wav").rename(path)
    assert evaluate(folder, source, songs, FEW)[2]["failed"] == {}
    assert "could not be scored" not in write_report(folder).read_text()


def test_a_failure_of_other_settings_is_none_of_these(copies, songs, tmp_path):
    def embed(audio, sample_rate):
        raise RuntimeError("out of order")

    evaluate(tmp_path, copies, songs, dataclasses.replace(FEW, embedding=Embedding("mine", embed)))
    assert len(list((tmp_path / "failed").iterdir())) == 3
    assert evaluate(tmp_path, copies, songs, FEW, only=["song 1"])[2]["failed"] == {}


def test_a_track_that_fails_with_one_seed_is_named(evaluated, source, songs, tmp_path):
    folder = shutil.copytree(evaluated[0], tmp_path / "scores")
    entries = unique_names(open_split(songs, "test"))
    runs = runs_of(source, folder, entries, SCORING)
    (folder / "tracks" / "seed_3" / "song 1.json").unlink()
    failures = Failures({"song 1": "song 1: no luck"}, ["left out: song 9: is damaged"])
    summary = write_results(folder, runs, {}, failures)
    assert summary["failed"] == {"song 1": "song 1: no luck"} and summary["left_out"] == failures.left_out
    assert (len(summary["tracks"]), summary["num_tracks"]) == (3, 4)
    assert summary["spread"] == {} and list(summary["settings"]) == ["seed_0", "seed_3"]
    page = write_report(folder).read_text()
    assert "2 tracks could not be scored" in page and "seed_3 lacks 1 track that other runs have" in page
    assert "not scored yet" not in page


def test_a_failure_that_another_process_tells_meanwhile_is_in_the_summary(copies, songs, tmp_path, monkeypatch):
    write, entries = evaluating.write_museval, unique_names(open_split(songs, "test"))
    runs = runs_of(copies, tmp_path, entries, FEW)

    def slowly(folder, scored):
        write(folder, scored)
        monkeypatch.setattr(evaluating, "write_museval", write)
        write_results(tmp_path, runs, {}, Failures({"song 1": "song 1: no luck"}))

    monkeypatch.setattr(evaluating, "write_museval", slowly)
    assert list(evaluate(tmp_path, copies, songs, FEW, only=["song 0"])[2]["failed"]) == ["song 1"]


def test_a_report_mixes_no_records_of_other_files(of_files, songs, copies, tmp_path):
    folder, root = tmp_path / "scores", shutil.copytree(copies._root, tmp_path / "estimates")
    evaluate(folder, OfFiles(root, "test"), songs, FEW)
    for path in root.rglob("vocals.wav"):
        audio, rate = files.load(path)
        files.save(path, 0.5 * audio, rate)

    def stop(record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(folder, OfFiles(root, "test"), songs, FEW, tell=stop)
    assert load_scores(folder).tracks == ["song 1", "song 2"]


def test_a_report_mixes_no_records_of_other_settings(of_files, copies, songs, tmp_path):
    folder = shutil.copytree(of_files[0], tmp_path / "scores")

    def stop(record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(folder, copies, songs, dataclasses.replace(FEW, dtype="float64"), tell=stop)
    (folder / "tracks" / "estimates" / "not of this evaluation.json").write_text("broken")
    assert load_scores(folder).tracks == ["song 1", "song 2"]
    assert "1 track of 3 scored anew" in write_report(folder).read_text()


def test_what_another_process_scores_meanwhile_is_in_the_summary(of_files, copies, songs, tmp_path, monkeypatch):
    first = evaluate(tmp_path, copies, songs, FEW, only=["song 1"])[2]
    assert first["tracks"] == ["song 1"]
    write = evaluating.write_table

    def slowly(path, rows):
        write(path, rows)
        shutil.copytree(of_files[0] / "tracks", tmp_path / "tracks", dirs_exist_ok=True)

    monkeypatch.setattr(evaluating, "write_table", slowly)
    _, scored, summary = evaluate(tmp_path, copies, songs, FEW, only=["song 1"])
    assert not scored and summary["tracks"] == ["song 0", "song 1", "song 2"]
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 4


def test_seconds_that_ten_others_beat_are_not_kept(tmp_path):
    rate, seconds = 100, 30

    def track(name, decibels):
        truth = np.random.default_rng(0).standard_normal((rate * seconds, 1)).astype(np.float32) / 4
        error = np.repeat(10 ** (-np.array(decibels) / 20), rate)[:, None].astype(np.float32)
        clip = Clip(name, 2 * truth, {"vocals": truth, "instrumental": truth}, rate)
        estimate = {"vocals": truth * (1 - error), "instrumental": truth * (1 + error)}
        return Separated(Entry(name, None), clip, estimate, 0.0)

    run = Run(tmp_path, "estimates", ("vocals", "instrumental"), "", {"a": "", "b": ""}, keep_excerpts=True)
    tracks = [track("a", np.arange(1, 31)), track("b", np.linspace(12, 18, 30))]
    kept = {}
    failures = Failures()
    score_run(run, tracks, FEW, None, failures, lambda r: kept.update({r.track: len(r.excerpts)}), Spent())
    assert not failures.lines and kept == {"a": 20, "b": 0}


def test_what_was_scored_before_an_end_stays(of_files, copies, songs, tmp_path):
    def stop(record):
        if record.track == "song 1":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(tmp_path, copies, songs, FEW, tell=stop)
    assert [record.track for record in load_records(tmp_path)] == ["song 0", "song 1"]
    assert evaluate(tmp_path, copies, songs, FEW)[1] == [("estimates", "song 2")]
    assert numbers(tmp_path) == numbers(of_files[0])


def test_what_reads_ahead_ends_with_a_run_that_is_broken_off(copies, songs):
    entries = unique_names(open_split(songs, "test"))
    tracks = copies.separate("estimates", entries, 0.0, Failures(), lambda done, left_out: None)

    def stop(track):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_beside(tracks, stop)
    assert tracks.gi_frame is None  # closed, though it is still held here
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_a_track_that_cannot_be_read_leaves_the_others_alone(source, songs, tmp_path):
    root = shutil.copytree(songs, tmp_path / "songs")
    entries = unique_names(open_split(root, "test"))
    (root / "test" / "song 1" / "vocals.wav").unlink()
    failures = Failures()
    found = source.separate("seed_0", entries, 0.0, failures, lambda done, left_out: None)
    assert [separated.entry.name for separated in found] == ["song 0", "song 2"]
    assert list(failures.lines) == ["song 1"] and "vocals.wav" in failures.lines["song 1"]


def test_tracks_have_names_that_files_can_have_and_no_two_the_same(songs):
    track = open_split(songs, "test")[0]
    names = ["AC/DC - Song", "ac_dc - song", "AC_DC - Song", "..", "c:\\d"]
    entries = unique_names([dataclasses.replace(track, name=name) for name in names])
    assert [e.name for e in entries] == ["AC_DC - Song", "ac_dc - song (2)", "AC_DC - Song (3)", "track", "c:_d"]
    again = unique_names([dataclasses.replace(track, name=name) for name in ("x", "x (2)", "x")])
    assert [e.name for e in again] == ["x", "x (2)", "x (3)"]


def test_a_song_is_known_by_its_stems_names_and_its_mixture(tmp_path):
    write_song(tmp_path / "test" / "song", 0, mixture=True)
    (before,) = unique_names(open_split(tmp_path, "test"))
    renamed = dataclasses.replace(before.track, stems={**before.track.stems, "bass": before.track.stems["other"]})
    known = before.fingerprint()
    assert before._replace(track=renamed).fingerprint() != known
    os.utime(before.track.mixture, (1, 1))
    assert before.fingerprint() != known


def test_scores_depend_on_every_setting():
    changes = {"targets": ("drums",), "baselines": (), "bss_eval": "museval", "dtype": "float64"}
    others = [dataclasses.replace(FEW, **{name: value}) for name, value in changes.items()]
    embeddings = [Embedding("mine", lambda audio, rate: audio, fingerprint) for fingerprint in ("", "other weights")]
    others += [dataclasses.replace(FEW, embedding=embedding) for embedding in embeddings]
    assert len({digest(scoring.facts()) for scoring in [FEW, *others]}) == 7


def test_an_embedding_that_fails_is_told_track_by_track(copies, songs, tmp_path):
    def embed(audio, sample_rate):
        raise RuntimeError("out of order")

    failures, scored, _ = evaluate(
        tmp_path, copies, songs, dataclasses.replace(FEW, embedding=Embedding("mine", embed))
    )
    assert not scored and len(failures) == 3
    assert failures["song 1"] == "song 1: embedding mine: RuntimeError: out of order"


def test_with_no_memory_for_one_chunk_every_track_is_told_of(source, songs, monkeypatch):
    entries = unique_names(open_split(songs, "test"))

    def start(self, call, sigmas):
        raise InputError("out of memory with one chunk at once")

    monkeypatch.setattr(Solver, "_start", start)
    failures = Failures()
    assert not list(source.separate("seed_0", entries, 0.0, failures, lambda done, left_out: None))
    assert failures.lines == {
        f"song {number}": f"song {number}: out of memory with one chunk at once" for number in range(3)
    }


def test_finished_estimates_score_as_they_should(of_files):
    _, failures, scored, summary = of_files
    assert not failures and scored == [("estimates", f"song {number}") for number in range(3)]
    assert summary["summary"]["estimate"]["csdr_vocals_median"] == pytest.approx(20, abs=1e-3)
    assert summary["summary"]["estimate"]["usdr_vocals_mean"] == pytest.approx(20, abs=1e-3)
    assert summary["runs"].keys() == {"estimates"} and summary["spread"] == {}
