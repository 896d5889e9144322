{{ config(dist='all', sort=['session_date']) }}

{%- set steps = ['home', 'product', 'cart', 'payment', 'confirmation'] %}

with sessions as (

    select * from {{ ref('sessions') }}

),

final as (

    select
        session_date,
        cast(count(*) as integer) as sessions
        {%- for step in steps %},
        cast(count(case when {{ step }}_views > 0 then 1 end) as integer)
            as {{ step }}_sessions
        {%- endfor %}
    from sessions
    group by session_date

)

select * from final
