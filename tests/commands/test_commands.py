"""The commands as a user meets them: what they print, what they write, and how they refuse."""

import json
import shutil
import subprocess
import sys

import jax
import numpy as np
from matplotlib import image

from diffvs_jax.inference.artifact import make_artifact
from diffvs_jax.model import weights
from tests.commands.processes import CONFIG, HOUSE, Result, assert_refused, environment, python_m
from tests.commands.sounds import read, write_wav
from tests.helpers import write_song


def metrics(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_training_renders_songs_trains_and_shows_what_it_learned(first_run):
    workdir, result = first_run
    assert result.code == 0, result.err
    assert result.err == ""
    device = f"device: {jax.device_count()} x "
    for words in (
        device,
        "training songs: 1",
        "parameters:",
        "step=2 of=2",
        "validation_csdr=",
        "1 step  3 steps",
        "excerpt: vocals",
    ):
        assert words in result.out
    assert sorted(path.name for path in (workdir / "demo").iterdir()) == [
        "instrumental.wav",
        "scores.json",
        "spectrogram.png",
        "vocals.wav",
    ]
    assert {row["group"] for row in json.loads((workdir / "demo" / "scores.json").read_text())} == {
        "test songs",
        "excerpt",
    }
    audio, rate = read(workdir / "demo" / "vocals.wav")
    assert (audio.shape, rate) == ((441_000, 2), 44_100)
    assert image.imread(workdir / "demo" / "spectrogram.png").std() > 0.05
    assert (workdir / "checkpoints" / "2").is_dir()


def test_training_again_goes_on(command, workdir, tmp_path):
    shutil.copytree(workdir, tmp_path / "run")
    arguments = ("train", f"--config={CONFIG}", f"--workdir={tmp_path / 'run'}", "--config.train.num_steps=3")
    result = command(*arguments, "--config.demo.num_songs=0")
    assert result.code == 0, result.err
    assert "continuing from step 2" in result.out
    assert "step=3 of=3" in result.out
    assert (tmp_path / "run" / "checkpoints" / "3").is_dir()
    finished = command(*arguments, "--config.demo.num_songs=0")
    assert finished.code == 0, finished.err
    assert "continuing from step 3" in finished.out
    assert "step=3 of=3" not in finished.out


def test_a_model_without_vocals_has_a_demo_too(command, musdb_folder, tmp_path):
    config = (f"--config={CONFIG}", "--config.train.num_steps=1", "--config.data.targets=('drums',)")
    config += ("--config.model.channel_mult=(1,)",)  # compiles in half the time
    result = command("train", *config, f"--config.data.root={musdb_folder}", f"--workdir={tmp_path}")
    assert result.code == 0, result.err
    assert "test songs: drums" in result.out
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["scores.json"]


def test_an_export_separates_like_the_run_it_comes_from(command, workdir, tmp_path):
    exported = command("export", f"--checkpoint={workdir}", f"--output={tmp_path / 'new' / 'model'}")
    assert exported.code == 0, exported.err
    assert "step 2, targets vocals" in exported.out
    (csdr,) = [line["validation/csdr"] for line in metrics(workdir) if "validation/csdr" in line and line["step"] == 2]
    card = (tmp_path / "new" / "model" / "README.md").read_text()
    assert f"| cSDR, all steps | {csdr:.2f} |" in card and "1 procedural songs, 0.00 hours" in card
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["model"]
    song = write_wav(tmp_path / "song.wav")
    for name, checkpoint in (("run", workdir), ("export", tmp_path / "new" / "model")):
        assert command("separate", song, f"--checkpoint={checkpoint}", f"--output={tmp_path / name}").code == 0
    first, second = (read(tmp_path / name / "song" / "vocals.wav")[0] for name in ("run", "export"))
    assert first.any()
    np.testing.assert_array_equal(first, second)


def test_an_export_of_other_settings(command, workdir, tmp_path):
    flags = ("--formats=jax,safetensors", "--dtype=bfloat16", "--license=cc-by-4.0", "--set=sampler.num_steps=1")
    folder = tmp_path / "model"
    exported = command("export", f"--checkpoint={workdir}", f"--output={folder}", *flags)
    assert exported.code == 0, exported.err
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "model.safetensors", "program.jax_export"]
    card = (folder / "README.md").read_text()
    assert "license: cc-by-4.0" in card and "num_steps 1," in card and "Not scored with these settings" in card
    assert weights.load(folder).config.sampler.num_steps == 1
    model = weights.load(workdir)
    model.config.sampler.num_steps = 1
    assert (folder / "program.jax_export").read_bytes() == make_artifact(model)  # whose parameters are not rounded
    again = command("export", f"--checkpoint={folder}", f"--output={tmp_path / 'again'}", "--formats=safetensors")
    assert again.code == 0, again.err
    assert "Not scored" in (tmp_path / "again" / "README.md").read_text()


def test_a_mistake_ends_with_code_2_and_one_line(tmp_path):
    flags = (f"--checkpoint={tmp_path}", f"--output={tmp_path / 'out'}")
    assert_refused(python_m("diffvs_jax.separate", "missing.wav", *flags), "missing.wav: no such file")


def test_a_checkpoint_that_is_none_is_refused(command, workdir, musdb_folder, tmp_path):
    song, output = write_wav(tmp_path / "song.wav"), tmp_path / "out"
    shutil.copytree(workdir / "checkpoints" / "2", tmp_path / "other shape")
    saved = tmp_path / "other shape" / "config" / "metadata"
    assert '"channels": 16' in saved.read_text()
    saved.write_text(saved.read_text().replace('"channels": 16', '"channels": 32'))
    (tmp_path / "hollow").mkdir()
    for name, words in (("gone", "no such checkpoint"), ("hollow", "no checkpoint"), ("other shape", "does not fit")):
        checkpoint = f"--checkpoint={tmp_path / name}"
        assert_refused(command("separate", song, checkpoint, f"--output={output}"), name, words)
        assert_refused(command("export", checkpoint, f"--output={output}"), name, words)
        assert_refused(command("evaluate", checkpoint, f"--root={musdb_folder}", f"--output={output}"), name, words)
    assert not output.exists()


def test_export_and_evaluate_refuse_bad_folders(command, workdir, musdb_folder, tmp_path):
    output = tmp_path / "out"
    flags = (f"--checkpoint={workdir}", f"--output={output}")
    write_song(tmp_path / "silent singer" / "test" / "song", 0, stems=("drums", "other"))
    assert_refused(command("evaluate", *flags, f"--root={tmp_path / 'gone'}"), "no such data set folder")
    assert_refused(command("evaluate", *flags, f"--root={musdb_folder}", "--split=valid"), "no split 'valid'")
    assert_refused(command("evaluate", *flags, f"--root={tmp_path / 'silent singer'}"), "no stem 'vocals'")
    assert_refused(command("evaluate", *flags, f"--root={musdb_folder}", "extra"), "'extra' is not a flag")
    (tmp_path / "file").touch()
    assert_refused(
        command("evaluate", flags[0], f"--output={tmp_path / 'file'}", f"--root={musdb_folder}"), "not a folder"
    )
    assert_refused(command("export", flags[0], f"--output={tmp_path}"), "exists already")
    assert_refused(command("export", *flags, "--formats=onnx"), "formats 'onnx': give some of orbax,safetensors,jax")
    assert_refused(command("export", *flags, "--dtype=int8"), "--dtype", "bfloat16")
    assert_refused(command("export", *flags, "--license=my own"), "license 'my own'")
    assert_refused(command("export", *flags, "--set=sampler.num_steps=0"), "num_steps is 0")
    assert_refused(command("export", *flags, "--set=model.channels=8"), "--set=model.channels=8")
    assert not output.exists()


def test_train_refuses_a_config_that_cannot_be(command, tmp_path):
    (tmp_path / "broken.py").write_text("def get_config(:\n")
    (tmp_path / "file").touch()
    workdir = f"--workdir={tmp_path / 'run'}"
    config = f"--config={CONFIG}"
    for arguments, words in (
        ((), "config"),
        ((f"--config={tmp_path / 'gone.py'}",), "gone.py"),
        ((f"--config={tmp_path / 'broken.py'}",), "config"),
        ((config, "--config.data.rot=x"), "rot"),
        ((config, "--config.train.num_steps=many"), "many"),
        ((config, "--config.train.batch_size=0.5"), "0.5"),
        ((config, f"--config.data.root={tmp_path / 'gone'}"), "no such data set folder"),
        ((config, "more"), "'more' is not a flag"),
    ):
        assert_refused(command("train", workdir, *arguments), words)
    assert_refused(command("train", config, f"--workdir={tmp_path / 'file'}"), "not a folder")
    assert not (tmp_path / "run").exists()


def test_train_refuses_sizes_that_do_not_divide(command, musdb_folder, tmp_path):
    flags = (f"--config={CONFIG}", f"--workdir={tmp_path / 'run'}", f"--config.data.root={musdb_folder}")
    for override, words in (
        ("--config.audio.hop_length=60", "hop_length 60"),
        ("--config.audio.num_bands=3", "3"),
        ("--config.model.channels=18", "18"),
        ("--config.train.schedule=linear", "'linear'"),
        ("--config.train.mesh=(-1,3)", "(-1, 3)"),
        ("--config.data.targets=('piano',)", "'piano'"),
        ("--config.sampler.num_steps=0", "num_steps is 0"),
        ("--config.separation.step_frames=14", "cannot step"),
    ):
        assert_refused(command("train", *flags, override), words)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_train_refuses_a_workdir_of_another_model(command, workdir):
    flags = (f"--config={CONFIG}", f"--workdir={workdir}", "--config.model.channels=32")
    assert_refused(command("train", *flags), "does not fit the config", "16")


def test_train_begins_with_the_best_of_another_run(command, workdir, tmp_path):
    flags = (f"--config={CONFIG}", f"--workdir={tmp_path / 'run'}", "--config.train.num_steps=1")
    flags += ("--config.demo.num_songs=0", "--config.train.validate_every_steps=0")
    result = command("train", *flags, f"--config.init_from={workdir / 'best'}", "--config.init_optimizer=True")
    assert result.code == 0, result.err
    assert f"starting from the weights and optimiser state of {workdir / 'best' / '2'}, step 2" in result.out
    assert "step=1 of=1" in result.out
    other = (*flags[:1], f"--workdir={tmp_path / 'other'}", f"--config.init_from={workdir}")
    assert_refused(command("train", *other, "--config.model.channels=32"), "ema/0/", "on disk, the config needs")
    assert_refused(command("train", *other, "--config.init_from=nowhere"), "nowhere: no such checkpoint folder")


def test_a_full_disk_is_told_in_one_line(musdb_folder, tmp_path):
    flags = f"--config={CONFIG} --workdir={tmp_path} --config.data.root={musdb_folder} --config.demo.num_songs=0"
    limited = f"ulimit -f 60; {sys.executable} -m diffvs_jax.train {flags}"  # files of at most 60 blocks
    env = environment() | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1000"}  # it could not be written, either
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, env=env, cwd=HOUSE)
    assert_refused(Result(done.returncode, done.stdout, done.stderr), f"{tmp_path}: a checkpoint could not be written")
