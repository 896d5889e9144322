"""DuckDB macros that a warehouse file carries, for what DuckDB's own functions do differently.

Each is called as ``_rs.<name>(...)`` by compiled statements.
"""

from __future__ import annotations

MACROS = (
    # The longest whole characters of s within n bytes. A subquery may be s; no lambda holds one.
    """first_bytes(s, n) AS CASE
        WHEN strlen(s) <= n THEN s
        WHEN strlen(s) = length(s) THEN left(s, n)
        ELSE list_transform([s], lambda v: list_last(list_filter(
            list_transform(range(0, n + 1), lambda i: left(v, i)), lambda p: strlen(p) <= n)))[1]
    END""",
    """fit(s, n, type) AS CASE
        WHEN s IS NULL THEN NULL
        WHEN strlen(s) <= n THEN s
        WHEN strlen(rtrim(s, ' ')) <= n THEN _rs.first_bytes(s, n)
        ELSE error('Value too long for character type' || chr(10)
            || '  Detail: Value too long for type ' || type)
    END""",
    """digits(s, kind) AS CASE
        WHEN s IS NULL OR regexp_full_match(trim(s), '[+-]?[0-9]+') THEN trim(s)
        ELSE error('Invalid digit, Value ''' || coalesce(
            nullif(left(regexp_replace(trim(s), '^[+-]?[0-9]*', ''), 1), ''), ' ')
            || ''', Pos ' || length(regexp_extract(trim(s), '^[+-]?[0-9]*'))
            || ', Type: ' || kind)
    END""",
    """decimal_text(s, kind) AS CASE
        WHEN s IS NULL OR regexp_full_match(
            trim(s), '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?') THEN trim(s)
        WHEN kind = 'Double' AND regexp_full_match(
            lower(trim(s)), '[+-]?(nan|inf|infinity)') THEN trim(s)
        ELSE error('Invalid digit, Value ''' || coalesce(
            nullif(left(regexp_replace(trim(s), '^[+-]?[0-9]*[.]?[0-9]*', ''), 1), ''), ' ')
            || ''', Pos ' || length(regexp_extract(trim(s), '^[+-]?[0-9]*[.]?[0-9]*'))
            || ', Type: ' || kind)
    END""",
    """float_text(x) AS CASE
        WHEN isnan(x) THEN 'NaN'
        WHEN isinf(x) THEN CASE WHEN x > 0 THEN '' ELSE '-' END || 'Infinity'
        ELSE format('{:.15g}', x)
    END""",
    "divisor(b) AS CASE WHEN b = 0 THEN error('Divide by zero') ELSE b END",
    "checked(ok, value, message) AS CASE WHEN ok THEN value ELSE error(message) END",
    """initcap(s) AS list_aggregate(list_transform(
        regexp_extract_all(s, '[[:alnum:]\\x{80}-\\x{10FFFF}]+|[^[:alnum:]\\x{80}-\\x{10FFFF}]+'),
        lambda w: upper(left(w, 1)) || lower(substr(w, 2))), 'string_agg', '')""",
)
