create table if not exists sales_schema.wide_vendas (
    id_venda int not null,
    id_cliente int not null,
    nome_cliente varchar(256),
    sexo_cliente varchar(256),
    dt_nasc date,
    id_loja int not null,
    cidade varchar(256),
    id_produto int not null,
    dt_venda date not null,
    produto varchar(256),
    valor decimal(12,2),
    promocao boolean,
    dt_pgto date,
    pago boolean not null,
    primary key (id_venda)
)
