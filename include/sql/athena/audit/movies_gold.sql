-- Audit of the star's candidates against silver, before they are published. Each row is one check,
-- and holds when expected and actual are the same. The views tb_csv and tb_json are silver's own
-- word for which films are meant; what the job says of titles stands against the rows of the star.
{%- set version = ti.xcom_pull(task_ids='build_gold') %}
{%- set said = job_report('gold', version).match %}
{%- set staging = 'madrugada_staging.' %}
{%- set nome = staging ~ candidate('gold', 'dim_nome_filme', version) %}
{%- set tempo = staging ~ candidate('gold', 'dim_tempo', version) %}
{%- set fact = staging ~ candidate('gold', 'fact_popularidade', version) %}
{%- set joined = staging ~ candidate('gold', 'joined_df', version) %}
{%- set ordered = staging ~ candidate('gold', 'aggregated_order_df', version) %}
with checks as (
{%- for name, expected, actual in [
    ('tb_csv: films, as the job found them',
     said.catalogue_films,
     'select count(*) from madrugada_silver.tb_csv'),
    ('tb_json: films, as the job found them',
     said.tmdb_films,
     'select count(*) from madrugada_silver.tb_json'),
    ('dim_nome_filme: rows', said.pairs, 'select count(*) from ' ~ nome),
    ('dim_nome_filme: films that tb_csv has',
     said.films_matched,
     'select count(*) from madrugada_silver.tb_csv where id in (select id from ' ~ nome ~ ')'),
    ('dim_nome_filme: pairs as tb_csv and tb_json have their titles',
     'select count(*) from ' ~ nome,
     'select count(*) from ' ~ nome ~ ' n'
     ~ ' join madrugada_silver.tb_csv c on c.id = n.id and c.titulopincipal = n.titulopincipal'
     ~ ' join madrugada_silver.tb_json t on t.id = n.id_tmdb and t.title = n.title'),
    ('dim_tempo: rows', said.pairs, 'select count(*) from ' ~ tempo),
    ('fact_popularidade: rows', said.pairs, 'select count(*) from ' ~ fact),
    ('fact_popularidade: votes as in tb_csv',
     'select coalesce(sum(c.numerovotos), 0) from ' ~ nome ~ ' n'
     ~ ' join madrugada_silver.tb_csv c on c.id = n.id',
     'select coalesce(sum(numerovotos), 0) from ' ~ fact),
    ('joined_df: rows, joined on both ids', said.pairs, 'select count(*) from ' ~ joined),
    ('joined_df: votes',
     'select coalesce(sum(numerovotos), 0) from ' ~ fact,
     'select coalesce(sum(numerovotos), 0) from ' ~ joined),
    ('aggregated_order_df: one row for each year and title',
     'select count(*) from (select distinct anolancamento, titulopincipal from ' ~ joined ~ ')',
     'select count(*) from ' ~ ordered),
    ('aggregated_order_df: places from 1 on',
     'select count(*) from ' ~ ordered,
     'select coalesce(max(ordem), 0) from ' ~ ordered),
] %}
    {%- if not loop.first %}

    union all
    {%- endif %}

    select
        '{{ name }}' as name,
        cast(({{ expected }}) as varchar) as expected,
        cast(({{ actual }}) as varchar) as actual
{%- endfor %}
{%- include 'athena/audit/gold_keys.jinja' %}

)

select
    name as "check",
    expected,
    actual
from checks
order by name
