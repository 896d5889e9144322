-- What the star holds: rows of each table, and sums that its joins must not change.
select 'aggregated_order_df: rows' as figure, count(*) as total
from {{ params.schema }}.aggregated_order_df
union all
select 'dim_nome_filme: rows', count(*)
from {{ params.schema }}.dim_nome_filme
union all
select 'dim_tempo: rows', count(*)
from {{ params.schema }}.dim_tempo
union all
select 'fact_popularidade: rows', count(*)
from {{ params.schema }}.fact_popularidade
union all
select 'joined_df: films', count(distinct id)
from {{ params.schema }}.joined_df
union all
select 'joined_df: rows', count(*)
from {{ params.schema }}.joined_df
union all
select 'joined_df: votes', coalesce(sum(numerovotos), 0)
from {{ params.schema }}.joined_df
order by 1
