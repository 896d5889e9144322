create table if not exists sales_schema.processed_sales (
    id int not null,
    product varchar(256) not null,
    quantity int not null,
    price decimal(12,2) not null,
    date date not null,
    total_value decimal(12,2) not null,
    primary key (id)
)
