{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='cookie_id',
        on_schema_change='fail',
        dist='cookie_id',
        sort=['cookie_id', 'started_at'],
        post_hook="""
            delete from {{ this }}
            where cookie_id in (
                select known.cookie_id
                from {{ this }} as known
                left join {{ ref('stg_events') }} as events
                    on events.cookie_id = known.cookie_id
                where events.cookie_id is null
            )
        """
    )
}}
-- The hook is for cookies that silver has no more (it was rolled back): what is
-- selected here rebuilds those that it has.

{%- set by_time = 'order by happened_at, event_id' %}
{%- set steps = ['home', 'product', 'cart', 'payment', 'confirmation'] %}

with events as (

    select * from {{ ref('stg_events') }}
    where cookie_id is not null

),

{% if is_incremental() %}
-- A cookie is rebuilt when the events say something else of it than its
-- sessions know: more events, or newer deliveries of the same.
known as (

    select
        cookie_id,
        sum(events) as events,
        sum(landing_days) as landing_days
    from {{ this }}
    group by cookie_id

),

found as (

    select
        cookie_id,
        count(*) as events,
        sum(
            {{ dbt.datediff("cast('2000-01-01' as date)", 'landing_date',
                            'day') }}
        ) as landing_days
    from events
    group by cookie_id

),

changed as (

    select found.cookie_id
    from found
    left join known on known.cookie_id = found.cookie_id
    where
        known.cookie_id is null
        or known.events <> found.events
        or known.landing_days <> found.landing_days

),

-- All events of such a cookie, from its first: a late one can begin a session
-- earlier, or make one of two.
considered as (

    select events.*
    from events
    inner join changed on changed.cookie_id = events.cookie_id

),

{% else %}
considered as (

    select * from events

),

{% endif %}
with_previous as (

    select
        considered.*,
        lag(happened_at) over (
            partition by cookie_id {{ by_time }}
        ) as previous_at
    from considered

),

numbered as (

    select
        with_previous.*,
        sum(
            case
                when previous_at is null then 1
                when
                    happened_at >= {{ dbt.dateadd(
                        'minute', var('session_gap_minutes'), 'previous_at'
                    ) | trim }}
                    then 1
                else 0
            end
        ) over (
            partition by cookie_id {{ by_time }} rows unbounded preceding
        ) as session_number
    from with_previous

),

placed as (

    select
        numbered.*,
        row_number() over (
            partition by cookie_id, session_number {{ by_time }}
        ) as place,
        case
            when campaign is not null
                then row_number() over (
                    partition by
                        cookie_id,
                        session_number,
                        case when campaign is null then 0 else 1 end
                    {{ by_time }}
                )
        end as campaign_place
    from numbered

),

aggregated as (

    select
        cookie_id,
        max(case when place = 1 then event_id end) as first_event_id,
        min(happened_at) as started_at,
        max(happened_at) as ended_at,
        cast(count(*) as integer) as events,
        {%- for step in steps %}
        cast(count(case when step = '{{ step }}' then 1 end) as integer)
            as {{ step }}_views,
        {%- endfor %}
        min(case when step = 'confirmation' then happened_at end)
            as purchased_at,
        max(case when place = 1 then page end) as landing_page,
        max(case when place = 1 then referer_medium end) as referer_medium,
        max(case when place = 1 then country end) as country,
        max(case when place = 1 then device_type end) as device_type,
        max(case when campaign_place = 1 then campaign end) as campaign,
        max(case when campaign_place = 1 then campaign_source end)
            as campaign_source,
        max(case when campaign_place = 1 then campaign_medium end)
            as campaign_medium,
        max(case when campaign_place = 1 then happened_at end) as campaign_at,
        cast(
            sum(
                {{ dbt.datediff("cast('2000-01-01' as date)", 'landing_date',
                                'day') }}
            ) as bigint
        ) as landing_days
    from placed
    group by cookie_id, session_number

),

final as (

    select
        {{ dbt.hash(dbt.concat(['cookie_id', "'|'", 'first_event_id'])) }}
            as session_id,
        cookie_id,
        started_at,
        ended_at,
        cast(started_at as date) as session_date,
        cast(
            {{ dbt.datediff('started_at', 'ended_at', 'second') }} as integer
        ) as duration_seconds,
        events,
        {%- for step in steps %}
        {{ step }}_views,
        {%- endfor %}
        purchased_at,
        landing_page,
        referer_medium,
        country,
        device_type,
        campaign,
        campaign_source,
        campaign_medium,
        campaign_at,
        landing_days
    from aggregated

)

select * from final
