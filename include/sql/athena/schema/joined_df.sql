create external table if not exists madrugada_gold.joined_df (
    id string,
    id_tmdb int,
    titulopincipal string,
    genero string,
    notamedia double,
    numerovotos int,
    popularity double,
    anolancamento int,
    release_date date,
    overview string
)
stored as parquet
location 's3://{{ params.gold_bucket }}/joined_df/empty/'
