-- Each row is one check, and holds when expected and actual are the same. What is shared out may
-- differ from the whole by the rounding of each row, a cent.
select
    'conversions' as "check",
    (select count(*) from clickstream.conversions)::varchar as expected,
    (select coalesce(sum(conversions), 0) from sales_schema.campaign_days)::varchar as actual
union all
select
    'sales: value',
    (select coalesce(sum(valor), 0) from sales_schema.wide_vendas)::decimal(18,2)::varchar,
    (
        select coalesce(sum(valor_total), 0)::decimal(18,2)::varchar
        from (select distinct day, valor_total from sales_schema.campaign_days) as days
    )
union all
select
    'days whose shares do not add up',
    '0',
    (
        select count(*)::varchar
        from (
            select day
            from sales_schema.campaign_days
            group by day
            having abs(sum(valor_by_share) - max(valor_total)) > 0.01 * count(*)
        ) as uneven
    )
