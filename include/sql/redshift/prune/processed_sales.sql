-- A corrected delivery can take a row away; the load by key cannot. Gold has the last word.
delete from sales_schema.processed_sales
where id not in (select id from spectrum.processed_sales)
