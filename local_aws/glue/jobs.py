"""AWS Glue: jobs and their runs on Spark."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from datetime import timedelta
from typing import Any, ClassVar

from local_aws.glue import job_arguments
from local_aws.glue.job_run import FINISHED, OUTPUT_GROUP, RUN, JobRun
from local_aws.glue.spark_host import SparkHost
from local_aws.glue.spark_jvm import SparkSettings
from local_aws.service import (
    AwsError,
    Feature,
    Request,
    Response,
    Service,
    Unsupported,
    operation,
)

JOB = "glue/job"
TAGS = "glue/tags"
GLUE_VERSIONS = ("5.0", "5.1")
DPUS = {
    "G.025X": 0.25, "G.1X": 1, "G.2X": 2, "G.4X": 4, "G.8X": 8, "G.12X": 12, "G.16X": 16,
    "R.1X": 1, "R.2X": 2, "R.4X": 4, "R.8X": 8, "Standard": 1,
}  # fmt: skip
DEFAULT_TIMEOUT = 480
"""Minutes, for Glue 5 (https://docs.aws.amazon.com/glue/latest/webapi/API_Job.html)."""

HISTORY = timedelta(days=365)
KEPT = {
    "LogUri": "kept and shown; AWS reserves it for future use",
    "NotificationProperty": "kept and shown; there are no EventBridge events of late runs",
}
DEFINITION = (
    "Role",
    "Command",
    "Description",
    "ExecutionProperty",
    "DefaultArguments",
    "NonOverridableArguments",
    "MaxRetries",
    "AllocatedCapacity",
    "Timeout",
    "MaxCapacity",
    "GlueVersion",
    "NumberOfWorkers",
    "WorkerType",
    "ExecutionClass",
    "JobMode",
    "JobRunQueuingEnabled",
)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidInputException", message)


def _page(
    names: list[Any], request: Request, default: int, largest: int
) -> tuple[list[Any], dict[str, str]]:
    size = request.get("MaxResults") or default
    if not 1 <= size <= largest:
        raise _invalid(f"MaxResults {size}: expected 1 to {largest}.")
    token = request.get("NextToken") or "0"
    if not token.isdigit():
        raise _invalid("The NextToken is not one that this operation gave.")
    start = int(token)
    more = {"NextToken": str(start + size)} if start + size < len(names) else {}
    return names[start : start + size], more


class JobOperations(Service):
    """Operations on jobs and their runs on Spark."""

    features: ClassVar[tuple[Feature, ...]] = (
        Feature("job commands", "glueetl", "supported", "Python 3.11, Spark 3.5.6, Java 17"),
        Feature("job commands", "pythonshell", "different", "runs on Python 3.11, not 3.9"),
        Feature("job commands", "gluestreaming, glueray", "refused"),
        Feature("Glue versions", "5.0, 5.1", "supported", "5.0 runs on Spark 3.5.6 too"),
        Feature("Glue versions", "others, and none (6.0 on AWS)", "refused"),
        *(
            Feature("job arguments", name, "supported", note)
            for name, note in job_arguments.HONOURED.items()
        ),
        *(
            Feature("job arguments", name, "different", f"ignored: {note}")
            for name, note in job_arguments.IGNORED.items()
        ),
        *(
            Feature("job arguments", name, "refused", note)
            for name, note in job_arguments.REFUSED.items()
        ),
        Feature("job arguments", "--job-bookmark-option", "refused", "except job-bookmark-disable"),
        Feature(
            "job storage",
            "s3://, s3a://, s3n://",
            "different",
            "objects are plain files; a job's files appear when the whole job commits (commit"
            " algorithm 1); what Spark writes raises no S3 events",
        ),
        Feature("awsglue", "getResolvedOptions, GlueContext, Job", "supported"),
        Feature("awsglue", "DynamicFrame, transforms, bookmarks", "refused"),
        Feature(
            "job runs",
            "workers",
            "different",
            "every run uses this machine's cores; WorkerType and NumberOfWorkers count for cost",
        ),
        Feature(
            "job runs",
            "at once",
            "different",
            "LOCAL_AWS_SPARK_JVMS runs at once (1); further ones wait in STARTING",
        ),
        Feature("job runs", "history", "supported", "365 days"),
    )

    def setup(self) -> None:
        self._runs: dict[str, JobRun] = {}
        self._host: SparkHost | None = None
        self._host_lock = threading.Lock()
        self._stopping = False

    def start(self) -> None:
        shutil.rmtree(self.aws.config.state / "glue" / "scratch", ignore_errors=True)
        for key, run in self.aws.store.list(RUN):
            if run["JobRunState"] not in FINISHED:
                self.aws.store.update(
                    RUN,
                    key,
                    JobRunState="FAILED",
                    ErrorMessage="The embedded AWS stopped while the job was running.",
                    CompletedOn=self.aws.now(),
                    LastModifiedOn=self.aws.now(),
                )
        if os.environ.get("LOCAL_AWS_WARM_SPARK") == "1":
            self.warm()

    def expire(self) -> None:
        """Forget runs that ended more than 365 days ago, and what they printed.

        That is what GetJobRun's reference says; the developer's guide still says 90 days:
        https://docs.aws.amazon.com/glue/latest/webapi/API_GetJobRun.html
        https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-runs.html
        """
        # Before the runs are: the folder of one that begins meanwhile is not among these.
        folders = list((self.aws.config.state / "glue" / "runs").glob("*"))
        oldest = self.aws.now() - HISTORY
        kept = set()
        for key, run in self.aws.store.list(RUN):
            if run["JobRunState"] in FINISHED and run["LastModifiedOn"] < oldest:
                self.aws.store.delete(RUN, key)
            else:
                kept.add(run["Id"])
        for folder in folders:
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def stop(self) -> None:
        self._stopping = True
        for run in list(self._runs.values()):
            run.end("FAILED", "The embedded AWS stopped while the job was running.")
        with self._host_lock:
            host = self._host
        if host is not None:
            host.stop()
        for run in list(self._runs.values()):
            run.join(5)

    def warm(self) -> None:
        """Start Spark in the background, ahead of the first run."""
        threading.Thread(target=self._spark().warm, name="warm-spark", daemon=True).start()

    def _spark(self) -> SparkHost:
        with self._host_lock:
            if self._host is None:
                state = self.aws.config.state
                self._host = SparkHost(
                    state / "glue" / "spark",
                    state / "s3",
                    self.aws.environment(),
                    SparkSettings.from_environment(),
                )
            return self._host

    # Definitions

    @operation(
        "Name",
        "Tags",
        *DEFINITION,
        ignores=KEPT,
        differs="Whether the role exists, and Glue may assume it, is not checked.",
    )
    def CreateJob(self, request: Request) -> Response:
        """Create a job definition."""
        name = request["Name"]
        job = self._definition(request)
        with self.aws.store.transaction():
            existing = self.aws.store.get(JOB, name)
            if existing is not None:
                same = {k: v for k, v in existing.items() if k not in _GIVEN_BY_GLUE} == job
                if not same:
                    raise AwsError(
                        "IdempotentParameterMismatchException",
                        f"Job with name: {name} already submitted with different configuration",
                    )
                return {"Name": name}
            now = self.aws.now()
            job |= {
                "Name": name,
                "JobId": f"j_{secrets.token_hex(32)}",
                "CreatedOn": now,
                "LastModifiedOn": now,
            }
            self.aws.store.put(JOB, name, job)
            if request.get("Tags"):
                self.aws.store.put(TAGS, f"job/{name}", dict(request["Tags"]))
        return {"Name": name}

    @operation("JobName", "JobUpdate")
    def UpdateJob(self, request: Request) -> Response:
        """Replace a job definition; members left out get their defaults."""
        name = request["JobName"]
        update = request["JobUpdate"]
        for member, value in update.items():
            if value is not None and member not in (*DEFINITION, *KEPT):
                raise Unsupported(
                    f"the option JobUpdate.{member} of glue:UpdateJob",
                    f"Supported options: {', '.join(DEFINITION)}.",
                )
        with self.aws.store.transaction():
            old = self._job(name)
            job = self._definition(update)
            job |= {
                "Name": name,
                "JobId": old["JobId"],
                "CreatedOn": old["CreatedOn"],
                "LastModifiedOn": self.aws.now(),
            }
            self.aws.store.put(JOB, name, job)
        return {"JobName": name}

    @operation("JobName")
    def GetJob(self, request: Request) -> Response:
        """Return one job definition."""
        return {"Job": _shown(self._job(request["JobName"]))}

    @operation("MaxResults", "NextToken")
    def GetJobs(self, request: Request) -> Response:
        """List job definitions by name."""
        jobs = [_shown(job) for _, job in self.aws.store.list(JOB)]
        page, more = _page(jobs, request, 100, 1000)
        return {"Jobs": page, **more}

    @operation("MaxResults", "NextToken", "Tags")
    def ListJobs(self, request: Request) -> Response:
        """List job names, all or those with the given tags."""
        wanted = (request.get("Tags") or {}).items()
        names = [
            name
            for name, _ in self.aws.store.list(JOB)
            if not wanted or wanted <= (self.aws.store.get(TAGS, f"job/{name}") or {}).items()
        ]
        page, more = _page(names, request, 100, 1000)
        return {"JobNames": page, **more}

    @operation("JobNames")
    def BatchGetJobs(self, request: Request) -> Response:
        """Return several job definitions and the names of those that are missing."""
        found = [(name, self.aws.store.get(JOB, name)) for name in request["JobNames"]]
        return {
            "Jobs": [_shown(job) for _, job in found if job is not None],
            "JobsNotFound": [name for name, job in found if job is None],
        }

    @operation("JobName")
    def DeleteJob(self, request: Request) -> Response:
        """Delete a job definition; one that does not exist is no error."""
        name = request["JobName"]
        with self.aws.store.transaction():
            self.aws.store.delete(JOB, name)
            self.aws.store.delete(TAGS, f"job/{name}")
        return {"JobName": name}

    @operation()
    def GetJobBookmark(self, request: Request) -> Response:
        """Refused: there are no job bookmarks."""
        raise Unsupported(
            "job bookmarks (glue:GetJobBookmark)", "Pass what to read as a job argument."
        )

    @operation()
    def ResetJobBookmark(self, request: Request) -> Response:
        """Refused: there are no job bookmarks."""
        raise Unsupported(
            "job bookmarks (glue:ResetJobBookmark)", "Pass what to read as a job argument."
        )

    def _job(self, name: str) -> dict[str, Any]:
        job = self.aws.store.get(JOB, name)
        if job is None:
            raise AwsError("EntityNotFoundException", f"Job {name} not found.")
        return job

    def _definition(self, given: Request) -> dict[str, Any]:
        """Check a definition and complete it with AWS's defaults."""
        if not given.get("Role"):
            raise _invalid("Role is required: the name or ARN of the role that the job runs as.")
        job = {
            member: given[member]
            for member in (*DEFINITION, *KEPT)
            if given.get(member) is not None
        }
        command = self._command(given.get("Command") or {})
        job["Command"] = command
        spark = command["Name"] == "glueetl"
        if spark:
            _check_glue_version(job.get("GlueVersion"))
        if job.get("JobMode", "SCRIPT") != "SCRIPT":
            raise Unsupported(f"JobMode {job['JobMode']}", "Use SCRIPT.")
        if job.get("ExecutionClass", "STANDARD") not in ("STANDARD", "FLEX"):
            raise _invalid(f"ExecutionClass {job['ExecutionClass']}: use STANDARD or FLEX.")
        retries = job.setdefault("MaxRetries", 0)
        if not 0 <= retries <= 10:
            raise _invalid(f"MaxRetries {retries}: expected 0 to 10.")
        job.setdefault("ExecutionProperty", {"MaxConcurrentRuns": 1})
        if job["ExecutionProperty"].get("MaxConcurrentRuns", 1) < 1:
            raise _invalid("MaxConcurrentRuns must be 1 or more.")
        job.setdefault("Timeout", DEFAULT_TIMEOUT)
        job.update(_capacity(job, spark))
        job_arguments.check(
            job_arguments.merge(
                job.get("DefaultArguments"), None, job.get("NonOverridableArguments")
            )
        )
        return job

    @staticmethod
    def _command(command: dict[str, Any]) -> dict[str, Any]:
        name = command.get("Name") or "glueetl"
        if name not in OUTPUT_GROUP:
            raise Unsupported(f"jobs of the kind {name}", "Use glueetl or pythonshell.")
        if not command.get("ScriptLocation"):
            raise _invalid("Command.ScriptLocation is required: s3://bucket/script.py.")
        if not str(command["ScriptLocation"]).startswith("s3://"):
            raise _invalid(
                f"Command.ScriptLocation {command['ScriptLocation']}: expected s3://bucket/key."
            )
        version = command.get("PythonVersion") or "3"
        if version not in ("3", "3.9"):
            raise Unsupported(f"PythonVersion {version}", "Use 3.")
        if command.get("Runtime"):
            raise Unsupported("Command.Runtime", "It belongs to Ray jobs: leave it out.")
        return {**command, "Name": name, "PythonVersion": version}

    # Runs

    @operation(
        "JobName",
        "JobRunId",
        "Arguments",
        "AllocatedCapacity",
        "Timeout",
        "MaxCapacity",
        "WorkerType",
        "NumberOfWorkers",
        "ExecutionClass",
        "JobRunQueuingEnabled",
        ignores={"NotificationProperty": KEPT["NotificationProperty"]},
        differs="More runs at once than there are JVMs for wait in STARTING.",
    )
    def StartJobRun(self, request: Request) -> Response:
        """Start a run of a job in a Python process of its own on Spark."""
        name = request["JobName"]
        job = self.aws.store.get(JOB, name)
        if job is None:
            raise AwsError(
                "EntityNotFoundException", "Failed to start job run due to missing metadata"
            )
        job_arguments.check(
            job_arguments.merge(
                job.get("DefaultArguments"),
                request.get("Arguments"),
                job.get("NonOverridableArguments"),
            )
        )
        previous = None
        if request.get("JobRunId"):
            previous = self._run(name, request["JobRunId"])
            if previous["JobRunState"] not in FINISHED:
                raise _invalid(f"Job run {previous['Id']} has not ended: it cannot be retried.")
        run = self._new_run(job, request, previous)
        with self.aws.store.transaction():
            active = self._active(name)
            limit = job["ExecutionProperty"].get("MaxConcurrentRuns", 1)
            if len(active) >= limit:
                if not run.get("JobRunQueuingEnabled"):
                    raise AwsError(
                        "ConcurrentRunsExceededException", f"Concurrent runs exceeded for {name}"
                    )
                run["JobRunState"] = "WAITING"
                run["StateDetail"] = "Max concurrent job runs per job exceeded"
            self.aws.store.put(RUN, _key(name, run["Id"]), run)
            work = self._executor(job, run) if run["JobRunState"] != "WAITING" else None
        if work is not None:
            work.start()
        return {"JobRunId": run["Id"]}

    def _new_run(
        self, job: dict[str, Any], given: Request, previous: dict[str, Any] | None
    ) -> dict[str, Any]:
        spark = job["Command"]["Name"] == "glueetl"
        now = self.aws.now()
        asked = {
            member: given[member]
            for member in ("MaxCapacity", "WorkerType", "NumberOfWorkers", "AllocatedCapacity")
            if given.get(member) is not None
        }
        if asked:
            capacity = _capacity(asked, spark)
        else:
            members = ("WorkerType", "NumberOfWorkers", "MaxCapacity", "AllocatedCapacity")
            capacity = {member: job[member] for member in members if member in job}
        queuing = given.get("JobRunQueuingEnabled")
        if queuing is None:
            queuing = job.get("JobRunQueuingEnabled", False)
        run: dict[str, Any] = {
            "Id": f"jr_{secrets.token_hex(32)}",
            "Attempt": 0,
            "JobName": job["Name"],
            "JobMode": job.get("JobMode", "SCRIPT"),
            "JobRunQueuingEnabled": queuing,
            "StartedOn": now,
            "LastModifiedOn": now,
            "JobRunState": "STARTING",
            "PredecessorRuns": [],
            "ExecutionTime": 0,
            "Timeout": given.get("Timeout") or job["Timeout"],
            "LogGroupName": OUTPUT_GROUP[job["Command"]["Name"]],
            **capacity,
        }
        if given.get("Arguments"):
            run["Arguments"] = dict(given["Arguments"])
        for member in ("NotificationProperty", "ExecutionClass"):
            value = given.get(member) or job.get(member)
            if value:
                run[member] = value
        if job.get("GlueVersion"):
            run["GlueVersion"] = job["GlueVersion"]
        if previous is not None:
            run |= _attempt_after(previous)
            if "Arguments" not in run and previous.get("Arguments"):
                run["Arguments"] = previous["Arguments"]
        return run

    def _executor(self, job: dict[str, Any], run: dict[str, Any]) -> JobRun:
        """What will execute a run that is in the store; it can be stopped from now on."""
        work = JobRun(
            self.aws,
            self._spark(),
            _key(job["Name"], run["Id"]),
            job,
            self.aws.config.state / "glue" / "scratch" / run["Id"],
            self._ended,
        )
        self._runs[run["Id"]] = work
        return work

    def _ended(self, work: JobRun) -> None:
        """Retry a run that failed, or start one that waited for its turn."""
        self._runs.pop(work.run_id, None)
        if self._stopping:
            return
        name = work.run["JobName"]
        with self.aws.store.transaction():
            following = self._retry(work) or self._next_waiting(name)
        if following is not None:
            following.start()

    def _retry(self, work: JobRun) -> JobRun | None:
        failed = work.run
        if failed["JobRunState"] != "FAILED" or failed["Attempt"] >= work.job["MaxRetries"]:
            return None
        now = self.aws.now()
        over = ("CompletedOn", "ErrorMessage", "DPUSeconds")
        retry = {member: value for member, value in failed.items() if member not in over} | {
            **_attempt_after(failed),
            "JobRunState": "STARTING",
            "StartedOn": now,
            "LastModifiedOn": now,
            "ExecutionTime": 0,
        }
        self.aws.store.put(RUN, _key(failed["JobName"], retry["Id"]), retry)
        return self._executor(work.job, retry)

    def _next_waiting(self, name: str) -> JobRun | None:
        job = self.aws.store.get(JOB, name)
        waiting = [run for run in self._job_runs(name) if _waits(run)]
        if job is None or not waiting:
            return None
        if len(self._active(name)) >= job["ExecutionProperty"].get("MaxConcurrentRuns", 1):
            return None
        first = min(waiting, key=lambda run: run["StartedOn"])
        first.pop("StateDetail", None)
        first["JobRunState"] = "STARTING"
        self.aws.store.put(RUN, _key(name, first["Id"]), first)
        return self._executor(job, first)

    def _job_runs(self, name: str) -> list[dict[str, Any]]:
        return [run for _, run in self.aws.store.list(RUN, _key(name, ""))]

    def _active(self, name: str) -> list[dict[str, Any]]:
        return [
            run
            for run in self._job_runs(name)
            if run["JobRunState"] not in FINISHED and not _waits(run)
        ]

    def _run(self, name: str, run_id: str) -> dict[str, Any]:
        run = self.aws.store.get(RUN, _key(name, run_id))
        if run is None:
            raise AwsError("EntityNotFoundException", f"Job run {run_id} not found.")
        return run

    def _now_shown(self, run: dict[str, Any]) -> dict[str, Any]:
        work = self._runs.get(run["Id"])
        if work is not None and run["JobRunState"] not in FINISHED:
            return {**run, "ExecutionTime": work.seconds}
        return run

    @operation("JobName", "RunId", "PredecessorsIncluded")
    def GetJobRun(self, request: Request) -> Response:
        """Return one run; a run in progress is waited for."""
        name, run_id = request["JobName"], request["RunId"]
        self._job(name)

        def finished() -> bool:
            return self._run(name, run_id)["JobRunState"] in FINISHED

        if not finished():
            self.aws.wait_for(finished)
        return {"JobRun": self._now_shown(self._run(name, run_id))}

    @operation("JobName", "MaxResults", "NextToken")
    def GetJobRuns(self, request: Request) -> Response:
        """List a job's runs, the latest first."""
        self._job(request["JobName"])
        runs = sorted(
            self._job_runs(request["JobName"]), key=lambda run: run["StartedOn"], reverse=True
        )
        page, more = _page(runs, request, 200, 200)
        return {"JobRuns": [self._now_shown(run) for run in page], **more}

    @operation("JobName", "JobRunIds")
    def BatchStopJobRun(self, request: Request) -> Response:
        """Stop runs: the script's process and its Spark jobs end at once."""
        name = request["JobName"]
        done, errors = [], []
        for run_id in request["JobRunIds"]:
            each = {"JobName": name, "JobRunId": run_id}
            try:
                self._stop_run(name, run_id)
                done.append(each)
            except AwsError as error:
                detail = {"ErrorCode": error.code, "ErrorMessage": error.message}
                errors.append({**each, "ErrorDetail": detail})
        return {"SuccessfulSubmissions": done, "Errors": errors}

    def _stop_run(self, name: str, run_id: str) -> None:
        with self.aws.store.transaction():
            run = self._run(name, run_id)
            if run["JobRunState"] in FINISHED:
                raise AwsError("JobRunInTerminalStateException", "Job run is in terminal state.")
            waiting = _waits(run)
            self.aws.store.update(
                RUN,
                _key(name, run_id),
                JobRunState="STOPPED" if waiting else "STOPPING",
                LastModifiedOn=self.aws.now(),
                **({"CompletedOn": self.aws.now()} if waiting else {}),
            )
        work = self._runs.get(run_id)
        if work is not None:
            work.end("STOPPED")


_GIVEN_BY_GLUE = ("Name", "JobId", "CreatedOn", "LastModifiedOn")


def _key(job: str, run_id: str) -> str:
    return f"{job}\x1f{run_id}"


def _attempt_after(run: dict[str, Any]) -> dict[str, Any]:
    """Identity of the run that repeats ``run``."""
    first = run["Id"].partition("_attempt_")[0]
    number = run["Attempt"] + 1
    return {"Id": f"{first}_attempt_{number}", "Attempt": number, "PreviousRunId": run["Id"]}


def _waits(run: dict[str, Any]) -> bool:
    return run["JobRunState"] == "WAITING"


def _shown(job: dict[str, Any]) -> dict[str, Any]:
    return {member: value for member, value in job.items() if member != "JobId"}


def _check_glue_version(version: str | None) -> None:
    supported = " or ".join(GLUE_VERSIONS)
    if version is None:
        raise Unsupported(
            "Glue jobs without a GlueVersion, which AWS runs on Glue 6.0 (Spark 4.1)",
            f"Set GlueVersion to {supported} (Spark 3.5, Python 3.11).",
        )
    if version not in GLUE_VERSIONS:
        raise Unsupported(
            f"GlueVersion {version}", f"Set GlueVersion to {supported} (Spark 3.5, Python 3.11)."
        )


def _capacity(given: dict[str, Any], spark: bool) -> dict[str, Any]:
    """Workers and DPUs as AWS completes them.

    https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-job.html
    """
    worker, number = given.get("WorkerType"), given.get("NumberOfWorkers")
    most = given.get("MaxCapacity")
    allocated = given.get("AllocatedCapacity")
    if most is not None and (worker or number):
        raise _invalid("Please do not set Max Capacity if using Worker Type and Number of Workers.")
    if bool(worker) != bool(number):
        raise _invalid("Please set both Worker Type and Number of Workers.")
    if not spark:
        if worker:
            raise _invalid("Worker Type is not supported for pythonshell: set Max Capacity.")
        most = 0.0625 if most is None else most
        if most not in (0.0625, 1.0):
            raise _invalid(f"MaxCapacity {most}: a pythonshell job takes 0.0625 or 1.")
        return {"MaxCapacity": float(most), "AllocatedCapacity": int(most)}
    if most is None and allocated and not worker:
        most = float(allocated)
    if most is not None:
        if most < 2:
            raise _invalid(f"MaxCapacity {most}: a glueetl job takes 2 DPUs at least.")
        return {"MaxCapacity": float(most), "AllocatedCapacity": int(most)}
    worker, number = worker or "G.1X", number or 10
    if worker not in DPUS:
        raise Unsupported(f"WorkerType {worker}", f"Use one of {', '.join(DPUS)}.")
    if worker == "G.025X":
        raise _invalid("G.025X is for streaming jobs only.")
    if number < 2:
        raise _invalid("NumberOfWorkers must be 2 at least.")
    dpus = DPUS[worker] * number
    return {
        "WorkerType": worker,
        "NumberOfWorkers": number,
        "MaxCapacity": float(dpus),
        "AllocatedCapacity": int(dpus),
    }
