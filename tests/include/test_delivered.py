from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession

from include.contracts.compile import contracts_json
from madrugada_spark.contract import Contracts, JobError, read_contracts
from madrugada_spark.delivered import (
    PLACES,
    accepted,
    at_places,
    broken_places,
    changed_types,
    checked_rows,
    duplicates,
    numbered_lines,
    rejected,
)

VENDAS = "id;id_cliente;id_loja;id_produto;dt_venda"
ORDERS = "id,product,quantity,price,date"


@pytest.fixture(scope="module")
def compiled() -> Contracts:
    return read_contracts(contracts_json())


def lines(spark: SparkSession, *text: str) -> DataFrame:
    return spark.createDataFrame(
        [(number, line) for number, line in enumerate(text, 1)], "_line bigint, _raw string"
    )


def check(spark: SparkSession, compiled: Contracts, name: str, *text: str) -> tuple[Any, Any]:
    """Kept rows as tuples of the contract's columns and warnings; rejected as (line, rule)."""
    dataset = compiled.datasets[name]
    rows = checked_rows(lines(spark, *text), dataset)
    kept = accepted(rows).select(*dataset.column_names, "_warnings").collect()
    out = rejected(rows, dataset).select("_line", "_rule", "_column", "_reason").collect()
    return [tuple(row) for row in kept], [tuple(row) for row in out]


def test_values_are_typed_by_the_contract(spark, compiled) -> None:
    kept, out = check(
        spark,
        compiled,
        "clientes",
        "id;nome;sexo;dt_nasc",
        "1;Lavinia Sousa;F;5/2/1975",
        "2;João  da Silva ;M;12/31/1999",
        "3;Ana;F;",
        " 4 ;;;2/29/2000",
    )
    assert out == []
    assert kept == [
        (1, "Lavinia Sousa", "F", date(1975, 5, 2), None),
        (2, "João  da Silva ", "M", date(1999, 12, 31), None),
        (3, "Ana", "F", None, None),
        (4, None, None, date(2000, 2, 29), "nome_missing"),
    ]


def test_money_is_kept_whole(spark, compiled) -> None:
    kept, out = check(
        spark,
        compiled,
        "produtos",
        "id;produto;valor",
        "1;mouse;20",
        "5;monitor;1500.0",
        "10;xxx-231a;3211352",
        "11;limit;100000.00",
        "12;caro;9999999999.99",
    )
    assert out == []
    assert kept == [
        (1, "mouse", Decimal("20.00"), None),
        (5, "monitor", Decimal("1500.00"), None),
        (10, "xxx-231a", Decimal("3211352.00"), "valor_suspicious"),
        (11, "limit", Decimal("100000.00"), None),
        (12, "caro", Decimal("9999999999.99"), "valor_suspicious"),
    ]


BAD_SALES = [
    (";;;;", "empty_row", "the line holds separators alone"),
    ("", "empty_row", "the line holds separators alone"),
    ("  ; ;", "empty_row", "the line holds separators alone"),
    ("1;2;3", "malformed_row", "expected 5 fields separated by ';', found 3"),
    ("1;2;3;4;01/02/2018;x", "malformed_row", "expected 5 fields separated by ';', found 6"),
    (";2;3;4;01/02/2018", "id_required", "id is empty, expected int"),
    ("x;2;3;4;01/02/2018", "id_type", "id is 'x', expected int"),
    ("1.0;2;3;4;01/02/2018", "id_type", "id is '1.0', expected int"),
    ("1;99999999999;3;4;01/02/2018", "id_cliente_type", "is '99999999999', expected int"),
    ("1;3000000000;3;4;01/02/2018", "id_cliente_type", "is '3000000000', expected int"),
    ("0;2;3;4;01/02/2018", "id_minimum", "id is '0', expected at least 1"),
    ("1;2;3;4;", "dt_venda_required", "dt_venda is empty, expected a date as dd/MM/yyyy"),
    ("1;2;3;4;31/02/2018", "dt_venda_type", "'31/02/2018', expected a date as dd/MM/yyyy"),
    ("1;2;3;4;1/2/2018", "dt_venda_type", "'1/2/2018', expected a date as dd/MM/yyyy"),
    ("1;2;3;4;2018-02-01", "dt_venda_type", "'2018-02-01', expected a date as dd/MM/yyyy"),
    ("1;2;3;4;01/02/12018", "dt_venda_type", "expected a date as dd/MM/yyyy"),
    ("1;2;3;4;01/02/1018", "dt_venda_minimum", "'01/02/1018', expected at least 1900-01-01"),
]


def test_a_row_that_breaks_a_rule_says_which_and_how(spark, compiled) -> None:
    good = "1;2;3;4;01/02/2018"
    bad = [line for line, _, _ in BAD_SALES]
    kept, out = check(spark, compiled, "vendas", VENDAS, good, *bad)
    assert kept == [(1, 2, 3, 4, date(2018, 2, 1), None)]
    columns = {rule.id: rule.column for rule in compiled.datasets["vendas"].rules}
    assert [(line, rule, column) for line, rule, column, _ in out] == [
        (number, rule, columns.get(rule)) for number, (_, rule, _) in enumerate(BAD_SALES, 3)
    ]
    for (_, _, _, said), (_, _, reason) in zip(out, BAD_SALES, strict=True):
        assert reason in said


def test_an_order_without_a_price_is_not_a_sale(spark, compiled) -> None:
    kept, out = check(
        spark,
        compiled,
        "sales_data",
        ORDERS,
        "1,Laptop,1,1200.00,2024-01-01",
        "2,Mouse,,25.00,2024-01-01",
        "3,Mouse,2,,2024-01-01",
        "4,Mouse,2,1.005,2024-01-01",
        "5,Mouse,2000000000,9999999999.99,2024-01-01",
        '6,"Cable, 2 m ""black""",1,-1,2024-01-01',
        '7,"Cable, 2 m ""black""",1,9.5,2024-01-01',
    )
    assert kept == [
        (1, "Laptop", 1, Decimal("1200.00"), date(2024, 1, 1), None),
        (7, 'Cable, 2 m "black"', 1, Decimal("9.50"), date(2024, 1, 1), None),
    ]
    assert [(line, rule) for line, rule, _, _ in out] == [
        (3, "quantity_required"),
        (4, "price_required"),
        (5, "price_type"),
        (6, "total_value_fits"),
        (7, "price_minimum"),
    ]


def test_text_is_measured_in_bytes_as_the_warehouse_does(spark, compiled) -> None:
    kept, out = check(
        spark, compiled, "lojas", "id;cidade", "1;" + "ã" * 128, "2;" + "ã" * 129, "3; "
    )
    assert [row[0] for row in kept] == [1]
    assert [(line, rule, reason) for line, rule, _, reason in out] == [
        (3, "cidade_max_bytes", "cidade has 258 bytes in UTF-8, expected at most 256"),
        (4, "cidade_required", "cidade is empty, expected string"),
    ]


def test_booleans_are_what_the_contract_says_and_nothing_else(spark, compiled) -> None:
    kept, out = check(spark, compiled, "promocao", "id_venda;promoção", "1;0", "2;1", "3;true")
    assert [row[:2] for row in kept] == [(1, False), (2, True)]
    assert out[0][1:] == ("promocao_type", "promocao", "promocao is 'true', expected 1 or 0")


def test_a_value_outside_the_allowed_is_kept_and_flagged(spark, compiled) -> None:
    kept, out = check(spark, compiled, "clientes", "id;nome;sexo;dt_nasc", "1;;X;")
    assert out == []
    assert kept == [(1, None, "X", None, "nome_missing;sexo_unknown")]


def test_repeated_keys_but_the_last_line_go_to_quarantine(spark, compiled) -> None:
    dataset = compiled.datasets["lojas"]
    text = ("id;cidade", "1;Natal", "2;Belém", "1;Recife", "1;", "1;Palmas")
    rows = checked_rows(lines(spark, *text), dataset)
    assert duplicates(rows, dataset).orderBy("_line").collect() == [
        Row(
            _line=number,
            _raw=text[number - 1],
            _rule="duplicate_key",
            _column="id",
            _reason="id 1 is also in line 6; the last line counts",
        )
        for number in (2, 4)
    ]


def test_columns_are_found_by_the_header_in_any_order(spark, compiled) -> None:
    """Another order, two columns that the contract does not know, and one that is not there."""
    dataset = compiled.datasets["clientes"]
    header = ["dt_nasc", "it's ${x} \\", "nome", "id", "ID"]
    text = [
        "5/2/1975;a;Ana;1; x ",
        "12/31/1999;;João;2;",
        '1/1/2000; ;Eva;3;"quoted; ""é"""',
        "1/1/2000;;Eva;4",
        "1/1/2000;;Eva;5;;6",
        "x;kept;Eva;6;",
    ]
    rows = checked_rows(lines(spark, ";".join(header), *text), dataset, header)
    kept = accepted(rows).select(*dataset.column_names, "_warnings", "_rescued").collect()
    assert [tuple(row) for row in kept] == [
        (1, "Ana", None, date(1975, 5, 2), None, '{"it\'s ${x} \\\\":"a","ID":" x "}'),
        (2, "João", None, date(1999, 12, 31), None, None),
        (3, "Eva", None, date(2000, 1, 1), None, '{"ID":"quoted; \\"é\\""}'),
    ]
    out = rejected(rows, dataset, header).select("_line", "_rule", "_reason").collect()
    assert [tuple(row) for row in out] == [
        (5, "malformed_row", "expected 5 fields separated by ';', found 4"),
        (6, "malformed_row", "expected 5 fields separated by ';', found 6"),
        (7, "dt_nasc_type", "dt_nasc is 'x', expected a date as M/d/yyyy"),
    ]


def quarantined(rows: DataFrame, name: Any) -> tuple[int, dict[str, int]]:
    counts = {
        r["_rule"]: r["count"] for r in rejected(rows, name).groupBy("_rule").count().collect()
    }
    return rows.count(), counts


PRODUCTS = [f"{n};mouse;{n}.00" for n in range(1, 6)]
CHANGED = [
    # Six of eleven values, and the first of them; blank and malformed lines are no values.
    (
        "produtos",
        ["id;produto;valor", *PRODUCTS, *(f"{n};x;R$ {n}" for n in range(6, 12)), ";;", "1;2", ""],
        [
            "column valor no longer looks like decimal(12,2): 6 of 11 values do not parse, such as "
            "'R$ 6'"
        ],
    ),
    # Half of the values is not more than half.
    ("produtos", ["id;produto;valor", *PRODUCTS, *(f"{n};x;R$ {n}" for n in range(6, 11))], []),
    # Four are mistakes in rows.
    ("produtos", ["id;produto;valor", *(f"{n};x;R$ {n}" for n in range(1, 5))], []),
    # A column that may be blank: five of six that are filled, among many rows.
    (
        "clientes",
        [
            "id;nome;sexo;dt_nasc",
            "1;Ana;F;1/2/1980",
            *(f"{n};Ana;F;" for n in range(2, 30)),
            *(f"{n};Ana;F;1980-01-0{n - 29}" for n in range(30, 35)),
        ],
        [
            "column dt_nasc no longer looks like a date as M/d/yyyy: 5 of 6 values do not parse, "
            "such as '1980-01-01'"
        ],
    ),
    # One value that is wrong is all that dt_nasc has, and no reason to stop.
    (
        "clientes",
        ["id;nome;sexo;dt_nasc", *(f"x{n};Ana;F;" for n in range(5)), "6;Ana;F;1980-01-01"],
        ["column id no longer looks like int: 5 of 6 values do not parse, such as 'x0'"],
    ),
    # Two at once: rows are counted for the first rule that they break.
    (
        "vendas",
        [VENDAS, *(f"{n};2;3;x;2018-02-0{n}" for n in range(1, 6))],
        [
            "column id_produto no longer looks like int: 5 of 5 values do not parse, such as 'x'",
            "column dt_venda no longer looks like a date as dd/MM/yyyy: 5 of 5 values do not parse,"
            " such as '2018-02-01'",
        ],
    ),
    # Hidden behind another rule that takes most rows.
    (
        "vendas",
        [VENDAS, *(f"{n};2;3;4;2018-02-01" for n in (0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5))],
        [
            "column dt_venda no longer looks like a date as dd/MM/yyyy: 11 of 11 values do not "
            "parse, such as '2018-02-01'"
        ],
    ),
    (
        "promocao",
        ["id_venda;promoção", *(f"{n};S" for n in range(1, 7)), *(f"{n};1" for n in range(7, 12))],
        ["column promoção no longer looks like 1 or 0: 6 of 11 values do not parse, such as 'S'"],
    ),
]


@pytest.mark.parametrize(("name", "text", "said"), CHANGED)
def test_a_column_that_changed_its_type_is_told_with_its_share(
    spark, compiled, name, text, said
) -> None:
    dataset = compiled.datasets[name]
    rows = checked_rows(lines(spark, *text), dataset)
    assert changed_types(rows, dataset, *quarantined(rows, dataset)) == said


def test_a_file_in_order_is_not_read_again_for_its_types(compiled) -> None:
    """No frame is given, so reading it would fail."""
    nothing: Any = None
    vendas = compiled.datasets["vendas"]
    assert changed_types(nothing, vendas, 1000, {"dt_venda_type": 490, "duplicate_key": 10}) == []
    assert changed_types(nothing, vendas, 1000, {}) == []
    with pytest.raises(AttributeError):
        changed_types(nothing, vendas, 1000, {"dt_venda_type": 500, "duplicate_key": 10})


def test_strange_lines_are_accounted_for(spark, compiled) -> None:
    strange = [
        "\x00",
        '"',
        '1;"Natal',
        '1;"Na"tal"',
        "1;Na\rtal",
        "1;" + "x" * 300_000,
        ";" * 30_000,
        "\\;\\",
        "#1;Natal",
        "1;'Natal'",
        "\uff19;Natal",
        "1\u00a0;Natal",
        "-1;Natal",
        "+1;Natal",
        "id;cidade",
    ]
    dataset = compiled.datasets["lojas"]
    rows = checked_rows(lines(spark, "id;cidade", *strange), dataset)
    kept, out = accepted(rows).count(), rejected(rows, dataset).collect()
    assert kept + len(out) == len(strange)
    assert all(row["_reason"] for row in out)
    assert {row["_line"] for row in out} >= {2, 8, 9, 10, 12, 14, 16}


@pytest.mark.slow
def test_lines_are_numbered_exactly_whoever_reads_them(spark, tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    wanted = {n: f"{n};" + "x" * (n % 97) for n in range(1, 120_001)}
    text = "\r\n".join(["\ufeffid;cidade", *list(wanted.values())[1:]])
    path.write_text(text, encoding="utf-8", newline="")
    before = spark.conf.get("spark.sql.files.maxPartitionBytes")
    spark.conf.set("spark.sql.files.maxPartitionBytes", str(1 << 20))
    try:
        many = numbered_lines(spark, str(path), path.stat().st_size)
        assert many.rdd.getNumPartitions() > 3
        assert many.count() == 120_000
        wrong = many.where("_line > 1 and _line <> cast(split(_raw, ';')[0] as bigint)").count()
        assert wrong == 0
        assert many.where("_raw like '%\\r%'").count() == 0
    finally:
        spark.conf.set("spark.sql.files.maxPartitionBytes", before)


def test_a_small_file_is_numbered_without_counting_first(spark, tmp_path: Path) -> None:
    path = tmp_path / "small.csv"
    path.write_bytes(b"\xef\xbb\xbfid;cidade\r\n1;Natal\r\n\r\n2;Recife")
    found = numbered_lines(spark, str(path), path.stat().st_size).collect()
    assert [tuple(row) for row in found] == [
        (1, "id;cidade"),
        (2, "1;Natal"),
        (3, ""),
        (4, "2;Recife"),
    ]


def test_broken_lines_are_found_again_by_their_places(spark, compiled) -> None:
    dataset = compiled.datasets["lojas"]
    text = {
        1: "id;cidade",
        2: "1;Natal",
        3: "x;Recife",
        4: "2;",
        PLACES + 3: "3;Olinda",
        9: "4;Una",
    }
    numbered = spark.createDataFrame(list(text.items()), "_line bigint, _raw string")
    rows = checked_rows(numbered, dataset)
    places = rows.selectExpr(f"{broken_places()} as places").first()["places"]
    assert set(places.split(",")) == {"3", "4"}
    again = at_places(numbered, places)
    assert sorted(row["_line"] for row in again.collect()) == [3, 4, PLACES + 3]
    out = rejected(checked_rows(again, dataset), dataset).collect()
    assert sorted(out) == sorted(rejected(rows, dataset).collect())
    assert len(out) == 2


def test_sources_that_no_contract_names_are_refused(compiled) -> None:
    with pytest.raises(
        JobError, match=r"expected a comma list of .*orders, stores, clickstream.*, found shops"
    ):
        compiled.datasets_of(["shops"])
    assert [d.name for d in compiled.datasets_of(["orders"])] == ["sales_data"]
    assert [t.name for t in compiled.gold_of(["orders"])] == ["processed_sales"]
    with pytest.raises(JobError, match="expected format 1, found 7"):
        read_contracts('{"format": 7}')
