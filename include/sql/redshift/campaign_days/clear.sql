-- Whole: a day of either side may have changed, however long ago it was.
delete from sales_schema.campaign_days
