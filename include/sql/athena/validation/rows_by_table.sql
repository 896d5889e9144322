select 'processed_sales' as table_name, count(*) as total from madrugada_gold.processed_sales
union all
select 'vendas_por_cidade_mes', count(*) from madrugada_gold.vendas_por_cidade_mes
union all
select 'vendas_por_produto', count(*) from madrugada_gold.vendas_por_produto
union all
select 'wide_vendas', count(*) from madrugada_gold.wide_vendas
order by 1
