"""Deliveries that went wrong: hypothesis strategies for the bytes of a dataset's file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

WELL = {
    "int": ["7", "12", "+5", "007", " 3 ", "2147483647", "90"],
    "decimal(12,2)": ["0", "1.5", "19.90", "100000.01", "+2", " 3.10", "9999999999.99"],
    "boolean": ["0", "1"],
    "string": ["Natal", "São Paulo", " Belém ", "M", "F", "a 'b' c", "𐍈", "\\N", "x" * 256],
    "M/d/yyyy": ["5/2/1975", "12/31/1999", "2/29/2000", "01/05/2020"],
    "dd/MM/yyyy": ["05/02/1975", "31/12/1999", "29/02/2000", "01/01/1900", "31/12/2199"],
    "yyyy-MM-dd": ["1975-02-05", "1999-12-31", "2000-02-29", "1900-01-01", "2199-12-31"],
}
# Splits lines or blanks out fields in one language's library and not in another's.
STRANGE = ["\x00", "\x01", "\x0b", "\x0c", "\x1a", "\x1c", "\x1f", "\x7f", "\x85", "\xa0", "\xad"]
STRANGE += ["\u200b", "\u2007", "\u2028", "\u2029", "\u202e", "\u3000", "\ufeff", "\ufffe", "\r"]
STRANGE += ["\t", "\n", "\r\n", "\\", "#", "'", '"', '""', "ç", "c\u0327", "\U0010ffff"]
VALUES = ["", " ", "null", "NaN", "-", "+", '"', '""', '"a', 'a"', 'a"b', '"a"b', '"a" ', '"a;,b"']
VALUES += [
    '"a""b"',
    '"""',
    '" x "',
    "x" * 257,
    "ã" * 129,
    "\\",
    '\\"',
    '"\\"',
    '"a\nb"',
    '"a\r\nb"',
]
NUMBERS = ["-1", "-0", "0", "1e3", "1E+2", "1.0", "1.", ".5", "1,5", "1.005", "1_000", "0x10"]
NUMBERS += [
    "\u0663",
    "\uff19",
    "1 000",
    "99999999999",
    "2147483648",
    "-2147483649",
    "--1",
    "+-1",
    "Infinity",
]
NUMBERS += [
    "1d",
    "1L",
    "99999999999.99",
    "10000000000",
    "00000000001",
    "5\t",
    "\t5",
    "5\r",
    "\x005",
]
NUMBERS += ["5\x00", "5\x7f", "5\x85", "5\u2028", "5\xa0", "1.5\r", "1.5\u2028", '"5"', '" 5 "']
DATES = [
    "31/02/2018",
    "00/00/0000",
    "01/01/0001",
    "31/12/9999",
    "29/02/2019",
    "2/29/2019",
    "0/1/2000",
]
DATES += ["1/1/1", "01/02/18", "01/13/2018", "13/1/2018", "12/31/1899", "01/01/2200", "1/1/2200"]
DATES += ["2018-02-30", "0000-00-00", "0000-01-01", "9999-12-31", "2018-02-01T00:00:00", "20180201"]
DATES += [
    "epoch",
    "today",
    "now",
    "\u0660\u0661/\u0660\u0662/\u0662\u0660\u0661\u0668",
    "01-02-2018",
    "01/02/2018\u2028",
    "5/2/1975\r",
]
DATES += [
    "5/2/1975\u2028",
    "5/2/1975 ",
    " 05/02/1975",
    "+5/2/1975",
    "5/2/+1975",
    "2018-2-1",
    "5/2/19751",
]
NEW_COLUMNS = [
    "canal",
    "ID",
    "a;b",
    "a,b",
    'say "x"',
    "x.y",
    "`id`",
    "$",
    "\x00",
    "\u2028",
    "'",
    "_c0",
]
NEW_COLUMNS += ["f0", "corrupt", "_line", "\\", "{}", "a\tb", "ã", "x" * 5000]


@dataclass(frozen=True)
class MangledFile:
    """One delivered file, and what was done to it, for whoever reads of a failure."""

    dataset: str
    content: bytes
    done: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = self.content if len(self.content) <= 400 else self.content[:400] + b"..."
        return f"{self.dataset} after {', '.join(self.done) or 'nothing'}: {shown!r}"


@st.composite
def mangled_files(
    draw: st.DrawFn, datasets: list[dict[str, Any]], rows: int | None = None
) -> MangledFile:
    """A file of one of the datasets (as compiled), with up to four things done to it.

    :param rows: that many rows in order with keys of their own, for a night to be done with; by
        default up to six, of which about every eighth value is not as it should be.
    """
    dataset = draw(st.sampled_from(datasets))
    done: list[str] = []
    header = [column["header"] for column in dataset["columns"]]
    if rows is None:
        table = draw(st.lists(_row(dataset), min_size=1, max_size=6))
    else:
        table = [_sound_row(dataset, number) for number in range(1, rows + 1)]
    width = len(header)
    for change in draw(st.lists(st.sampled_from(_TABLE_CHANGES), max_size=1)):
        header, table = change(draw, [header, *table])
        done.append(change.__name__.strip("_"))
    end = draw(st.sampled_from([*["\r\n", "\n"] * 12, "\r"]))
    sign = dataset["delimiter"]
    if draw(st.integers(0, 39)) == 0:
        sign = draw(st.sampled_from(";,\t|"))
    text = [sign.join(_quoted(cell, sign) for cell in header)] + [sign.join(row) for row in table]
    content = "".join(line + end for line in text).encode()
    if draw(st.booleans()):
        content = b"\xef\xbb\xbf" + content
    most = 2 if rows is None else 3
    for change in draw(st.lists(st.sampled_from(_BYTE_CHANGES), max_size=most)):
        content = change(draw, content, width)
        done.append(change.__name__.strip("_"))
    if draw(st.integers(0, 29)) == 0:
        last = draw(st.sampled_from(_WHOLE_CHANGES))
        content = last(draw, content, width)
        done.append(last.__name__.strip("_"))
    return MangledFile(dataset["name"], content, tuple(done))


def sound_file(dataset: dict[str, Any], rows: int) -> bytes:
    """A file with nothing wrong in it, the rows' keys from 1."""
    sign = dataset["delimiter"]
    header = [column["header"] for column in dataset["columns"]]
    table = [header] + [_sound_row(dataset, number) for number in range(1, rows + 1)]
    return "".join(sign.join(row) + "\r\n" for row in table).encode()


def examples(strategy: st.SearchStrategy[Any], count: int, number: int) -> list[Any]:
    """The same `count` different examples for the same strategy and number, whatever ran before.

    A few of each seed, because hypothesis begins each with the plainest example, left out here, and
    after ten goes on with small changes of what it has.
    """
    found: dict[Any, None] = {}
    while len(found) < count:
        found |= dict.fromkeys(_ten(strategy, number)[1:])
        number += 1
    return list(found)[:count]


def _ten(strategy: st.SearchStrategy[Any], number: int) -> list[Any]:
    found: list[Any] = []

    @seed(number)
    @settings(
        max_examples=10,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found


def smaller(content: bytes) -> Iterator[bytes]:
    """The same bytes with something taken out, the biggest pieces first."""
    size = max(1, len(content) // 2)
    while True:
        for start in range(0, len(content), size):
            yield content[:start] + content[start + size :]
        if size == 1:
            return
        size //= 2


def _quoted(cell: str, sign: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if sign in cell or '"' in cell else cell


def _kind(column: dict[str, Any]) -> str:
    return str(column["format"] or column["type"])


def _odd_values(column: dict[str, Any]) -> list[str]:
    own = NUMBERS if column["type"] in ("int", "decimal(12,2)", "boolean") else DATES
    return VALUES + (STRANGE if column["type"] == "string" else own)


@st.composite
def _row(draw: st.DrawFn, dataset: dict[str, Any]) -> list[str]:
    cells = []
    for column in dataset["columns"]:
        odd = draw(st.integers(0, 7)) == 7
        values = _odd_values(column) if odd else WELL[_kind(column)]
        if not odd and column["name"] in dataset["key"]:
            values = [str(n) for n in range(1, 10)]
        cells.append(draw(st.sampled_from(values)))
    return cells


def _sound_row(dataset: dict[str, Any], number: int) -> list[str]:
    cells = []
    for column in dataset["columns"]:
        values = WELL[_kind(column)][:2]
        integer = column["type"] == "int"
        cells.append(str(number) if integer else values[number % len(values)])
    return cells


Table = tuple[list[str], list[list[str]]]


def _swap_columns(draw: Any, table: list[list[str]]) -> Table:
    order = draw(st.permutations(range(len(table[0]))))
    moved = [[row[place] for place in order] for row in table]
    return moved[0], moved[1:]


def _swap_headers_alone(draw: Any, table: list[list[str]]) -> Table:
    return list(draw(st.permutations(table[0]))), table[1:]


def _drop_column(draw: Any, table: list[list[str]]) -> Table:
    place = draw(st.integers(0, len(table[0]) - 1))
    left = [row[:place] + row[place + 1 :] for row in table]
    return left[0], left[1:]


def _add_column(draw: Any, table: list[list[str]]) -> Table:
    place = draw(st.sampled_from([0, 1, len(table[0])]))
    values = draw(
        st.lists(
            st.sampled_from(["", " ", "x", *VALUES, *STRANGE]),
            min_size=len(table) - 1,
            max_size=len(table) - 1,
        )
    )
    column = [draw(st.sampled_from(NEW_COLUMNS)), *values]
    wider = [[*row[:place], value, *row[place:]] for row, value in zip(table, column, strict=True)]
    return wider[0], wider[1:]


def _add_many_columns(draw: Any, table: list[list[str]]) -> Table:
    many = draw(st.sampled_from([30, 995, 1001, 2500]))
    return table[0] + [f"n{i}" for i in range(many)], [row + ["v"] * many for row in table[1:]]


def _repeat_column(draw: Any, table: list[list[str]]) -> Table:
    place = draw(st.integers(0, len(table[0]) - 1))
    wider = [[*row, row[place]] for row in table]
    return wider[0], wider[1:]


def _odd_header(draw: Any, table: list[list[str]]) -> Table:
    place = draw(st.integers(0, len(table[0]) - 1))
    name = table[0][place]
    odd = [f" {name} ", name.upper(), name + "\u2028", "\ufeff" + name, "", name[::-1], f'"{name}']
    odd += [
        "pre\x1b[31m" + name,
        name + "\xa0",
        "promoc\u0327a\u0303o",
        f"{name}\x00",
        f"{name}\rx",
    ]
    return [*table[0][:place], draw(st.sampled_from(odd)), *table[0][place + 1 :]], table[1:]


def _as_it_is(draw: Any, table: list[list[str]]) -> Table:
    return table[0], table[1:]


def _place(draw: Any, content: bytes) -> int:
    """Somewhere in the file; seldom in its header, which would refuse it whole."""
    first = 0 if draw(st.integers(0, 19)) == 0 else content.find(b"\n") + 1
    return draw(st.integers(min(first, len(content)), len(content)))


def _insert(draw: Any, content: bytes, width: int) -> bytes:
    at = _place(draw, content)
    token = draw(st.sampled_from([*STRANGE, *VALUES, ";", ",", ";;;;", "\n\n", "\r\r"]))
    return content[:at] + token.encode() + content[at:]


def _insert_text(draw: Any, content: bytes, width: int) -> bytes:
    at = _place(draw, content)
    text = draw(st.text(st.characters(codec="utf-8"), max_size=12))
    return content[:at] + text.encode() + content[at:]


def _insert_bytes(draw: Any, content: bytes, width: int) -> bytes:
    at = _place(draw, content)
    return content[:at] + draw(st.binary(max_size=6)) + content[at:]


def _cut_out(draw: Any, content: bytes, width: int) -> bytes:
    at = _place(draw, content)
    return content[:at] + content[at + draw(st.integers(1, 12)) :]


def _truncate(draw: Any, content: bytes, width: int) -> bytes:
    return content[: _place(draw, content)]


def _lines(content: bytes) -> list[bytes]:
    return content.split(b"\n")


def _repeat_line(draw: Any, content: bytes, width: int) -> bytes:
    lines = _lines(content)
    line = lines[draw(st.integers(0, len(lines) - 1))]
    at = draw(st.integers(min(1, len(lines) - 1), len(lines)))
    return b"\n".join([*lines[:at], line, *lines[at:]])


def _no_last_newline(draw: Any, content: bytes, width: int) -> bytes:
    return content.rstrip(b"\n") if draw(st.booleans()) else content.rstrip(b"\r\n")


def _blank_end(draw: Any, content: bytes, width: int) -> bytes:
    ends = [
        b"\n",
        b"\r\n\r\n",
        b" \n",
        b"\r",
        b"\x1a",
        b"\x00\x00",
        b";;;;\n",
        b"\n\n\n",
        b"\xc2\x85",
    ]
    return content + draw(st.sampled_from(ends))


def _other_line_end(draw: Any, content: bytes, width: int) -> bytes:
    lines = _lines(content)
    at = draw(st.integers(0, len(lines) - 1))
    end = draw(st.sampled_from([b"\r", b"\r\r\n", b"\n\r", b"\xe2\x80\xa8", b"\xc2\x85", b"\x0c"]))
    return b"\n".join([*lines[:at], lines[at] + end.removesuffix(b"\n"), *lines[at + 1 :]])


def _huge_field(draw: Any, content: bytes, width: int) -> bytes:
    at = _place(draw, content)
    piece, size = draw(
        st.sampled_from([(b"x", 140_000), (b'""', 70_000), ("ã".encode(), 70_000), (b'"', 131_073)])
    )
    return content[:at] + piece * size + content[at:]


def _many_separators(draw: Any, content: bytes, width: int) -> bytes:
    at = _place(draw, content)
    size = draw(st.sampled_from([width, 999, 2000, 2001, 25_000]))
    return content[:at] + draw(st.sampled_from([b";", b","])) * size + content[at:]


def _latin_1_line(draw: Any, content: bytes, width: int) -> bytes:
    lines = _lines(content)
    at = draw(st.integers(0, len(lines) - 1))
    lines[at] += "ção".encode("latin-1")
    return b"\n".join(lines)


def _latin_1(draw: Any, content: bytes, width: int) -> bytes:
    return content.decode("utf-8", "replace").encode("latin-1", "replace")


def _utf_16(draw: Any, content: bytes, width: int) -> bytes:
    encoding = draw(st.sampled_from(["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"]))
    return content.decode("utf-8", "replace").encode(encoding)


def _empty(draw: Any, content: bytes, width: int) -> bytes:
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf", b"\n", b"\r\n", b" "]))


def _header_alone(draw: Any, content: bytes, width: int) -> bytes:
    return content.split(b"\n")[0] + draw(st.sampled_from([b"", b"\n"]))


def _noise(draw: Any, content: bytes, width: int) -> bytes:
    return draw(st.binary(max_size=60))


TableChange = Callable[[Any, list[list[str]]], Table]
ByteChange = Callable[[Any, bytes, int], bytes]
_TABLE_CHANGES: list[TableChange] = [
    *(_as_it_is for _ in range(70)),
    *(_add_column for _ in range(4)),
    _swap_columns,
    _swap_headers_alone,
    _drop_column,
    _add_many_columns,
    _repeat_column,
    _odd_header,
]
_BYTE_CHANGES: list[ByteChange] = [
    *(_insert for _ in range(8)),
    *(_insert_text for _ in range(3)),
    _insert_bytes,
    *(_cut_out for _ in range(3)),
    _truncate,
    *(_repeat_line for _ in range(3)),
    _no_last_newline,
    _no_last_newline,
    _blank_end,
    _blank_end,
    *(_other_line_end for _ in range(3)),
    _huge_field,
    _many_separators,
]
_WHOLE_CHANGES: list[ByteChange] = [
    _latin_1_line,
    _latin_1,
    _utf_16,
    _empty,
    _header_alone,
    _noise,
]
