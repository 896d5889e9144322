"""Personal data, as a contract marks it: expressions that change it before it is written."""

from __future__ import annotations

import re
from collections.abc import Iterable

import boto3
from botocore.exceptions import ClientError
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from madrugada_spark.contract import Column, JobError

HASH, TRUNCATE = "hash_with_salt", "truncate_ip"
SALT = "_salt"
MASK = "***"
_EMAIL = "[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+([.][A-Za-z0-9-]+)*"
_IPV4 = r"(?<![0-9.])[0-9]{1,3}([.][0-9]{1,3}){3}(?![0-9.])"
_IPV6 = r"(?<![0-9A-Za-z:])(?=[0-9A-Fa-f:]*(::|(:[0-9A-Fa-f]+){7}))[0-9A-Fa-f:]{3,}"
_IPV6_GROUP = "[0-9a-f]{1,4}"


def read_salt(secret: str) -> str:
    """The salt, a plain text secret.

    :raises JobError: when it cannot be read, or is too short to keep anything secret.
    """
    try:
        salt = boto3.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    except ClientError as error:
        raise JobError(
            f"the salt cannot be read from the secret {secret!r}: "
            f"{error.response['Error']['Code']} {error.response['Error'].get('Message', '')}"
        ) from error
    if len(salt) < 16:
        raise JobError(f"the secret {secret!r}: expected a salt of 16 characters or more")
    return salt


def with_salt(lines: DataFrame, salt: str) -> DataFrame:
    """Adds `_salt`: as a row to join, since a literal would be in every plan and error message."""
    row = lines.sparkSession.createDataFrame([(salt,)], f"{SALT} string")
    return lines.crossJoin(F.broadcast(row))


def hashed(text: str) -> str:
    """SHA-256 in hex of the salt and the text in small letters; null of nothing."""
    return f"sha2(concat({SALT}, lower(trim({text}))), 256)"


def truncated_ip(text: str) -> str:
    """The network of an address: IPv4 with a last number of 0, IPv6 its first 48 bits.

    Null of what is no address. `::ffff:192.0.2.1` is an IPv4 address in IPv6's clothes.
    """
    plain = f"regexp_replace(lower(trim({text})), '^::ffff:(?=[0-9]+[.])', '')"
    number = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
    ipv4 = f"^{number}([.]{number}){{3}}$"
    group = _IPV6_GROUP
    full = f"^({group}:){{7}}{group}$"
    short = f"^(?=([^:]*:){{2,8}}[^:]*$)(({group}:)*{group})?::(({group}:)*{group})?$"
    before = f"filter(split(substring_index({plain}, '::', 1), ':'), g -> g <> '')"
    after = f"filter(split(substring_index({plain}, '::', -1), ':'), g -> g <> '')"
    zeros = f"array_repeat('0', 8 - size({before}) - size({after}))"
    groups = (
        f"if(instr({plain}, '::') > 0, concat({before}, {zeros}, {after}), split({plain}, ':'))"
    )
    return (
        f"case when {plain} rlike '{ipv4}' then concat(substring_index({plain}, '.', 3), '.0') "
        f"when {plain} rlike '{full}' or {plain} rlike '{short}' "
        f"then concat(array_join(slice({groups}, 1, 3), ':'), '::') end"
    )


def masked(text: str, columns: Iterable[Column]) -> str:
    """A line's text with the values of private fields, emails and addresses made unreadable.

    What is broken in a line can be seen without them; the line itself is in bronze, which few may
    read. A field is found by its name, also where the line ends in the middle of its value.
    """
    names = "|".join(re.escape(str(column.header)) for column in columns)
    rules = (
        (rf'("(?:{names})"\s*:\s*)(?:"(?:[^"\\]|\\.)*+"?|[^",}}\]\s]+)', f'$1"{MASK}"'),
        (_EMAIL, MASK),
        (_IPV4, MASK),
        (_IPV6, MASK),
    )
    for pattern, instead in rules:
        text = f"regexp_replace({text}, {_literal(pattern)}, {_literal(instead)})"
    return text


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
