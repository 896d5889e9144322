create or replace view madrugada_silver.tb_csv as
select
    id,
    titulopincipal,
    titulooriginal,
    anolancamento,
    tempominutos,
    genero,
    notamedia,
    numerovotos,
    ingest_date
from madrugada_silver.movies
where regexp_like(genero, '(^|,) *Horror *(,|$)')
