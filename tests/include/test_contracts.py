from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml
from open_data_contract_standard.model import OpenDataContractStandard

from include.contracts.compile import (
    CONTRACTS_FOLDER,
    ContractError,
    compile_contracts,
    contracts_json,
    load_contract,
    load_contracts,
    main,
)
from madrugada_spark.contract import read_contracts

FILES = sorted(CONTRACTS_FOLDER.glob("*.yaml"))
STORES = ["clientes", "lojas", "produtos", "vendas", "pagamentos", "promocao"]
GOLD = ["processed_sales", "vendas_por_cidade_mes", "vendas_por_produto", "wide_vendas"]
STAR = ["dim_nome_filme", "dim_tempo", "fact_popularidade", "joined_df", "aggregated_order_df"]


def test_there_is_a_contract_for_each_dataset_and_table(contracts) -> None:
    assert contracts["sources"] == {
        "catalogue": ["movies", "series"],
        "orders": ["sales_data"],
        "stores": STORES,
    }
    assert contracts["streams"] == {"clickstream": ["events"]}
    assert contracts["fetched"] == {"tmdb": ["tmdb_movies"]}
    films = ["movies", "series", "tmdb_movies"]
    assert sorted(contracts["datasets"]) == sorted(["sales_data", *STORES, "events", *films])
    assert sorted(contracts["gold"]) == sorted([*GOLD, *STAR])
    assert len(FILES) == 20


def test_bronze_is_where_the_contract_has_it(contracts) -> None:
    found = {name: entry["bronze_key"] for name, entry in contracts["datasets"].items()}
    assert found["vendas"] == ("stores/vendas/ingest_date={delivery_date}/caso_estudo_vendas.csv")
    assert found["movies"] == "RAW/Local/CSV/Movies/{year}/{month}/{day}/movies.csv"
    assert found["tmdb_movies"] == "RAW/TMDB/JSON/{year}/{month}/{day}/movies.json"


def test_a_column_that_stays_in_bronze_is_known_and_has_no_rules(contracts) -> None:
    movies = contracts["datasets"]["movies"]
    assert "nomeArtista" in [column["header"] for column in movies["columns"]]
    assert "nomeartista" not in [column["Name"] for column in movies["glue_columns"]]
    assert "nomeartista" not in {rule["column"] for rule in movies["rules"]}
    dataset = read_contracts(json.dumps(contracts)).datasets["movies"]
    assert "nomeartista" not in dataset.column_names
    assert dataset.new_columns(["id", "nomeArtista", "outro"]) == ["outro"]
    assert dataset.null_text == "\\N"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_contract_is_valid_by_the_standard(path: Path) -> None:
    schema = json.loads(OpenDataContractStandard.json_schema())
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), schema)
    assert OpenDataContractStandard.from_file(str(path)).name == path.stem


def test_headers_are_those_of_the_files(contracts) -> None:
    headers = {
        d["file_name"]: d["delimiter"].join(c["header"] for c in d["columns"])
        for d in contracts["datasets"].values()
        if d["file_format"] == "csv" and d["source"] != "catalogue"
    }
    assert headers == {
        "sales_data.csv": "id,product,quantity,price,date",
        "caso_estudo_clientes.csv": "id;nome;sexo;dt_nasc",
        "caso_estudo_lojas.csv": "id;cidade",
        "caso_estudo_produtos.csv": "id;produto;valor",
        "caso_estudo_vendas.csv": "id;id_cliente;id_loja;id_produto;dt_venda",
        "caso_estudo_pagamentos.csv": "id;id_venda;dt_pgto",
        "caso_estudo_venda_promocao.csv": "id_venda;promoção",
    }


def test_the_rules_that_the_real_files_need(contracts) -> None:
    rules = {
        (name, rule["id"]): (rule["kind"], rule["severity"])
        for name, dataset in contracts["datasets"].items()
        for rule in dataset["rules"]
    }
    assert rules["sales_data", "price_required"] == ("required", "error")
    assert rules["sales_data", "quantity_required"] == ("required", "error")
    assert rules["sales_data", "total_value_fits"] == ("product_maximum", "error")
    assert rules["produtos", "valor_suspicious"] == ("maximum", "warn")
    assert rules["promocao", "id_venda_reference"] == ("reference", "warn")
    assert rules["vendas", "id_produto_reference"] == ("reference", "warn")
    assert ("clientes", "dt_nasc_required") not in rules


def test_gold_has_the_columns_that_were_asked_for_in_their_order() -> None:
    contracts = load_contracts()
    assert contracts["wide_vendas"].redshift_columns() == [
        ("id_venda", "int"),
        ("id_cliente", "int"),
        ("nome_cliente", "varchar(256)"),
        ("sexo_cliente", "varchar(256)"),
        ("dt_nasc", "date"),
        ("id_loja", "int"),
        ("cidade", "varchar(256)"),
        ("id_produto", "int"),
        ("dt_venda", "date"),
        ("produto", "varchar(256)"),
        ("valor", "decimal(12,2)"),
        ("promocao", "boolean"),
        ("dt_pgto", "date"),
        ("pago", "boolean"),
    ]
    assert contracts["processed_sales"].redshift_ddl("sales_schema") == (
        "create table if not exists sales_schema.processed_sales (\n"
        "    id int not null,\n"
        "    product varchar(256) not null,\n"
        "    quantity int not null,\n"
        "    price decimal(12,2) not null,\n"
        "    date date not null,\n"
        "    total_value decimal(12,2) not null,\n"
        "    primary key (id)\n"
        ")"
    )


def test_tables_with_a_business_date_are_partitioned_by_its_month(contracts) -> None:
    found = {
        name: entry["partition"]
        for layer in ("datasets", "gold")
        for name, entry in contracts[layer].items()
        if entry["partition"]
    }
    assert found == {
        "vendas": {"column": "dt_venda", "by": "month"},
        "pagamentos": {"column": "dt_pgto", "by": "month"},
        "sales_data": {"column": "date", "by": "month"},
        "events": {"column": "landing_date", "by": "month"},
        "tmdb_movies": {"column": "landing_date", "by": "day"},
        "wide_vendas": {"column": "dt_venda", "by": "month"},
        "processed_sales": {"column": "date", "by": "month"},
    }
    compiled = read_contracts(json.dumps(contracts))
    assert compiled.datasets["vendas"].partition_column == "dt_venda"
    assert compiled.gold["processed_sales"].partition_column == "date"
    assert compiled.datasets["lojas"].partition_column is None


def test_silver_tables_carry_their_delivery_and_warnings() -> None:
    assert load_contracts()["produtos"].glue_columns() == [
        {"Name": "id", "Type": "int"},
        {"Name": "produto", "Type": "string"},
        {"Name": "valor", "Type": "decimal(12,2)"},
        {"Name": "ingest_date", "Type": "date"},
        {"Name": "warnings", "Type": "string"},
        {"Name": "rescued_data", "Type": "string"},
    ]


def test_a_dataset_comes_after_those_it_refers_to(contracts) -> None:
    order = list(contracts["datasets"])
    for name, dataset in contracts["datasets"].items():
        for rule in dataset["rules"]:
            if rule["kind"] == "reference":
                assert order.index(rule["parameters"]["dataset"]) < order.index(name)


def test_the_document_is_the_same_every_time_and_on_the_command_line(tmp_path) -> None:
    out = tmp_path / "contracts.json"
    assert main(["--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == contracts_json() == contracts_json()
    assert json.loads(contracts_json()) == compile_contracts()


def changed(tmp_path: Path, name: str, old: str, new: str) -> Path:
    folder = tmp_path / "contracts"
    shutil.copytree(CONTRACTS_FOLDER, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    path = folder / f"{name}.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {path.name}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("lojas", "kind: DataContract", "kind: Contract", "kind: expected DataContract"),
        ("lojas", "name: lojas\nversion", "name: Lojas\nversion", "name: expected lower case"),
        ("lojas", "name: lojas\nversion", "name: shops\nversion", "expected 'lojas', the name of"),
        ("lojas", "value: silver", "value: bronze", "customProperties.layer: expected silver"),
        ("lojas", 'delimiter: ";"', 'delimiter: ";;"', "servers.landing.delimiter: expected one"),
        ("lojas", "value: utf-8", "value: latin-1", "customProperties.encoding: expected utf-8"),
        ("lojas", "value: 20", "value: 120", "maxQuarantinedPercent: expected 0 to 100"),
        ("lojas", "property: source", "property: sauce", "unknown property 'sauce'"),
        ("lojas", "physicalType: int", "physicalType: int4", "properties.id.physicalType"),
        ("lojas", "logicalType: integer", "logicalType: string", "properties.id.logicalType"),
        ("lojas", "{minimum: 1}", "{minimum: one}", "logicalTypeOptions.minimum: expected a limit"),
        ("lojas", "{minimum: 1}", "{atLeast: 1}", "not supported: atLeast"),
        ("lojas", "primaryKeyPosition: 1", "primaryKeyPosition: 2", "primaryKeyPosition: expected"),
        ("lojas", "mustBeGreaterOrEqualTo: 1", "mustBe: 1", "quality.has_rows: expected severity"),
        ("lojas", "    physicalName: caso_estudo_lojas.csv", "", "schema.physicalName"),
        ("vendas", "dd/MM/yyyy", "DD-MM-YYYY", "properties.dt_venda.logicalTypeOptions.format"),
        ("vendas", "to: clientes.id", "to: pessoas.id", "no dataset 'pessoas'"),
        ("vendas", "to: clientes.id", "to: clientes.nome", "expected the key of clientes, id"),
        ("vendas", "value: warn", "value: error", "relationships.severity: expected warn"),
        ("vendas", "to: clientes.id", "to: pagamentos.id", "go round in a circle"),
        ("produtos", "severity: warn", "severity: info", "expected error or warn, found 'info'"),
        ("produtos", "decimal(12,2)", "decimal(12, 2)", "properties.valor.physicalType"),
        ("promocao", "- property: falseValue", "- property: noValue", "unknown property 'noValue'"),
        ("sales_data", "[quantity, price]", "[quantity, cost]", "multiply: cost: no such column"),
        ("wide_vendas", "value: [stores]", "value: [shops]", "no dataset has source 'shops'"),
        ("lojas", "    properties:\n", "    properties:\n      - 7\n", "not shaped as an ODCS v3"),
        (
            "vendas",
            "value: month",
            "value: week",
            "properties.dt_venda.partitionBy: expected month or day",
        ),
        (
            "vendas",
            "partitioned: true",
            "partitioned: 1",
            "properties.dt_venda: expected partitioned",
        ),
        ("lojas", "schema:", "schema: [", "not readable as YAML"),
        ("events", "new_line", "none", "servers.bronze: expected format json with delimiter"),
        ("events", "/hour={hour}", "", "servers.bronze.location: expected s3://{prefix}-bronze/"),
        ("events", "value: counted", "value: dropped", "duplicates: expected quarantined or count"),
        ("events", "SSSSSS", "SSS", "event_timestamp.logicalTypeOptions.format: expected one of"),
        ("events", "value: hash_with_salt", "value: hash", "user_custom_id.privacy: expected hash"),
        ("events", "varchar(45)", "varchar(15)", "truncate_ip' on varchar(15)"),
        ("events", "value: delivery_date", "value: today", "landing_date.valueOf: expected deliv"),
        ("events", "daysAfterDelivery: 1", "daysAfterDelivery: x", "expected days, on a date or"),
        ("events", "value: warn", "value: maybe", "typeSeverity.severity: expected error or warn"),
        (
            "movies",
            "/{day}/movies.csv",
            "/movies.csv",
            "servers.bronze.location: expected s3://{pr",
        ),
        ("movies", "{prefix}-bronze/RAW", "bronze/RAW", "servers.bronze.location: expected s3://"),
        ("tmdb_movies", "/{year}/", "/{hour}/", "servers.bronze.location: expected s3://{prefix}"),
        ("movies", "value: '\\N'", "value: 7", "nullText: expected a text, of a file of csv"),
        ("movies", "value: false", "value: no way", "generoartista.inSilver: expected true or fal"),
        ("movies", "double", "float", "properties.notamedia.physicalType: expected int, bigint, d"),
    ],
)
def test_a_mistake_names_its_file_and_field(tmp_path, name, old, new, said) -> None:
    path = changed(tmp_path, name, old, new)
    with pytest.raises(ContractError) as raised:
        load_contracts(path.parent)
    assert said in str(raised.value)
    assert f"{name}.yaml" in str(raised.value) or "circle" in said


def test_a_contract_that_is_no_mapping_is_refused(tmp_path) -> None:
    (tmp_path / "x.yaml").write_text("- 1\n")
    with pytest.raises(ContractError, match=r"x\.yaml: expected a mapping"):
        load_contract(tmp_path / "x.yaml")
    with pytest.raises(ContractError, match="found none"):
        load_contracts(tmp_path / "empty")
