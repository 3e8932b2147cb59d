import dataclasses
import json

import numpy as np
import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.records import Excerpt, Record, load_record, load_records, record_path, save_record

RECORD = Record(
    track="a song",
    run="seed_3",
    settings="abc",
    files="def",
    seconds=2.5,
    sample_rate=8000,
    stems=["vocals"],
    scores={"estimate": {"csdr_vocals": float("nan"), "usdr_vocals": float("inf")}},
    frames={"sdr_vocals": [1.25, float("-inf")]},
    excerpts=(Excerpt(1, 0.0, 1.25, {"mixture": "excerpts/x.flac"}),),
    times={"score": 0.5},
    made={"commit": "1234"},
)


def test_a_record_comes_back_as_it_was(tmp_path):
    save_record(tmp_path, RECORD)
    path = record_path(tmp_path, "seed_3", "a song")
    text = path.read_text()
    json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
    (back,) = load_records(tmp_path)
    assert np.isnan(back.scores["estimate"]["csdr_vocals"])
    back.scores["estimate"]["csdr_vocals"] = RECORD.scores["estimate"]["csdr_vocals"]
    assert back == RECORD
    assert [file.name for file in path.parent.iterdir()] == ["a song.json"]


def test_a_song_may_be_called_like_a_number(tmp_path):
    save_record(tmp_path, dataclasses.replace(RECORD, track="inf", scores={}))
    assert load_records(tmp_path)[0].track == "inf"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"track": "a"}'])
def test_what_is_no_record_is_told_in_one_line(tmp_path, text):
    path = tmp_path / "tracks" / "seed_0" / "a.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.json: is no record of scores"):
        load_record(path)
