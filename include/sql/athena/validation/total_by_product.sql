select
    product,
    sum(total_value) as total_value
from madrugada_gold.processed_sales
group by product
order by 2 desc
