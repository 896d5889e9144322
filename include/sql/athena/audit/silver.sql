-- Audit of silver's candidates, before they are published. Each row is one check, and holds
-- when expected and actual are the same. Grain: one row for each dataset and check.
{%- set version = ti.xcom_pull(task_ids='build_silver') %}
{%- set night = ti.xcom_pull(task_ids='plan_night') %}
{%- set staging = 'madrugada_staging.' %}
with accounts as (

    select * from {{ staging }}{{ candidate('silver', 'accounts', version) }}

),

checks as (
{% for dataset, keys in night.datasets.items() %}
    {%- set table = staging ~ candidate('silver', dataset, version) %}
    {%- if not loop.first %}

    union all
    {% endif %}
    select
        '{{ dataset }}: rows delivered to bronze' as name,
        (select count(*) from madrugada_bronze.{{ dataset }}
         where ingest_date = '{{ night.delivery_date }}') as expected,
        (select delivered from accounts where dataset = '{{ dataset }}') as actual

    union all

    select
        '{{ dataset }}: delivered = kept + quarantined' as name,
        (select delivered from accounts where dataset = '{{ dataset }}') as expected,
        (select kept from accounts where dataset = '{{ dataset }}')
        + (select count(*) from
           {{ staging }}{{ candidate('silver', 'quarantine__' ~ dataset, version) }}) as actual

    union all

    select
        '{{ dataset }}: rows kept of this delivery' as name,
        (select kept - superseded from accounts where dataset = '{{ dataset }}') as expected,
        (select count(*) from {{ table }}
         where ingest_date = date '{{ night.delivery_date }}') as actual

    union all

    select
        '{{ dataset }}: one row for each key' as name,
        (select count(*) from {{ table }}) as expected,
        (select count(*) from (
            select distinct {{ keys | join(', ') }} from {{ table }}
         )) as actual
{%- endfor %}

)

select
    name as "check",
    cast(expected as varchar) as expected,
    cast(actual as varchar) as actual
from checks
order by name
