create table if not exists sales_schema.vendas_por_produto (
    id_produto int not null,
    produto varchar(256),
    valor decimal(12,2),
    vendas int not null,
    pagas int not null,
    em_promocao int not null,
    valor_total decimal(18,2) not null,
    valor_pago decimal(18,2) not null,
    sinalizado boolean not null,
    primary key (id_produto)
)
