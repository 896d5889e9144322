{{ config(description='Cookies whose sessions do not hold the events of silver,
neither more nor fewer, also those that silver no longer has.') }}

with events as (

    select cookie_id, count(*) as events
    from {{ ref('stg_events') }}
    where cookie_id is not null
    group by cookie_id

),

sessions as (

    select cookie_id, sum(events) as events
    from {{ ref('sessions') }}
    group by cookie_id

)

select
    coalesce(events.cookie_id, sessions.cookie_id) as cookie_id,
    events.events as in_silver,
    sessions.events as in_sessions
from events
full outer join sessions on sessions.cookie_id = events.cookie_id
where coalesce(events.events, 0) <> coalesce(sessions.events, 0)
