create table if not exists sales_schema.campaign_days (
    day date not null,
    campaign varchar(256) not null,
    conversions int not null,
    vendas int not null,
    valor_total decimal(18,2) not null,
    valor_by_share decimal(18,2) not null,
    primary key (day, campaign)
)
