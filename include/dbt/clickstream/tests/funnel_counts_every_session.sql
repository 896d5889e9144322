with funnel as (

    select
        sum(sessions) as sessions,
        sum(confirmation_sessions) as conversions
    from {{ ref('funnel_by_day') }}

),

sessions as (

    select count(*) as sessions
    from {{ ref('sessions') }}

),

conversions as (

    select count(*) as conversions
    from {{ ref('conversions') }}

)

select
    funnel.sessions as funnel_sessions,
    sessions.sessions,
    funnel.conversions as funnel_conversions,
    conversions.conversions
from funnel
cross join sessions
cross join conversions
where
    coalesce(funnel.sessions, 0) <> sessions.sessions
    or coalesce(funnel.conversions, 0) <> conversions.conversions
