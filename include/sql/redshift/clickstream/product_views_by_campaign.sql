-- The warehouse's conversions joined with the lake's events, without loading the events (Spectrum):
-- which product pages were looked at before a purchase, by the campaign that led to it.
with conversions as (

    select session_id, cookie_id, started_at, converted_at, last_touch_campaign
    from clickstream.conversions

),

views as (

    select cookie_id, event_timestamp, page_url_path
    from spectrum_silver.events
    where left(page_url_path, 9) = '/product_'

)

select
    conversions.last_touch_campaign as campaign,
    views.page_url_path as page,
    count(distinct conversions.session_id) as converted_sessions,
    count(*) as views
from conversions
inner join views
    on
        views.cookie_id = conversions.cookie_id
        and views.event_timestamp between conversions.started_at and conversions.converted_at
group by conversions.last_touch_campaign, views.page_url_path
order by converted_sessions desc, campaign, page
