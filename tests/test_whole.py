import errno

import pytest

from diffvs_jax.whole import whole_file


def test_a_file_is_there_only_once_it_is_whole(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with whole_file(path) as unfinished:
        unfinished.write_text("half")
        assert not path.exists() and unfinished.parent == path.parent
    assert path.read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), whole_file(path) as unfinished:
        unfinished.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_with_the_files_name(tmp_path):
    with (
        pytest.raises(OSError, match="No space") as caught,
        whole_file(tmp_path / "file.txt"),
        open("/dev/full", "w") as f,
    ):
        f.write("more")
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(tmp_path / "file.txt")
    with pytest.raises(OSError, match=r"^in words$"), whole_file(tmp_path / "file.txt"):
        raise OSError("in words")
