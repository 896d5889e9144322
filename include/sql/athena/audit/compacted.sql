-- Audit of a layer's compacted tables against what is published, before they take its place. Each
-- row is one check, and holds when expected and actual are the same. Rows are compared whole, with
-- how often each is there, both ways.
{%- set version = ti.xcom_pull(task_ids='compact_' ~ params.layer) %}
{%- set said = job_report(params.layer, version).tables %}
with checks as (
{%- for table, counts in said.items() %}
    {%- set before = 'madrugada_' ~ params.layer ~ '.' ~ table %}
    {%- set after = 'madrugada_staging.' ~ candidate(params.layer, table, version) %}
    {%- set columns = '"' ~ counts.columns | join('", "') ~ '"' %}
    {%- if not loop.first %}

    union all
    {%- endif %}

    select
        '{{ table }}: rows, as published' as name,
        (select count(*) from {{ before }}) as expected,
        (select count(*) from {{ after }}) as actual

    union all

    select
        '{{ table }}: rows, as the job says' as name,
        {{ counts.rows }} as expected,
        (select count(*) from {{ after }}) as actual
    {%- for what, one, other in [('lost', before, after), ('added', after, before)] %}

    union all

    select
        '{{ table }}: rows {{ what }}' as name,
        0 as expected,
        (select count(*) from (
            select {{ columns }}, count(*) as times from {{ one }} group by {{ columns }}
            except
            select {{ columns }}, count(*) as times from {{ other }} group by {{ columns }}
        )) as actual
    {%- endfor %}
{%- endfor %}

)

select
    name as "check",
    cast(expected as varchar) as expected,
    cast(actual as varchar) as actual
from checks
order by name
