-- Audit of gold's candidates against silver, before they are published. Each row is one check,
-- and holds when expected and actual are the same.
{%- set version = ti.xcom_pull(task_ids='build_gold') %}
{%- set staging = 'madrugada_staging.' %}
{%- set processed_sales = staging ~ candidate('gold', 'processed_sales', version) %}
{%- set wide_vendas = staging ~ candidate('gold', 'wide_vendas', version) %}
{%- set por_produto = staging ~ candidate('gold', 'vendas_por_produto', version) %}
{%- set por_cidade_mes = staging ~ candidate('gold', 'vendas_por_cidade_mes', version) %}
with checks as (
{%- for name, silver, gold in [
    ('processed_sales: rows',
     'select count(*) from madrugada_silver.sales_data',
     'select count(*) from ' ~ processed_sales),
    ('processed_sales: total value',
     'select coalesce(sum(quantity * price), 0.00) from madrugada_silver.sales_data',
     'select coalesce(sum(total_value), 0.00) from ' ~ processed_sales),
    ('wide_vendas: rows',
     'select count(*) from madrugada_silver.vendas',
     'select count(*) from ' ~ wide_vendas),
    ('wide_vendas: total value',
     'select coalesce(sum(p.valor), 0.00) from madrugada_silver.vendas v'
     ~ ' join madrugada_silver.produtos p on p.id = v.id_produto',
     'select coalesce(sum(valor), 0.00) from ' ~ wide_vendas),
    ('wide_vendas: paid sales',
     'select count(distinct p.id_venda) from madrugada_silver.pagamentos p'
     ~ ' join madrugada_silver.vendas v on v.id = p.id_venda where p.dt_pgto is not null',
     'select count(*) from ' ~ wide_vendas ~ ' where pago'),
    ('vendas_por_produto: sales',
     'select count(*) from ' ~ wide_vendas,
     'select coalesce(sum(vendas), 0) from ' ~ por_produto),
    ('vendas_por_produto: total value',
     'select coalesce(sum(valor), 0.00) from ' ~ wide_vendas,
     'select coalesce(sum(valor_total), 0.00) from ' ~ por_produto),
    ('vendas_por_cidade_mes: sales',
     'select count(*) from ' ~ wide_vendas,
     'select coalesce(sum(vendas), 0) from ' ~ por_cidade_mes),
    ('vendas_por_cidade_mes: total value',
     'select coalesce(sum(valor), 0.00) from ' ~ wide_vendas,
     'select coalesce(sum(valor_total), 0.00) from ' ~ por_cidade_mes),
] %}
    {%- if not loop.first %}

    union all
    {%- endif %}

    select
        '{{ name }}' as name,
        cast(({{ silver }}) as varchar) as expected,
        cast(({{ gold }}) as varchar) as actual
{%- endfor %}
{%- include 'athena/audit/gold_keys.jinja' %}

)

select
    name as "check",
    expected,
    actual
from checks
order by name
