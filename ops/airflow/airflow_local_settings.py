"""What the local Airflow's processes import once, so that each task and parse need not again.

A task's process is forked from an executor's worker, which was forked from the scheduler, and a
DAG file is parsed in a fork of the DAG processor: modules that are there already cost nothing.
Without this every task, and every parse of every DAG file, spends about a second of CPU on imports.
An AWS hook asks the stack which operator it is for, to tell AWS: the first to do so in a process
has Python find the file of every module, which costs as much as the rest of the hook.
https://airflow.apache.org/docs/apache-airflow/stable/howto/set-config.html
"""

import inspect
import logging
import sys

import sqlite_metadata  # noqa: F401

__all__: list[str] = []

# Where key and address come from is said with every client, and the same in every task's log.
# Airflow's own setting for levels, `namespace_levels`, does not reach the loggers of libraries.
for name in ("botocore.credentials", "botocore.configprovider"):
    logging.getLogger(name).setLevel(logging.WARNING)

if {"scheduler", "dag-processor"} & set(sys.argv):
    import airflow.providers.amazon.aws.notifications.sns
    import airflow.providers.amazon.aws.operators.athena
    import airflow.providers.amazon.aws.operators.glue
    import airflow.providers.amazon.aws.operators.glue_crawler
    import airflow.providers.amazon.aws.operators.lambda_function
    import airflow.providers.amazon.aws.operators.redshift_data
    import airflow.providers.amazon.aws.operators.sns
    import airflow.providers.amazon.aws.sensors.s3
    import airflow.providers.amazon.aws.transfers.s3_to_redshift
    import airflow.providers.standard.decorators.python
    import airflow.providers.standard.operators.trigger_dagrun
    import airflow.sdk.execution_time.task_runner  # noqa: F401

    inspect.stack()
