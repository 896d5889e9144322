"""Makes one delivery of both sources, of any size, always the same for the same size and seed.

    python -m include.sample_data.generate --rows 1000 --out DIR [--seed 2026]

The traits are those of the real store files: semicolon, UTF-8 with a byte order mark, CRLF; 1000
customers (4 without a name, 4 without a sex, 4 without a birth date), 10 stores, 10 products of
which the last is oddly priced, ROWS sales that all match, 84.4 % of them paid, 12 empty payment
lines, and promotion lines for three times as many sale numbers as there are sales. `sales_data.csv`
is the orders file: comma, no mark, LF; its first 12 rows are always the same, the last two of them
without a price, and above 1000 rows it grows with ROWS. Rows are written as they are made, so
memory does not grow with ROWS.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

DEFAULT_ROWS = 1000
DEFAULT_SEED = 2026
CUSTOMERS = 1000
EMPTY_PAYMENTS = 12
PAID_PER_THOUSAND = 844
PROMOTION_LINES_PER_SALE = 3
BLOCK = 20_000

FIRST_DAY = date(2018, 1, 2)
SALE_DAYS = 1000
LONGEST_CREDIT_DAYS = 45

CITIES = (
    "São Paulo",
    "Campinas",
    "Belém",
    "Goiânia",
    "Florianópolis",
    "Natal",
    "Maceió",
    "Cuiabá",
    "Macapá",
    "Niterói",
)
PRODUCTS = (
    ("mouse sem fio", "45"),
    ("teclado mecânico", "310"),
    ("laptop básico", "2150"),
    ("laptop gamer", "6100"),
    ("monitor", "1290.5"),
    ("impressora", "640"),
    ("carregador", "99.9"),
    ("cadeira", "580"),
    ("mesa", "835.75"),
    ("zzz-907b", "2870431"),
)
FIRST_NAMES = {
    "F": ("Alice", "Beatriz", "Cecília", "Débora", "Elisa", "Fátima", "Helena", "Inês", "Lúcia"),
    "M": ("André", "Bruno", "César", "Davi", "Érico", "Fábio", "João", "Otávio", "Régis"),
}
LAST_NAMES = ("Araújo", "Brandão", "Conceição", "Duarte", "Esteves", "Falcão", "Guimarães", "Leão")
WITHOUT_NAME = (264, 265, 269, 270)
WITHOUT_SEX = (288, 291, 295, 302)
WITHOUT_BIRTH_DATE = (269, 270, 277, 283)

ORDERS_HEADER = "id,product,quantity,price,date"
FIRST_ORDERS = (
    "1,Laptop,1,1200.00,2024-01-01",
    "2,Mouse,2,25.00,2024-01-01",
    "3,Keyboard,1,75.00,2024-01-02",
    "4,Monitor,1,300.00,2024-01-02",
    "5,Laptop,1,1250.00,2024-01-03",
    "6,Mouse,3,20.00,2024-01-03",
    "7,Webcam,1,50.00,2024-01-04",
    "8,Headphones,1,100.00,2024-01-04",
    "9,Keyboard,2,70.00,2024-01-05",
    "10,Monitor,1,320.00,2024-01-05",
    "11,Webcam,1,,2024-01-05",
    "12,Headphones,2,,2024-01-05",
)
ORDER_PRODUCTS = ("Laptop", "Mouse", "Keyboard", "Monitor", "Webcam", "Headphones")
WITHOUT_PRICE_EVERY = 500


@dataclass
class Delivery:
    """What was made: data rows by file name, and the figures a night on it must arrive at."""

    folder: Path
    rows: dict[str, int] = field(default_factory=dict)
    sales: int = 0
    paid: int = 0
    sales_total: Decimal = Decimal(0)
    orders_total: Decimal = Decimal(0)
    orders_without_price: int = 0


def generate(folder: Path | str, rows: int = DEFAULT_ROWS, seed: int = DEFAULT_SEED) -> Delivery:
    """Writes the seven files of one delivery into `folder`, which is made when it is not there.

    :param rows: number of sales, at least 1.
    :raises ValueError: when rows is below 1.
    """
    if rows < 1:
        raise ValueError(f"rows: expected 1 or more, found {rows}")
    delivery = Delivery(Path(folder))
    delivery.folder.mkdir(parents=True, exist_ok=True)
    _store_file(delivery, "clientes", "id;nome;sexo;dt_nasc", _customers(seed))
    _store_file(
        delivery, "lojas", "id;cidade", (f"{i};{city}\r\n" for i, city in enumerate(CITIES, 1))
    )
    _store_file(
        delivery,
        "produtos",
        "id;produto;valor",
        (f"{i};{name};{price}\r\n" for i, (name, price) in enumerate(PRODUCTS, 1)),
    )
    _sales_and_payments(delivery, rows, seed)
    _store_file(delivery, "venda_promocao", "id_venda;promoção", _promotions(rows, seed))
    _orders(delivery, rows, seed)
    return delivery


def _store_file(delivery: Delivery, name: str, header: str, chunks: Iterator[str]) -> None:
    file_name = f"caso_estudo_{name}.csv"
    lines = 0
    with (delivery.folder / file_name).open("w", encoding="utf-8-sig", newline="") as file:
        file.write(f"{header}\r\n")
        for chunk in chunks:
            file.write(chunk)
            lines += chunk.count("\n")
    delivery.rows[file_name] = lines


def _customers(seed: int) -> Iterator[str]:
    random = Random(f"{seed} clientes")  # noqa: S311
    for i in range(1, CUSTOMERS + 1):
        sex = random.choice("FM")
        name = f"{random.choice(FIRST_NAMES[sex])} {random.choice(LAST_NAMES)}"
        born = date(1932, 1, 1) + timedelta(days=random.randrange(26_000))
        birth_date = f"{born.month}/{born.day}/{born.year}"
        yield (
            ";".join(
                (
                    str(i),
                    "" if i in WITHOUT_NAME else name,
                    "" if i in WITHOUT_SEX else sex,
                    "" if i in WITHOUT_BIRTH_DATE else f"{birth_date}",
                )
            )
            + "\r\n"
        )


def _sales_and_payments(delivery: Delivery, rows: int, seed: int) -> None:
    random = Random(f"{seed} vendas")  # noqa: S311
    days = [
        f"{FIRST_DAY + timedelta(days=n):%d/%m/%Y}" for n in range(SALE_DAYS + LONGEST_CREDIT_DAYS)
    ]
    customers = range(1, CUSTOMERS + 1)
    stores = range(1, len(CITIES) + 1)
    products = range(1, len(PRODUCTS) + 1)
    prices = [Decimal(price) for _, price in PRODUCTS]
    payment = 0
    sales_name, payments_name = "caso_estudo_vendas.csv", "caso_estudo_pagamentos.csv"
    with (
        (delivery.folder / sales_name).open("w", encoding="utf-8-sig", newline="") as sales,
        (delivery.folder / payments_name).open("w", encoding="utf-8-sig", newline="") as payments,
    ):
        sales.write("id;id_cliente;id_loja;id_produto;dt_venda\r\n")
        payments.write("id;id_venda;dt_pgto\r\n")
        for start in range(0, rows, BLOCK):
            size = min(BLOCK, rows - start)
            bought = random.choices(products, k=size)
            day = random.choices(range(SALE_DAYS), k=size)
            sales.writelines(
                f"{i};{customer};{store};{product};{days[d]}\r\n"
                for i, customer, store, product, d in zip(
                    range(start + 1, start + size + 1),
                    random.choices(customers, k=size),
                    random.choices(stores, k=size),
                    bought,
                    day,
                    strict=True,
                )
            )
            for number, price in enumerate(prices, 1):
                delivery.sales_total += price * bought.count(number)
            paid = (start + size) * PAID_PER_THOUSAND // 1000 - start * PAID_PER_THOUSAND // 1000
            chosen = sorted(random.sample(range(size), paid))
            credit = random.choices(range(LONGEST_CREDIT_DAYS + 1), k=paid)
            payments.writelines(
                f"{payment + n};{start + i + 1};{days[min(day[i] + later, len(days) - 1)]}\r\n"
                for n, i, later in zip(range(1, paid + 1), chosen, credit, strict=True)
            )
            payment += paid
        payments.write(";;\r\n" * EMPTY_PAYMENTS)
    delivery.sales = rows
    delivery.paid = payment
    delivery.rows[sales_name] = rows
    delivery.rows[payments_name] = payment + EMPTY_PAYMENTS


def _promotions(rows: int, seed: int) -> Iterator[str]:
    random = Random(f"{seed} promocao")  # noqa: S311
    lines = rows * PROMOTION_LINES_PER_SALE
    for start in range(0, lines, BLOCK):
        size = min(BLOCK, lines - start)
        flags = random.choices("01", cum_weights=(61, 100), k=size)
        yield "".join(
            f"{i};{flag}\r\n"
            for i, flag in zip(range(start + 1, start + size + 1), flags, strict=True)
        )


def _orders(delivery: Delivery, rows: int, seed: int) -> None:
    file_name = "sales_data.csv"
    random = Random(f"{seed} orders")  # noqa: S311
    total = max(len(FIRST_ORDERS), rows if rows > DEFAULT_ROWS else 0)
    days = [f"{date(2024, 1, 6) + timedelta(days=n)}" for n in range(360)]
    for order in FIRST_ORDERS:
        _, _, units, unit_price, _ = order.split(",")
        if unit_price:
            delivery.orders_total += int(units) * Decimal(unit_price)
        else:
            delivery.orders_without_price += 1
    cents_total = 0
    with (delivery.folder / file_name).open("w", encoding="utf-8", newline="") as file:
        file.write(f"{ORDERS_HEADER}\n")
        file.writelines(f"{order}\n" for order in FIRST_ORDERS)
        for start in range(len(FIRST_ORDERS) + 1, total + 1, BLOCK):
            size = min(BLOCK, total + 1 - start)
            lines = []
            for i, product, quantity, cents, day in zip(
                range(start, start + size),
                random.choices(ORDER_PRODUCTS, k=size),
                random.choices(range(1, 6), k=size),
                random.choices(range(500, 200_000), k=size),
                random.choices(days, k=size),
                strict=True,
            ):
                unit_price = f"{cents // 100}.{cents % 100:02}"
                if i % WITHOUT_PRICE_EVERY == 0:
                    unit_price = ""
                    delivery.orders_without_price += 1
                else:
                    cents_total += quantity * cents
                lines.append(f"{i},{product},{quantity},{unit_price},{day}\n")
            file.writelines(lines)
    delivery.orders_total += Decimal(cents_total) / 100
    delivery.rows[file_name] = total


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m include.sample_data.generate",
        description="Make one delivery of sample files, always the same for a size and seed.",
    )
    parser.add_argument("--rows", type=int, default=DEFAULT_ROWS, help="number of sales (1000)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the files to")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    arguments = parser.parse_args(argv)
    if arguments.rows < 1:
        parser.error(f"--rows: expected 1 or more, found {arguments.rows}")
    delivery = generate(arguments.out, arguments.rows, arguments.seed)
    for file_name, rows in delivery.rows.items():
        print(f"{rows:>12,} rows  {delivery.folder / file_name}")
    print(
        f"{delivery.sales:,} sales worth {delivery.sales_total:,.2f}, {delivery.paid:,} of them "
        f"paid; orders worth {delivery.orders_total:,.2f}, "
        f"{delivery.orders_without_price:,} of them without a price"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
