create table if not exists sales_schema.vendas_por_cidade_mes (
    cidade varchar(256) not null,
    mes date not null,
    vendas int not null,
    pagas int not null,
    valor_total decimal(18,2) not null,
    valor_pago decimal(18,2) not null,
    primary key (cidade, mes)
)
