-- What the models hold, in the figures that silver's events must give too.
select 'conversions: purchases' as figure, coalesce(sum(purchases), 0) as total
from clickstream.conversions
union all
select 'sessions', count(*)
from clickstream.sessions
union all
select 'sessions: cookies', count(distinct cookie_id)
from clickstream.sessions
union all
select 'sessions: events', coalesce(sum(events), 0)
from clickstream.sessions
order by 1
