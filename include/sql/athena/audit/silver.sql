-- Audit of silver's candidates, before they are published. Each row is one check, and holds when
-- expected and actual are the same. What the job says it did stands against what Athena finds.
-- Superseded rows are kept ones whose key a newer delivery, published already, has too, and those
-- that the delivery itself has several times where its contract counts them. Into the hours of a
-- day that is not over more may have come since: then what was delivered must be there at least. A
-- reference whose dataset is null goes to a table that was never published.
{%- set version = ti.xcom_pull(task_ids='build_silver') %}
{%- set night = ti.xcom_pull(task_ids='plan_night') %}
{%- set said = job_report('silver', version).datasets %}
{%- set quarantine = 'madrugada_staging.' ~ candidate('silver', params.quarantine, version) %}
with checks as (
{%- for dataset, keys in night.datasets.items() %}
    {%- set counts = said[dataset] %}
    {%- set table = 'madrugada_staging.' ~ candidate('silver', dataset, version) %}
    {%- if not loop.first %}

    union all
    {%- endif %}

    select
        '{{ dataset }}: rows in bronze, as delivered' as name,
        {{ counts.delivered }} as expected,
        (select
         {%- if night.open %} least(count(*), {{ counts.delivered }})
         {%- else %} count(*)
         {%- endif %}
         from madrugada_bronze.{{ dataset }}
         where ingest_date = '{{ night.delivery_date }}') as actual

    union all

    select
        '{{ dataset }}: delivered = kept + quarantined + superseded' as name,
        {{ counts.delivered }} as expected,
        (select count(*) from {{ table }}
         where ingest_date = date '{{ night.delivery_date }}')
        + (select count(*) from {{ quarantine }}
           where dataset = '{{ dataset }}'
           and ingest_date = date '{{ night.delivery_date }}')
        + {{ counts.kept - counts.inserted - counts.updated + counts.duplicates }} as actual

    union all

    select
        '{{ dataset }}: rows in the table' as name,
        {{ counts.rows }} as expected,
        (select count(*) from {{ table }}) as actual

    union all

    select
        '{{ dataset }}: one row for each key' as name,
        (select count(*) from {{ table }}) as expected,
        (select count(*) from (
            select distinct {{ keys | join(', ') }} from {{ table }}
        )) as actual
    {%- for reference in counts.references %}

    union all

    select
        '{{ dataset }}: rows flagged by {{ reference.rule }}' as name,
        (select count(*) from {{ table }} as referring
         {%- if reference.dataset in said %}
         left join madrugada_staging.{{ candidate('silver', reference.dataset, version) }} as known
         on known.{{ reference.to }} = referring.{{ reference.column }}
         {%- elif reference.dataset %}
         left join madrugada_silver.{{ reference.dataset }} as known
         on known.{{ reference.to }} = referring.{{ reference.column }}
         {%- endif %}
         where referring.{{ reference.column }} is not null
         {%- if reference.dataset %} and known.{{ reference.to }} is null{% endif %}) as expected,
        (select count(*) from {{ table }}
         where contains(split(warnings, ';'), '{{ reference.rule }}')) as actual
    {%- endfor %}
{%- endfor %}

)

select
    name as "check",
    cast(expected as varchar) as expected,
    cast(actual as varchar) as actual
from checks
order by name
