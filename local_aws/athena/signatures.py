"""Trino's functions whose translation is one DuckDB expression: name, argument types, template.

https://docs.aws.amazon.com/athena/latest/ug/functions-env3.html
"""

from __future__ import annotations

from dataclasses import dataclass

from local_aws.athena import types as t
from local_aws.athena.types import Type


@dataclass(frozen=True)
class Signature:
    """``parameters`` are coerced to; ``template`` has ``{0}``, ``{1}``, ... for the arguments."""

    parameters: tuple[Type, ...]
    result: Type
    template: str


_TYPES = {
    "v": t.VARCHAR,
    "i": t.INTEGER,
    "l": t.BIGINT,
    "d": t.DOUBLE,
    "r": t.REAL,
    "b": t.BOOLEAN,
    "x": t.VARBINARY,
    "D": t.DATE,
    "T": t.TIMESTAMP,
    "j": t.JSON,
}


def _parse(line: str) -> tuple[str, Signature]:
    head, template = line.split(" = ", 1)
    name, rest = head.split("(", 1)
    parameters, result = rest.split(")")
    return name, Signature(
        tuple(_TYPES[code] for code in parameters), _TYPES[result.strip()], template.strip()
    )


_SPACE = r"' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13)"

# name(parameters)result = DuckDB; the letters are the types above.
_LINES = rf"""
abs(i)i = abs({{0}})
abs(l)l = abs({{0}})
abs(r)r = abs({{0}})
abs(d)d = abs({{0}})
acos(d)d = CASE WHEN abs({{0}}) > 1 THEN CAST('nan' AS DOUBLE) ELSE acos({{0}}) END
asin(d)d = CASE WHEN abs({{0}}) > 1 THEN CAST('nan' AS DOUBLE) ELSE asin({{0}}) END
atan(d)d = atan({{0}})
atan2(dd)d = atan2({{0}}, {{1}})
cos(d)d = cos({{0}})
sin(d)d = sin({{0}})
tan(d)d = tan({{0}})
cosh(d)d = cosh({{0}})
sinh(d)d = sinh({{0}})
tanh(d)d = tanh({{0}})
cbrt(d)d = cbrt({{0}})
ceil(i)i = {{0}}
ceil(l)l = {{0}}
ceil(d)d = ceil({{0}})
floor(i)i = {{0}}
floor(l)l = {{0}}
floor(d)d = floor({{0}})
degrees(d)d = degrees({{0}})
radians(d)d = radians({{0}})
e()d = exp(CAST(1 AS DOUBLE))
pi()d = pi()
exp(d)d = exp({{0}})
ln(d)d = CASE WHEN {{0}} < 0 THEN CAST('nan' AS DOUBLE) WHEN {{0}} = 0 THEN CAST('-inf' AS DOUBLE) ELSE ln({{0}}) END
log2(d)d = CASE WHEN {{0}} < 0 THEN CAST('nan' AS DOUBLE) WHEN {{0}} = 0 THEN CAST('-inf' AS DOUBLE) ELSE log2({{0}}) END
log10(d)d = CASE WHEN {{0}} < 0 THEN CAST('nan' AS DOUBLE) WHEN {{0}} = 0 THEN CAST('-inf' AS DOUBLE) ELSE log10({{0}}) END
sqrt(d)d = CASE WHEN {{0}} < 0 THEN CAST('nan' AS DOUBLE) ELSE sqrt({{0}}) END
power(dd)d = pow({{0}}, {{1}})
round(i)i = {{0}}
round(l)l = {{0}}
round(d)d = round({{0}})
round(r)r = round({{0}})
round(ii)i = CAST(round({{0}}, {{1}}) AS INTEGER)
round(li)l = CAST(round({{0}}, {{1}}) AS BIGINT)
round(di)d = round({{0}}, {{1}})
sign(i)i = CAST(sign({{0}}) AS INTEGER)
sign(l)l = CAST(sign({{0}}) AS BIGINT)
sign(d)d = CAST(sign({{0}}) AS DOUBLE)
truncate(d)d = trunc({{0}})
is_nan(d)b = isnan({{0}})
is_finite(d)b = isfinite({{0}})
is_infinite(d)b = isinf({{0}})
nan()d = CAST('nan' AS DOUBLE)
infinity()d = CAST('inf' AS DOUBLE)
random()d = random()
bitwise_and(ll)l = ({{0}} & {{1}})
bitwise_or(ll)l = ({{0}} | {{1}})
bitwise_xor(ll)l = xor({{0}}, {{1}})
bitwise_not(l)l = (~{{0}})
chr(l)v = chr(CAST({{0}} AS INTEGER))
codepoint(v)i = unicode({{0}})
lower(v)v = lower({{0}})
upper(v)v = upper({{0}})
length(v)l = length({{0}})
length(x)l = octet_length({{0}})
trim(v)v = trim({{0}}, {_SPACE})
ltrim(v)v = ltrim({{0}}, {_SPACE})
rtrim(v)v = rtrim({{0}}, {_SPACE})
replace(vv)v = replace({{0}}, {{1}}, '')
replace(vvv)v = replace({{0}}, {{1}}, {{2}})
reverse(v)v = reverse({{0}})
lpad(vlv)v = lpad({{0}}, CAST({{1}} AS INTEGER), {{2}})
rpad(vlv)v = rpad({{0}}, CAST({{1}} AS INTEGER), {{2}})
starts_with(vv)b = starts_with({{0}}, {{1}})
strpos(vv)l = strpos({{0}}, {{1}})
substr(vl)v = trino_substr({{0}}, {{1}})
substr(vll)v = trino_substr3({{0}}, {{1}}, {{2}})
translate(vvv)v = translate({{0}}, {{1}}, {{2}})
levenshtein_distance(vv)l = levenshtein({{0}}, {{1}})
hamming_distance(vv)l = hamming({{0}}, {{1}})
regexp_like(vv)b = regexp_matches({{0}}, {{1}})
to_utf8(v)x = encode({{0}})
from_utf8(x)v = decode({{0}})
md5(x)x = unhex(md5({{0}}))
sha1(x)x = unhex(sha1({{0}}))
sha256(x)x = unhex(sha256({{0}}))
to_hex(x)v = hex({{0}})
from_hex(v)x = unhex({{0}})
to_base64(x)v = base64({{0}})
from_base64(v)x = from_base64({{0}})
url_encode(v)v = replace(replace(url_encode({{0}}), '%20', '+'), '~', '%7E')
url_decode(v)v = url_decode(replace({{0}}, '+', ' '))
day_of_week(D)l = CAST(isodow({{0}}) AS BIGINT)
day_of_year(D)l = CAST(dayofyear({{0}}) AS BIGINT)
day(D)l = CAST(day({{0}}) AS BIGINT)
month(D)l = CAST(month({{0}}) AS BIGINT)
quarter(D)l = CAST(quarter({{0}}) AS BIGINT)
week(D)l = CAST(week({{0}}) AS BIGINT)
year(D)l = CAST(year({{0}}) AS BIGINT)
year_of_week(D)l = CAST(isoyear({{0}}) AS BIGINT)
last_day_of_month(D)D = last_day({{0}})
hour(T)l = CAST(hour({{0}}) AS BIGINT)
minute(T)l = CAST(minute({{0}}) AS BIGINT)
second(T)l = CAST(second({{0}}) AS BIGINT)
millisecond(T)l = CAST(millisecond({{0}}) % 1000 AS BIGINT)
json_array_length(j)l = CASE WHEN json_type({{0}}) = 'ARRAY' THEN CAST(json_array_length({{0}}) AS BIGINT) END
json_format(j)v = CAST(json({{0}}) AS VARCHAR)
"""  # noqa: E501

_ALIASES = {
    "ceiling": "ceil",
    "pow": "power",
    "rand": "random",
    "substring": "substr",
    "dow": "day_of_week",
    "doy": "day_of_year",
    "day_of_month": "day",
    "week_of_year": "week",
    "yow": "year_of_week",
}


def _table() -> dict[str, list[Signature]]:
    table: dict[str, list[Signature]] = {}
    for line in _LINES.strip().splitlines():
        name, signature = _parse(line)
        table.setdefault(name, []).append(signature)
    return table


ALIASES = _ALIASES
SIGNATURES = _table()
DATE_PARTS = (
    "day_of_week", "day_of_year", "day", "month", "quarter", "week", "year", "year_of_week",
    "last_day_of_month", "hour", "minute", "second", "millisecond",
)  # fmt: skip
"""Functions that read a timestamp with time zone on the clock of its zone."""

UNSUPPORTED = frozenset(
    """
    approx_most_frequent approx_set bar beta_cdf bing_tile bing_tile_at
    bing_tile_coordinates bing_tile_polygon bing_tile_quadkey bing_tile_zoom_level
    bing_tiles_around bit_count bitwise_left_shift bitwise_right_shift
    bitwise_right_shift_arithmetic char2hexint checksum classify color combinations
    convex_hull_agg cosine_similarity crc32 empty_approx_set entropy format format_datetime
    format_number from_big_endian_32 from_big_endian_64 from_geojson_geometry
    from_ieee754_32 from_ieee754_64 from_unixtime_nanos geometric_mean great_circle_distance
    hash_counts hmac_md5 hmac_sha1 hmac_sha256 hmac_sha512 human_readable_seconds
    intersection_cardinality inverse_beta_cdf inverse_normal_cdf jaccard_index json_array
    json_array_contains json_array_get json_exists json_object json_query json_value
    kurtosis line_interpolate_point line_locate_point luhn_check make_set_digest map_union
    map_zip_with merge merge_set_digest multimap_agg multimap_from_entries murmur3 ngrams
    normal_cdf normalize numeric_histogram parse_data_size parse_datetime parse_duration
    parse_presto_data_size qdigest_agg quantile_at_value reduce_agg render rgb sha512
    shuffle simplify_geometry skewness soundex spatial_partitioning split_to_map
    split_to_multimap spooky_hash_v2_32 spooky_hash_v2_64 st_area st_astext st_buffer
    st_contains st_distance st_geometryfromtext st_intersects st_point st_within tdigest_agg
    timezone timezone_hour timezone_minute to_big_endian_32 to_big_endian_64 to_char to_date
    to_geometry to_ieee754_32 to_ieee754_64 to_milliseconds to_timestamp transform_keys
    url_extract_fragment url_extract_host url_extract_parameter url_extract_path
    url_extract_port url_extract_protocol url_extract_query value_at_quantile
    values_at_quantiles version width_bucket wilson_interval_lower wilson_interval_upper
    with_timezone word_stem xxhash64
    """.split()  # noqa: SIM905
)
"""Functions of Trino that are known here by name only."""
