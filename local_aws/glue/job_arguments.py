"""What the arguments of a Glue job mean, and which of them are refused.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement

from local_aws.service import AwsError, Unsupported

Arguments = Mapping[str, str]

IGNORED = {
    "--enable-metrics": "there are no CloudWatch metrics of job runs here",
    "--enable-observability-metrics": "there are no CloudWatch metrics of job runs here",
    "--enable-continuous-cloudwatch-log": "logs always arrive while the job runs, as in Glue 5",
    "--enable-continuous-log-filter": "the driver logs warnings and errors only",
    "--enable-job-insights": "there are no job insights here",
    "--enable-auto-scaling": "the machine's cores are all the workers there are",
    "--enable-s3-parquet-optimized-committer": "a job's files appear when the job commits anyway",
    "--enable-rename-algorithm-v2": "renaming is atomic here",
    "--job-language": "python is the only one",
    "--TempDir": "passed to the script",
    "--executor-cores": "the machine's cores are all the workers there are",
    "--python-modules-installer-option": "nothing is installed",
    "--write-shuffle-files-to-s3": "shuffle files stay on the local disk",
    "--write-shuffle-spills-to-s3": "shuffle files stay on the local disk",
}
"""Arguments that are accepted and change nothing, each with the reason why."""

HONOURED = {
    "--conf": "Spark's properties; those of the JVM itself (memory, class path) are refused",
    "--extra-py-files": "zip, egg, whl and py files from S3, first on the path, executors too",
    "--extra-files": "files from S3 into the script's working folder",
    "--additional-python-modules": "refused unless the module is installed here already",
    "--scriptLocation": "the script to run instead of the command's",
    "--customer-driver-env-vars": "environment variables of the script (CUSTOMER_...)",
    "--customer-executor-env-vars": "environment variables of Python workers (CUSTOMER_...)",
    "--enable-spark-ui": "writes Spark's event log to --spark-event-logs-path",
    "--spark-event-logs-path": "where --enable-spark-ui writes",
}

REFUSED = {
    "--enable-glue-datacatalog": "Read and write s3:// paths and register tables with the Glue API",
    "--extra-jars": "Only the jars of Spark itself are there",
    "--user-jars-first": "Only the jars of Spark itself are there",
    "--datalake-formats": "Iceberg, Hudi and Delta need jars that are not there; use Parquet",
    "--class": "Scala jobs are not run; write the job in Python",
    "--use-postgres-driver": "There are no JDBC drivers",
    "--enable-lakeformation-fine-grained-access": "There is no Lake Formation",
    "--continuation-option": "Use --job-bookmark-option job-bookmark-disable",
    "--encryption-type": "Objects are plain files",
}
"""Arguments that would change what the job does, each with the remedy."""

_FALSE = {"", "false"}
_JVM_PROPERTIES = (
    "spark.driver.memory",
    "spark.driver.extraClassPath",
    "spark.driver.extraJavaOptions",
    "spark.driver.extraLibraryPath",
    "spark.executor.extraClassPath",
    "spark.jars",
    "spark.master",
    "spark.submit.deployMode",
)
_CLUSTER_PROPERTIES = (
    "spark.driver.cores",
    "spark.driver.memoryOverhead",
    "spark.dynamicAllocation.",
    "spark.executor.cores",
    "spark.executor.instances",
    "spark.executor.memory",
    "spark.executor.memoryOverhead",
)


@dataclass(frozen=True)
class SparkRun:
    """What a run's arguments ask of Spark and of the script's process.

    Attributes:
        properties: Spark's properties, by name.
        ignored: sentences about properties that change nothing here.
        extra_py_files, extra_files: S3 locations.
        environment: variables of the script's process.
    """

    properties: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    extra_py_files: list[str] = field(default_factory=list)
    extra_files: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


def merge(
    defaults: Arguments | None, given: Arguments | None, fixed: Arguments | None
) -> dict[str, str]:
    """The job's defaults, replaced by the run's, replaced by what no run may override."""
    return {**(defaults or {}), **(given or {}), **(fixed or {})}


def check(arguments: Arguments) -> None:
    """Refuse arguments that the embedded AWS cannot honour.

    Raises:
        Unsupported: naming the argument and the remedy.
        AwsError: InvalidInputException, when AWS would not accept it either.
    """
    for name, value in arguments.items():
        if name in REFUSED and value.lower() not in _FALSE:
            raise Unsupported(f"the job argument {name}", f"{REFUSED[name]}.")
    bookmark = arguments.get("--job-bookmark-option", "job-bookmark-disable")
    if bookmark != "job-bookmark-disable":
        raise Unsupported(
            f"--job-bookmark-option {bookmark}",
            "Use job-bookmark-disable and let the job's arguments say what to read.",
        )
    if arguments.get("--job-language", "python") != "python":
        raise Unsupported(f"--job-language {arguments['--job-language']}", "Use python.")
    for module in _listed(arguments.get("--additional-python-modules", "")):
        _require_installed(module)
    interpret(arguments)


def _require_installed(module: str) -> None:
    try:
        requirement = Requirement(module)
    except InvalidRequirement as error:
        raise Unsupported(
            f"--additional-python-modules {module}",
            "Nothing is installed for a job: install the package beside the embedded AWS and"
            " name it as name==version.",
        ) from error
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError as error:
        raise Unsupported(
            f"--additional-python-modules {module}: {requirement.name} is not installed",
            "Nothing is installed for a job: install the package beside the embedded AWS.",
        ) from error
    if not requirement.specifier.contains(version, prereleases=True):
        raise Unsupported(
            f"--additional-python-modules {module}: version {version} is installed",
            "Nothing is installed for a job: ask for that version, or install the other.",
        )


def interpret(arguments: Arguments) -> SparkRun:
    """Read the arguments that Glue itself consumes.

    Raises:
        Unsupported: a Spark property that a warm JVM cannot take.
        AwsError: InvalidInputException.
    """
    run = SparkRun(
        extra_py_files=_listed(arguments.get("--extra-py-files", "")),
        extra_files=_listed(arguments.get("--extra-files", "")),
        environment=_variables(arguments, "--customer-driver-env-vars"),
    )
    for location in run.extra_py_files:
        if not location.endswith((".py", ".zip", ".egg", ".whl")):
            raise AwsError(
                "InvalidInputException",
                f"--extra-py-files {location}: expected a .py, .zip, .egg or .whl file.",
            )
    for name, value in _variables(arguments, "--customer-executor-env-vars").items():
        run.properties[f"spark.executorEnv.{name}"] = value
    if arguments.get("--enable-spark-ui", "false").lower() == "true":
        folder = arguments.get("--spark-event-logs-path")
        if folder:
            run.properties["spark.eventLog.enabled"] = "true"
            run.properties["spark.eventLog.dir"] = folder
    for name, value in spark_properties(arguments.get("--conf", "")).items():
        if name.startswith(_JVM_PROPERTIES) and not name.startswith(_CLUSTER_PROPERTIES):
            raise Unsupported(
                f"--conf {name}",
                "The JVM is started before the job: set LOCAL_AWS_SPARK_MEMORY or"
                " LOCAL_AWS_SPARK_CORES where the embedded AWS is started.",
            )
        if name.startswith(_CLUSTER_PROPERTIES):
            run.ignored.append(
                f"--conf {name}={value} changes nothing here: the run uses this machine's cores."
            )
            continue
        run.properties[name] = value
    return run


def spark_properties(text: str) -> dict[str, str]:
    """``a=b --conf c=d``, as the value of ``--conf`` is written for Glue.

    >>> spark_properties("spark.sql.ansi.enabled=true --conf spark.x=a b")
    {'spark.sql.ansi.enabled': 'true', 'spark.x': 'a b'}
    """
    found = {}
    for part in f" {text}".split(" --conf "):
        if not part.strip():
            continue
        name, separator, value = part.strip().partition("=")
        if not separator or not name:
            raise AwsError("InvalidInputException", f"--conf {part.strip()}: expected name=value.")
        found[name.strip()] = value.strip()
    return found


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _variables(arguments: Arguments, argument: str) -> dict[str, str]:
    found = {}
    for part in _listed(arguments.get(argument, "")):
        name, separator, value = part.partition("=")
        if not separator or not name.startswith("CUSTOMER_"):
            raise AwsError(
                "InvalidInputException", f"{argument} {part}: expected CUSTOMER_NAME=value."
            )
        found[name] = value.strip('"')
    return found


def script_arguments(arguments: Arguments, **identity: str) -> list[str]:
    """What follows the script's name in ``sys.argv``: identity first, then every argument."""
    given = {name: value for name, value in arguments.items() if name != "--conf"}
    named = {f"--{name}": value for name, value in identity.items()}
    argv = []
    for name, value in {**named, **given, **named}.items():
        argv += [name, value]
    return argv
