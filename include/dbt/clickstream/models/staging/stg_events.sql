with events as (

    select * from {{ source('silver', 'events') }}

),

final as (

    select
        cast(event_id as varchar(64)) as event_id,
        cast(cookie_id as varchar(64)) as cookie_id,
        cast(event_timestamp as timestamp) as happened_at,
        cast(landing_date as date) as landing_date,
        cast(event_type as varchar(64)) as event_type,
        cast(page_url_path as varchar(1024)) as page,
        case
            when page_url_path = '/home' then 'home'
            when left(page_url_path, 9) = '/product_' then 'product'
            when page_url_path = '/cart' then 'cart'
            when page_url_path = '/payment' then 'payment'
            when page_url_path = '/confirmation' then 'confirmation'
        end as step,
        cast(nullif(trim(utm_campaign), '') as varchar(256)) as campaign,
        cast(nullif(trim(utm_source), '') as varchar(128)) as campaign_source,
        cast(nullif(trim(utm_medium), '') as varchar(128)) as campaign_medium,
        cast(referer_medium as varchar(64)) as referer_medium,
        cast(geo_country as varchar(64)) as country,
        cast(device_type as varchar(64)) as device_type,
        device_is_mobile as is_mobile
    from events

)

select * from final
