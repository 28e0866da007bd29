"""Tables say the same on the page, in Markdown and in LaTeX, whatever names they hold."""

import re

import markdown_it
import pytest

from dfjax import console
from dfjax.report import latex, markdown, report, tables
from dfjax.report.estimate import NONE, Estimate
from dfjax.report.table import Row, Table
from tests.html_page import Page
from tests.report import reports


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.91234, "0.912"),
        (0.99961, "0.9996"),
        (0.0004, "0.0004"),
        (1e-9, "0.000000"),
        (1.0, "1.000"),
        (0.0, "0.000"),
        (1.2346, "1.235"),
        (None, "–"),
    ],
)
def test_a_number_that_is_nearly_perfect_is_not_shown_as_perfect(value, text):
    assert str(Estimate(value)) == text
    assert str(Estimate(value, 0.25, 1.0)) == f"{text} (0.250–1.000)"
    assert str(Estimate(value, None, None)) == text


def test_a_table_by_hand():
    rows = (
        Row(("About",), "heading"),
        Row(("a_b", 1234, Estimate(0.5, 0.4, 0.6))),
        Row(("few", None, Estimate(None)), "quiet"),
    )
    content = Table("T & T", ("Name", "n", "AUC"), rows)
    assert markdown.table(content).splitlines() == [
        r"**T \& T**",
        "",
        "| Name | n | AUC |",
        "| :--- | ---: | ---: |",
        "| **About** |  |  |",
        r"| a\_b | 1,234 | 0.500 (0.400–0.600) |",
        "| *few* | *–* | *–* |",
    ]
    assert latex.table(content).splitlines() == [
        r"\begin{table}",
        r"\centering\footnotesize",
        r"\caption{T \& T}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"Name & n & AUC \\",
        r"\midrule",
        r"\multicolumn{3}{l}{\itshape About} \\",
        r"a\_b & 1,234 & 0.500\interval{0.400}{0.600} \\",
        r"\textit{few} & \textit{--} & \textit{--} \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_all_three_files_hold_every_number(tmp_path):
    measured = reports.make_robustness()
    report.write(reports.write(tmp_path, robustness=measured))
    page, *papers = ((tmp_path / name).read_text() for name in report.FILES)
    content = reports.make_report()
    shown = [
        tables.overview(content),
        *tables.of_dataset(content["datasets"][0]),
        tables.robustness(measured),
    ]
    cells = [cell for table in shown for row in table.rows for cell in row.cells]
    numbers = {cell.number for cell in cells if isinstance(cell, Estimate)} - {NONE}
    assert len(numbers) > 30
    for text in (Page(page).text, *papers):
        assert numbers <= set(re.findall(r"\d\.\d{3,6}", text))


def test_robustness_of_another_model_is_left_out(tmp_path):
    measured = reports.make_robustness()
    for weights, is_shown in (("a" * 64, True), ("b" * 64, False)):
        measured["model"]["weights"] = weights
        report.write(reports.write(tmp_path, robustness=measured))
        texts = [(tmp_path / name).read_text() for name in report.FILES]
        assert [("under distortions" in text) for text in texts] == [is_shown] * 3


def test_markdown_spells_out_the_protocol_of_each_dataset(tmp_path):
    other = reports.make_dataset("b:test")
    other["levels"]["video"]["interval"]["resampled"] = "identities"
    report.write(reports.write(tmp_path, [reports.make_dataset("a:test"), other]))
    text = (tmp_path / report.MARKDOWN).read_text()
    own = "Intervals of the video level hold 95% of 2,000 bootstrap draws of"
    assert f"On a:test:\n\n- {own} clips.\n\nOn b:test:\n\n- {own} identities.\n" in text
    assert text.count("Everything that decides was fitted on") == 1


def test_no_name_acts_in_markdown():
    content = Table("T", ("Name", "n"), (Row((reports.EVIL, 1)), Row(("www.e.vil", 2))))
    tokens = (
        markdown_it.MarkdownIt("commonmark", {"linkify": False})
        .enable("table")
        .parse(markdown.table(content))
    )
    cells = [token for token in tokens if token.type == "inline"][1:]
    inner = [token for cell in cells for token in cell.children]
    assert {token.type for token in inner} == {"text"}
    texts = ["".join(token.content for token in cell.children) for cell in cells]
    assert texts == ["Name", "n", console.visible(reports.EVIL), "1", "www.e.vil", "2"]
    assert "http://" not in markdown.escape("http://e.vil")  # it would become a link by itself
    assert "www." not in markdown.escape("www.e.vil")


def test_no_name_acts_in_latex():
    assert latex.escape(r"\input{a} ~^ 50% & #1 $x_2$ <|> [b] *c -- \x") == (
        r"\textbackslash{}input\{a\} \textasciitilde{}\textasciicircum{} 50\% \& \#1 \$x\_2\$ "
        r"\textless{}\textbar{}\textgreater{} {[}b{]} {*}c {-}{-} \textbackslash{}x"
    )
    assert latex.escape("a\nb\u202ec") == r"a\textbackslash{}nb\textbackslash{}u202ec"
