from dfjax.corpora.synthetic import read_synthetic


def test_the_drawn_corpus_is_read_with_its_own_splits_and_drawn_once(tmp_path):
    clips = read_synthetic(tmp_path, identities=12, frames=1, jobs=1)
    assert len(clips) == 12 * 2 * 2
    assert {clip.key.split("/")[0] for clip in clips} == {"synthetic"}
    assert {(clip.split, clip.label) for clip in clips} == {
        (split, label) for split in ("train", "val", "test") for label in (0, 1)
    }
    people = {
        split: {
            source
            for clip in clips
            if clip.split == split
            for source in clip.origin_ids
            if source.startswith("person")
        }
        for split in ("train", "val", "test")
    }
    assert len(people["train"]) == 8
    assert not people["train"] & people["val"] | people["train"] & people["test"]
    times = {path.stat().st_mtime_ns for path in tmp_path.glob("clips/*.mp4")}
    assert read_synthetic(tmp_path, identities=12, frames=1, jobs=1) == clips
    assert {path.stat().st_mtime_ns for path in tmp_path.glob("clips/*.mp4")} == times
