select
    cast(date_trunc('month', dt_venda) as date) as mes,
    count(*) as vendas,
    sum(valor) as valor_total
from {{ params.schema }}.wide_vendas
group by 1
order by 1
