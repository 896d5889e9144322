-- What sessions must add up to, from silver's events alone: a session begins where a cookie was
-- silent for half an hour or more.
with events as (
    select
        cookie_id,
        page_url_path,
        event_timestamp,
        lag(event_timestamp) over (
            partition by cookie_id order by event_timestamp
        ) as previous
    from spectrum_silver.events
    where cookie_id is not null
)

select 'conversions: purchases' as figure, count(*) as total
from events
where page_url_path = '/confirmation'
union all
select 'sessions', count(*)
from events
where previous is null or event_timestamp >= previous + interval '30 minutes'
union all
select 'sessions: cookies', count(distinct cookie_id)
from events
union all
select 'sessions: events', count(*)
from events
order by 1
