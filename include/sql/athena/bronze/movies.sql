create external table if not exists madrugada_bronze.movies (
    id string,
    titulopincipal string,
    titulooriginal string,
    anolancamento string,
    tempominutos string,
    genero string,
    notamedia string,
    numerovotos string,
    generoartista string,
    personagem string,
    nomeartista string,
    anonascimento string,
    anofalecimento string,
    profissao string,
    titulosmaisconhecidos string
)
partitioned by (ingest_date string)
row format delimited fields terminated by '|'
stored as textfile
location 's3://{{ params.bronze_bucket }}/RAW/Local/CSV/Movies/'
tblproperties ('skip.header.line.count' = '1')
