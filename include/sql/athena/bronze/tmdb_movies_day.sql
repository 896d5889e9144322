{%- set day = ti.xcom_pull(task_ids='plan_night').delivery_date -%}
alter table madrugada_bronze.tmdb_movies add if not exists
partition (ingest_date = '{{ day }}')
location 's3://{{ params.bronze_bucket }}/RAW/TMDB/JSON/{{ day | replace('-', '/') }}/'
