-- What the star holds: rows of each table, and sums that its joins must not change.
select 'aggregated_order_df: rows' as figure, count(*) as total
from madrugada_gold.aggregated_order_df
union all
select 'dim_nome_filme: rows', count(*)
from madrugada_gold.dim_nome_filme
union all
select 'dim_tempo: rows', count(*)
from madrugada_gold.dim_tempo
union all
select 'fact_popularidade: rows', count(*)
from madrugada_gold.fact_popularidade
union all
select 'joined_df: films', count(distinct id)
from madrugada_gold.joined_df
union all
select 'joined_df: rows', count(*)
from madrugada_gold.joined_df
union all
select 'joined_df: votes', coalesce(sum(numerovotos), 0)
from madrugada_gold.joined_df
order by 1
