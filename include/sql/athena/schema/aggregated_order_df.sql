create external table if not exists madrugada_gold.aggregated_order_df (
    ordem int,
    anolancamento int,
    titulopincipal string,
    numerovotos int,
    popularity double
)
stored as parquet
location 's3://{{ params.gold_bucket }}/aggregated_order_df/empty/'
