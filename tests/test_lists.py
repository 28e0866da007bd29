"""Lists and tables are read as spreadsheets and editors of any system write them."""

import os
import pathlib
import unicodedata

import pytest

from dfjax import lists

LINES = ["a.mp4", "clip #2.mp4", "c, d; e.mp4", "na\u0308me.mp4"]
TABLE = [["path", "Label", "note"], ["a b.mp4", "1", ""], ["c,d;e\tf.mp4", "0.0", "é"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_list_has_the_same_lines_however_it_is_saved(tmp_path, encoding, end):
    file = tmp_path / "list.txt"
    text = end.join(["# a comment", "", f" {LINES[0]} ", *LINES[1:], ",;\t", "# last"])
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    file.write_bytes(f"{mark}{text}{end}".encode(encoding))
    assert list(lists.read_lines(file)) == [
        (f"{file} line {number}", line) for number, line in enumerate(LINES, start=3)
    ]


def test_line_ends_are_those_of_files_and_quotes_those_of_spreadsheets(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text('a\u2028b\x0bc\x1cd\x85.mp4\n"e, ""f"".mp4"\n"g".mp4\n', encoding="utf-8")
    names = [name for _, name in lists.read_lines(file)]
    assert names == ["a\u2028b\x0bc\x1cd\x85.mp4", 'e, "f".mp4', '"g".mp4']


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("quote", [False, True])
def test_a_table_has_the_same_rows_however_it_is_saved(tmp_path, delimiter, end, encoding, quote):
    def cell(text: str) -> str:
        return f'"{text}"' if quote or delimiter in text else text

    rows = [delimiter.join(map(cell, row)) for row in TABLE]
    empty = 2 * delimiter
    text = end.join([f"sep={delimiter}", '# comment, "quote', rows[0], "", *rows[1:], empty, empty])
    file = tmp_path / "table.csv"
    file.write_bytes(f"{text}{end}".encode(encoding))
    assert lists.read_table(file, ["path", "label"]) == [
        (f"{file} line {line}", dict(zip(["path", "label", "note"], row, strict=True)))
        for line, row in zip((5, 6), TABLE[1:], strict=True)
    ]


def test_a_short_row_lacks_what_is_optional_and_blanks_do_not_count(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text('\ufeffFilename, Label,more\n\na.mp4, 1\n"b, c.mp4",0,x,,\n', encoding="utf-8")
    assert lists.read_table(file, ["filename", "label"]) == [
        (f"{file} line 3", {"filename": "a.mp4", "label": "1", "more": ""}),
        (f"{file} line 4", {"filename": "b, c.mp4", "label": "0", "more": "x"}),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"name,label\n", "has the columns name, label: path and label are needed, parted by"),
        (b"path|label\n", r"has the columns path\|label: path and label are needed"),
        (b"", "has the columns none: path and label are needed"),
        (b"path,label\na.mp4\n", "line 2 has too few cells: path and label are needed"),
        (b"path,label\na, b.mp4,1\n", "line 2 has 3 cells and the header 2: put names that hold"),
        (b'path,label\n"a.mp4,1\nb.mp4,0\n', "is not CSV .*: save or download it again"),
        (b"path,label\na\0.mp4,1\n", "is not text in UTF-8 or UTF-16"),
    ],
)
def test_a_table_that_cannot_be_read_says_why(tmp_path, data, message):
    file = tmp_path / "table.csv"
    file.write_bytes(data)
    with pytest.raises(ValueError, match=message) as error:
        lists.read_table(file, ["path", "label"])
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"none.csv is missing"):
        lists.read_table(tmp_path / "none.csv", ["path", "label"])


def touch(folder: pathlib.Path, *names: str | bytes) -> list[str]:
    names = [os.fsdecode(name) for name in names]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return names


def test_a_name_is_found_in_either_normal_form_and_in_latin_1(tmp_path):
    composed = "cafe\u0301/\u00e4.mp4"
    touch(tmp_path, composed)
    finder = lists.Finder(tmp_path)
    for form in ("NFC", "NFD"):
        assert finder.find(unicodedata.normalize(form, composed)) == composed
        assert finder.find(unicodedata.normalize(form, composed).replace("/", "\\")) == composed
    old = os.fsdecode("caf\u00e9/\u00e4.mp4".encode("latin-1"))
    assert finder.find(old) == composed
    touch(tmp_path / "old", old)
    assert lists.Finder(tmp_path / "old").find(composed) == old
    assert lists.Finder(tmp_path / "old").find(old) == old


def test_an_exact_name_goes_before_one_that_only_looks_alike(tmp_path):
    single, double, windows = touch(tmp_path, "\u00e4.mp4", "a\u0308.mp4", "a\\b.mp4")
    touch(tmp_path, "a/b.mp4")
    finder = lists.Finder(tmp_path)
    assert finder.find(single) == single
    assert finder.find(double) == double
    assert finder.find(windows) == windows
    assert finder.find("a\\c.mp4") == "a/c.mp4"  # none of them exists
    latin = os.fsdecode(b"\xe4.mp4")
    assert finder.find(latin) == latin  # two look like it: neither is guessed
