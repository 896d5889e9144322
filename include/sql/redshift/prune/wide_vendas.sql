-- A corrected delivery can take a row away; the load by key cannot. Gold has the last word.
delete from sales_schema.wide_vendas
where id_venda not in (select id_venda from spectrum.wide_vendas)
