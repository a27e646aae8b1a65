"""The page keeps what was not run again, and names the grammars that there are."""

from fuzz import page

COLUMNS = ("decoder", "inputs")


def test_rows_replace_those_of_the_same_name_and_no_others():
    empty = f"# Page\n\n{page.DECODERS}\n\n\n{page.LIVE}\n\nold\n"
    first = page.with_rows(empty, COLUMNS, [("json", "1"), ("cbor", "2")])
    again = page.with_rows(page.with_rows(first, COLUMNS, [("live", "4")], page.LIVE), COLUMNS, [("cbor", "3")])
    head = ["| decoder | inputs |", "|---|---|"]
    wanted = ["# Page", "", page.DECODERS, "", *head, "| `cbor` | 3 |", "| `json` | 1 |", "", page.LIVE, "", *head, "| `live` | 4 |"]
    assert again.splitlines() == wanted


def test_every_grammar_is_described():
    text = page.PAGE.read_text(encoding="utf-8")
    rooms = (page.PAGE.parents[2] / "fuzz" / "grammars").glob("[a-z]*.py")
    assert [
        path.name
        for path in rooms
        if f"`fuzz/grammars/{path.name}`" not in text and path.name not in ("leaves.py", "exchange.py", "live.py")
    ] == []
