"""The page keeps what was not run again, and names the grammars that there are."""

from fuzz import page

COLUMNS = ("decoder", "inputs")


def test_rows_replace_those_of_the_same_name_and_no_others():
    first = page.with_rows(f"# Page\n\n{page.HEADING}\n\n", COLUMNS, [("json", "1"), ("cbor", "2")])
    again = page.with_rows(first, COLUMNS, [("cbor", "3")])
    assert again.startswith("# Page\n")
    assert again.splitlines()[-4:] == ["| decoder | inputs |", "|---|---|", "| `cbor` | 3 |", "| `json` | 1 |"]


def test_every_grammar_is_described():
    text = page.PAGE.read_text(encoding="utf-8")
    rooms = (page.PAGE.parents[2] / "fuzz" / "grammars").glob("[a-z]*.py")
    assert [path.name for path in rooms if f"`fuzz/grammars/{path.name}`" not in text and path.name != "leaves.py"] == []
