create or replace view madrugada_silver.tb_json as
select
    id,
    title,
    overview,
    genres,
    popularity,
    release_date,
    year(landing_date) as year,
    month(landing_date) as month,
    day(landing_date) as day
from madrugada_silver.tmdb_movies
where regexp_like(genres, '(^|,) *Terror *(,|$)')
