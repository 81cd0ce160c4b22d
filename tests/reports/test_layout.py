"""Which columns stand beside each other."""

from __future__ import annotations

from nferbench_reports.layout import Entry, Layout, Line, Unit, parts


def laid(*headings: str) -> Layout:
    """A table with a unit for each heading; the second row has something in the first unit alone."""
    units = tuple(Unit(heading, (str(i),)) for i, heading in enumerate(headings))
    full = Line("full", tuple((Entry(str(i)),) for i in range(len(units))))
    first = Line("first", tuple((Entry("x" * (i == 0)),) for i in range(len(units))))
    return Layout(units, (("", (full,)), ("group", (first,))))


def columns(parted: list[Layout]) -> list[list[str]]:
    return [[unit.titles[0] for unit in part.units] for part in parted]


def test_a_table_that_fits_stays_as_it_is() -> None:
    table = laid("a", "a", "b")
    assert parts(table, [5, 5, 5], 15) == [table]


def test_columns_of_one_heading_stay_together_where_they_fit() -> None:
    table = laid("a", "a", "b", "b", "c")
    assert columns(parts(table, [5] * 5, 15)) == [["0", "1"], ["2", "3", "4"]]
    assert columns(parts(table, [5] * 5, 9)) == [["0"], ["1"], ["2"], ["3"], ["4"]]
    assert columns(parts(laid("a", "a", "a", "b"), [5] * 4, 10)) == [["0", "1"], ["2", "3"]]


def test_what_is_wider_than_the_room_stands_alone() -> None:
    assert columns(parts(laid("a", "b", "c"), [5, 50, 5], 10)) == [["0"], ["1"], ["2"]]


def test_each_part_has_the_lines_that_have_something_there() -> None:
    one, two = parts(laid("a", "b"), [5, 5], 5)
    assert [line.title for line in one.lines()] == ["full", "first"]
    assert [(label, [line.title for line in lines]) for label, lines in two.blocks] == [("", ["full"])]
