"""The part of AWS Glue's own Python module that needs no DynamicFrame."""
