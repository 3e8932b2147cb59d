import subprocess

import diffvs_jax
from diffvs_jax.evaluation import provenance


def git(folder, *arguments):
    identity = ("-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false")
    command = ["git", "-C", folder, *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_checkouts_commit_and_whether_it_was_changed(tmp_path, monkeypatch):
    module = tmp_path / "diffvs_jax" / "evaluation" / "provenance.py"
    module.parent.mkdir(parents=True)
    module.write_text("")
    monkeypatch.setattr(provenance, "__file__", str(module))
    assert provenance.commit() == ""  # no repository
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    assert len(provenance.commit()) == 12 and head.startswith(provenance.commit())
    (tmp_path / "new.txt").write_text("of no matter")
    assert head.startswith(provenance.commit())
    module.write_text("changed")
    assert provenance.commit() == f"{head[:12]}-dirty"
    elsewhere = tmp_path / "venv" / "diffvs_jax" / "evaluation" / "provenance.py"
    elsewhere.parent.mkdir(parents=True)
    monkeypatch.setattr(provenance, "__file__", str(elsewhere))
    assert provenance.commit() == ""  # of another project, in which the package is installed


def test_a_digest_tells_contents_apart_and_not_their_order():
    assert provenance.digest({"a": 1, "b": (2, 3)}) == provenance.digest({"b": [2, 3], "a": 1})
    assert provenance.digest({"a": 1}) != provenance.digest({"a": 2})
    assert provenance.versions()["diffvs_jax"] == diffvs_jax.__version__
