select
    produto,
    count(*) as vendas,
    sum(valor) as valor_total
from {{ params.schema }}.wide_vendas
group by produto
order by 3 desc
