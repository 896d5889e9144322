-- A warehouse table joined with the lake, without loading the lake (Spectrum): the sales of each
-- product as the warehouse has them, beside what the mart in the lake says.
with warehouse as (

    select id_produto, produto, count(*) as vendas, coalesce(sum(valor), 0.00) as valor_total
    from sales_schema.wide_vendas
    group by id_produto, produto

),

lake as (

    select id_produto, vendas, valor_total, sinalizado
    from spectrum.vendas_por_produto

)

select
    warehouse.produto,
    warehouse.vendas,
    warehouse.valor_total,
    warehouse.valor_total - lake.valor_total as difference,
    lake.sinalizado
from warehouse
inner join lake on lake.id_produto = warehouse.id_produto
order by warehouse.valor_total desc
