-- What the stores sold on each day, beside the conversions of the web shop on it and the campaigns
-- that led to them. Nothing links a sale to a visitor; what a day's sales are to a campaign is its
-- share of the day's conversions. A day without conversions, and one without sales, is there too.
insert into sales_schema.campaign_days
with conversions as (
    select
        conversion_date as day,
        coalesce(last_touch_campaign, 'none') as campaign,
        count(*) as conversions
    from clickstream.conversions
    group by conversion_date, coalesce(last_touch_campaign, 'none')
),

shares as (
    select
        day,
        campaign,
        conversions,
        conversions::decimal(18,6) / sum(conversions) over (partition by day) as share
    from conversions
),

sales as (
    select dt_venda as day, count(*) as vendas, sum(valor) as valor_total
    from sales_schema.wide_vendas
    where valor is not null
    group by dt_venda
)

select
    coalesce(sales.day, shares.day) as day,
    coalesce(shares.campaign, 'none') as campaign,
    coalesce(shares.conversions, 0) as conversions,
    coalesce(sales.vendas, 0) as vendas,
    coalesce(sales.valor_total, 0) as valor_total,
    round(coalesce(sales.valor_total, 0) * coalesce(shares.share, 1), 2) as valor_by_share
from sales
full outer join shares on shares.day = sales.day
