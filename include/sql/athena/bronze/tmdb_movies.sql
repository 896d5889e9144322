create external table if not exists madrugada_bronze.tmdb_movies (
    id string,
    title string,
    overview string,
    genres string,
    popularity string,
    release_date string,
    adult string,
    backdrop_path string,
    original_language string,
    original_title string,
    poster_path string,
    video string,
    vote_average string,
    vote_count string
)
partitioned by (ingest_date string)
row format serde 'org.openx.data.jsonserde.JsonSerDe'
with serdeproperties ('ignore.malformed.json' = 'true')
location 's3://{{ params.bronze_bucket }}/RAW/TMDB/JSON/'
