with events as (

    select * from {{ source('silver', 'events') }}

),

final as (

    select
        event_id,
        cookie_id,
        cast(event_timestamp as timestamp) as happened_at,
        cast(landing_date as date) as landing_date,
        event_type,
        page_url_path as page,
        case
            when page_url_path = '/home' then 'home'
            when left(page_url_path, 9) = '/product_' then 'product'
            when page_url_path = '/cart' then 'cart'
            when page_url_path = '/payment' then 'payment'
            when page_url_path = '/confirmation' then 'confirmation'
        end as step,
        nullif(trim(utm_campaign), '') as campaign,
        nullif(trim(utm_source), '') as campaign_source,
        nullif(trim(utm_medium), '') as campaign_medium,
        referer_medium,
        geo_country as country,
        device_type,
        device_is_mobile as is_mobile
    from events

)

select * from final
