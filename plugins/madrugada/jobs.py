"""A Glue job run that is found again when nobody heard that it had begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.glue import GlueJobOperator
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from airflow.sdk import Context


class ReattachingGlueJobOperator(GlueJobOperator):
    """Run a Glue job; follow the run that is going when it is this DAG run's own.

    The provider's operator remembers a run as soon as it knows its id. Two moments are before that:
    the answer of StartJobRun is lost and the client asks again, or the task's process dies between
    the answer and remembering it. Either way the job is going, and a second start is refused for as
    long as it takes (``ConcurrentRunsExceededException``), longer than any retry waits.

    :param run_argument: the script argument, among `script_args`, that names the DAG run.
    """

    def __init__(self, *, run_argument: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_argument = run_argument

    def submit_job(self, context: Context) -> str:
        try:
            return super().submit_job(context)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConcurrentRunsExceededException":
                raise
            own = self._own_run()
            if own is None:
                raise
        self.log.info("This DAG run's own Glue run %s is going: following it", own)
        self._set_job_run_id(context, own)
        return own

    def _own_run(self) -> str | None:
        """The newest run of the job that is going and was started by this DAG run."""
        wanted = self.script_args[self.run_argument]
        answer = self.hook.conn.get_job_runs(JobName=self.job_name, MaxResults=20)
        for run in answer["JobRuns"]:
            mine = run.get("Arguments", {}).get(self.run_argument) == wanted
            if mine and self.is_job_active(run["JobRunState"]):
                return run["Id"]
        return None
