{{ config(dist='cookie_id', sort=['converted_at']) }}

with sessions as (

    select * from {{ ref('sessions') }}

),

converted as (

    select
        session_id,
        cookie_id,
        started_at,
        purchased_at as converted_at,
        confirmation_views as purchases
    from sessions
    where purchased_at is not null

),

first_sessions as (

    select
        sessions.*,
        row_number() over (
            partition by cookie_id order by started_at
        ) as place
    from sessions

),

last_touches as (

    select
        converted.session_id,
        sessions.session_id as touch_session_id,
        sessions.campaign,
        row_number() over (
            partition by converted.session_id
            order by sessions.campaign_at desc
        ) as place
    from converted
    inner join sessions
        on
            sessions.cookie_id = converted.cookie_id
            and sessions.campaign_at <= converted.converted_at

),

final as (

    select
        converted.session_id,
        converted.cookie_id,
        converted.started_at,
        converted.converted_at,
        cast(converted.converted_at as date) as conversion_date,
        converted.purchases,
        first_sessions.session_id as first_session_id,
        case
            when first_sessions.campaign_at <= converted.converted_at
                then first_sessions.campaign
        end as first_touch_campaign,
        last_touches.touch_session_id as last_touch_session_id,
        last_touches.campaign as last_touch_campaign
    from converted
    inner join first_sessions
        on
            first_sessions.cookie_id = converted.cookie_id
            and first_sessions.place = 1
    left join last_touches
        on
            last_touches.session_id = converted.session_id
            and last_touches.place = 1

)

select * from final
