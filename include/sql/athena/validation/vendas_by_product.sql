select
    produto,
    count(*) as vendas,
    sum(valor) as valor_total
from madrugada_gold.wide_vendas
group by produto
order by 3 desc
