import dataclasses
import json
import shutil

import numpy as np
import pytest

from diffvs_jax import report as command
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.records import load_records, read_json, save_record, write_json
from diffvs_jax.evaluation.report.markup import element
from diffvs_jax.evaluation.report.page import write_report
from diffvs_jax.evaluation.report.results import summary_table
from diffvs_jax.evaluation.report.scores import load_scores
from tests.evaluation.report.fabricated import ODD_NAMES, write_scores, write_sweep
from tests.evaluation.report.parsed import parse, read, rows, table_of

COUNTS = {"csdr_vocals_median": 3, "csdr_vocals_mean": 4}


@pytest.fixture(scope="module")
def page(report):
    return parse(report.read_text())


@pytest.fixture
def tiny(tmp_path):
    """One run of one track without sounds, to be changed."""
    return write_scores(tmp_path / "tiny", ["song"], (0,), excerpts=0)


def written(folder):
    return parse(write_report(folder).read_text())


def changed(folder, **changes):
    write_json(folder / "summary.json", {**read_json(folder / "summary.json"), **changes})
    return folder


def sections(page):
    return [section.get("id") for section in page.iter("section")]


def test_every_part_is_there(page):
    assert sections(page) == ["summary", "published", "tracks", "seconds", "listen", "sweep", "about"]
    links = [link.get("href") for link in page.find(".//nav")]
    assert links == [f"#{name}" for name in sections(page)]


def test_nothing_is_fetched_from_elsewhere(page):
    sources = [element.get("src") for element in page.iter() if element.get("src")]
    assert len(sources) == 6 * 6 and all(source.startswith("data:") for source in sources)
    assert {element.tag for element in page.iter()}.isdisjoint({"link", "iframe", "object", "base"})
    assert "url(" not in read(page.find(".//style")) and "@import" not in read(page.find(".//style"))


def test_names_of_tracks_are_text(page):
    assert {row[0] for row in rows(table_of(page, "All tracks"))[1:]} == set(ODD_NAMES)
    assert len(list(page.iter("script"))) == 1 and not list(page.iter("i"))


def test_links_lead_somewhere(page):
    anchors = {element.get("id") for element in page.iter()}
    links = [link.get("href") for link in page.iter("a")]
    assert len(links) == 7 + 1 + 2 * 3 + 6  # sections, the paper, dots, excerpts
    assert [link for link in links if link[1:] not in anchors and not link.startswith("https://arxiv.org/")] == []


def test_no_two_elements_have_one_anchor(compared):
    anchors = [element.get("id") for element in parse(compared.read_text()).iter() if element.get("id")]
    assert len(anchors) == len(set(anchors))


def test_the_summary_has_the_spread_over_seeds_and_the_baselines(page, scores_folder):
    about = read_json(scores_folder / "summary.json")
    lines = rows(table_of(page, "Scores of this run and its baselines"))
    assert lines[0] == ["", "cSDRmedian, dB", "cSDRmean, dB", "uSDRmean, dB", "uSDRmedian, dB", "SI-SDRmean, dB"]
    mean, spread = (part["csdr_vocals_median"] for part in (about["summary"]["estimate"], about["spread"]))
    assert lines[2][:2] == ["this run", f"{mean:.2f} ± {spread:.2f}"]
    assert [line[0] for line in lines[1:7]] == [
        "vocals", "this run", "one step", "oracle mask", "mixture as it is", "silence"
    ]  # fmt: skip
    assert lines[6][1] == f"{about['summary']['silence']['csdr_vocals_median']:.2f}".replace("-", "−")
    assert lines[7] == ["instrumental"]


def test_tracks_have_the_mean_over_runs(page, scores_folder):
    records = [record for record in load_records(scores_folder) if record.track == ODD_NAMES[0]]
    mean = np.mean([record.scores["estimate"]["csdr_instrumental"] for record in records])
    table = table_of(page, "All tracks")
    (row,) = [row for row in table.iter("tr") if read(row[0]) == ODD_NAMES[0]]
    place = [read(head) for head in next(table.iter("tr"))].index("cSDRinstrumental")
    assert float(row[place].get("data-value")) == pytest.approx(mean, rel=1e-4)
    assert [read(cell) for cell in row].count("∞") == 1
    (silent,) = [row for row in table.iter("tr") if read(row[0]) == ODD_NAMES[3]]
    assert [cell.get("data-value") for cell in silent[2:]] == [""] * 6


def test_what_made_the_scores_is_told(page):
    told = dict(rows(table_of(page, "About these scores")))
    assert told["config hash"] == "0123456789abcdef" and told["seeds"] == "0, 1" and told["commit"] == "abc1234"
    assert told["sampler"].startswith("name heun, num_steps 7, sigma_min 0.002")
    assert told["time"].startswith("audio 1:06:40") and told["scored"] == "whole tracks"
    line = "runs/fabricated, step 1000 · config 0123456789ab · seeds 0, 1 · heun, 7 steps · diffvs_jax 0.1.0 (abc1234)"
    assert line in read(page.find(".//header"))


def test_numbers_of_fewer_tracks_than_there_are_say_so(page, scores_folder):
    of_four = rows(table_of(page, "Scores of this run and its baselines"))[2]
    assert not any("of 4 tracks" in cell for cell in of_four)
    about = read_json(scores_folder / "summary.json")
    changed = dataclasses.replace(load_scores(scores_folder), about={**about, "counts": {"estimate": COUNTS}})
    line = rows(parse(element("main", summary_table(changed))))[2]
    assert line[1].endswith("3 of 4 tracks") and not line[2].endswith("tracks")


def test_what_is_not_scored_yet_is_said(tiny):
    assert "2 tracks of 3 not scored yet." in read(written(changed(tiny, num_tracks=3)))
    assert "1 track of 3 not scored yet." in read(written(changed(tiny, failed={"other": "other: why"})))


def test_a_summary_of_another_version_is_told(tiny):
    write_json(tiny / "summary.json", {"summary": {}, "tracks": ["song"]})
    assert "written by another version" in read(written(tiny))


def test_the_day_is_that_of_the_summary(tiny):
    assert "5 November 2026" in read(written(tiny).find(".//header"))
    assert "2026" not in read(written(changed(tiny, date="some day")).find(".//header"))


def test_published_figures_are_marked_as_theirs(page):
    note = read(page.find(".//section[@id='published']/p"))
    assert "nothing in these tables was measured here" in note
    lines = [row[:5] for row in rows(table_of(page, "Published cSDR of vocals"))]
    assert ["Diff-VS", "generative", "MUSDB18-HQ + MoisesDB, 235 h", "57 M", "10.88"] in lines
    assert ["HDemucs", "discriminative", "MUSDB18-HQ", "42 M", "8.13"] in lines


def test_whether_they_can_be_compared(tiny, tmp_path):
    def note(folder):
        return read(written(folder).find(".//section[@id='published']/p"))

    assert "Not comparable with this run: 1 track scored, not 50." in note(tiny)
    several = note(changed(tiny, seconds=30.0, split="valid", root="/data/mine", stems=["instrumental"]))
    for reason in ("no vocals", "30 s of each track", "the split is 'valid'", "the folder 'mine'"):
        assert reason in several
    whole = write_scores(tmp_path / "whole", [f"song {n}" for n in range(50)], (0,), excerpts=0, num_seconds=5)
    assert "Not comparable" not in note(whole)


def test_records_alone_make_a_page(tiny):
    (tiny / "summary.json").unlink()
    page = written(tiny)
    assert sections(page) == ["published", "tracks", "seconds", "about"]
    assert read(page.find(".//h1")) == "Scores of tiny"


def test_a_summary_alone_makes_a_page(tiny):
    shutil.rmtree(tiny / "tracks")
    assert sections(written(tiny)) == ["summary", "published", "about"]


def test_finished_estimates_have_no_sampler(tiny):
    (record,) = load_records(tiny)
    shutil.rmtree(tiny / "tracks")
    save_record(tiny, dataclasses.replace(record, run="estimates"))
    kept = {"estimates": "/elsewhere/theirs", "stems": ["vocals"], "seconds": 0.0, "checkpoint": ""}
    write_json(tiny / "summary.json", kept)
    page = written(tiny)
    assert read(page.find(".//h1")) == "Scores of theirs"
    assert "sampler" not in dict(rows(table_of(page, "About these scores")))


def test_scores_that_are_new_are_shown_by_their_names(tiny):
    (record,) = load_records(tiny)
    estimate = {**record.scores["estimate"], "embedding_vocals": 0.08312, "fancy_score_vocals": 1.0}
    save_record(tiny, dataclasses.replace(record, scores={"estimate": estimate}))
    lines = rows(table_of(written(tiny), "All tracks"))
    assert "0.0831" in lines[1] and "fancy scorevocals" in lines[0] and "embedding MSEvocals" in lines[0]


def test_a_folder_without_scores_is_told(tmp_path):
    with pytest.raises(InputError, match=r"holds no scores"):
        write_report(tmp_path)
    write_sweep(tmp_path)
    with pytest.raises(InputError, match=r"holds a sweep and no scores; look at its sweep\.png"):
        write_report(tmp_path)


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_broken_summary_is_told(tiny, content):
    (tiny / "summary.json").write_text(content)
    with pytest.raises(InputError, match=r"summary\.json: .*remove it"):
        write_report(tiny)


def test_an_older_report_stays_where_a_sound_is_broken(tmp_path):
    folder = write_scores(tmp_path / "one", ["song"], (0,), excerpts=1)
    before = write_report(folder).read_bytes()
    next((folder / "excerpts").rglob("*.flac")).write_text("no sound")
    with pytest.raises(InputError, match=r"excerpts/"):
        write_report(folder)
    assert (folder / "report.html").read_bytes() == before
    assert not list(folder.glob("*.part"))


def test_a_name_that_is_no_text_can_be_written(tiny):
    path = next((tiny / "tracks").rglob("*.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "track": "caf\udce9"}))
    assert "caf\\udce9" in read(written(tiny))


def test_records_of_another_evaluation_into_the_folder_are_left_out(tiny):
    (record,) = load_records(tiny)
    for stale in ({"track": "stale song"}, {"run": "seed_9"}):
        save_record(tiny, dataclasses.replace(record, **stale))
    scores = load_scores(changed(tiny, tracks=["song"]))
    assert (list(scores.runs), scores.tracks) == ([record.run], ["song"])


def test_runs_are_in_the_order_of_the_summary(tmp_path):
    seeds = tuple(range(11))
    folder = write_scores(tmp_path, ["song"], seeds, excerpts=0)
    assert list(load_scores(folder).runs) == [f"seed_{seed}" for seed in seeds]


def test_the_command_writes_beside_the_scores_and_says_where(tiny, capsys):
    command.main([str(tiny)])
    assert capsys.readouterr().out.strip() == str(tiny / "report.html")


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["/nowhere"]])
def test_the_command_wants_one_folder(arguments):
    with pytest.raises(InputError, match="folder"):
        command.main(arguments)
