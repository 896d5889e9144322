create schema if not exists sales_schema
