create external table if not exists madrugada_bronze.tmdb_movies (
    id string,
    title string,
    overview string,
    genres string,
    popularity string,
    release_date string
)
partitioned by (ingest_date string)
row format serde 'org.openx.data.jsonserde.JsonSerDe'
with serdeproperties ('ignore.malformed.json' = 'true')
location 's3://{{ params.bronze_bucket }}/RAW/TMDB/JSON/'
