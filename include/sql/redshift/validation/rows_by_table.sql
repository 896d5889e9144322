select 'processed_sales' as table_name, count(*) as total from {{ params.schema }}.processed_sales
union all
select 'vendas_por_cidade_mes', count(*) from {{ params.schema }}.vendas_por_cidade_mes
union all
select 'vendas_por_produto', count(*) from {{ params.schema }}.vendas_por_produto
union all
select 'wide_vendas', count(*) from {{ params.schema }}.wide_vendas
order by 1
