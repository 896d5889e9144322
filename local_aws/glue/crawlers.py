"""AWS Glue: crawlers and classifiers."""

from __future__ import annotations

import json
import logging
import statistics
import threading
import uuid
from functools import partial
from typing import Any, ClassVar

from local_aws.glue.catalog import page
from local_aws.glue.classify import CUSTOM_TYPES
from local_aws.glue.crawl import SEEN, Crawl, Result, Stopped
from local_aws.glue.crawl_options import parse_options
from local_aws.glue.json_records import parse_path
from local_aws.glue.metastore import Catalog
from local_aws.glue.s3_tree import exclusion
from local_aws.service import (
    AwsError,
    Feature,
    Request,
    Response,
    Service,
    Unsupported,
    operation,
)

CRAWLER = "glue/crawler"
CLASSIFIER = "glue/classifier"
CRAWL = "glue/crawl"
LOG_GROUP = "/aws-glue/crawlers"

_SEPARATOR = "\x1f"
_KEPT_CRAWLS = 100
_DEFINITION = (
    "Role",
    "DatabaseName",
    "Description",
    "Targets",
    "Classifiers",
    "TablePrefix",
    "SchemaChangePolicy",
    "RecrawlPolicy",
    "LineageConfiguration",
    "LakeFormationConfiguration",
    "Configuration",
)
_TARGET_KINDS = (
    "S3Targets",
    "JdbcTargets",
    "MongoDBTargets",
    "DynamoDBTargets",
    "CatalogTargets",
    "DeltaTargets",
    "IcebergTargets",
    "HudiTargets",
)
_S3_TARGET = ("Path", "Exclusions", "SampleSize")
_CATALOG_TARGET = ("DatabaseName", "Tables")
_CSV = (
    "Name",
    "Delimiter",
    "QuoteSymbol",
    "ContainsHeader",
    "Header",
    "DisableValueTrimming",
    "AllowSingleColumn",
    "CustomDatatypeConfigured",
    "CustomDatatypes",
    "Serde",
)
_ROLE = "The role is not assumed, so its policies and its trust are not checked."
log = logging.getLogger("local_aws.glue.crawlers")


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidInputException", message)


class CrawlerOperations(Service):
    """Operations on crawlers and classifiers."""

    catalog: Catalog
    _crawl_stops: dict[str, threading.Event]
    _crawl_ends: dict[str, threading.Event]

    features: ClassVar[tuple[Feature, ...]] = (
        Feature("Crawlers", "S3 targets: exclusions, sample size, partitions", "supported"),
        Feature("Crawlers", "catalog targets: a table that is there, its partitions", "supported"),
        Feature(
            "Crawlers",
            "catalog targets: folders in which no classifier recognises a file",
            "different",
            "They become no partitions, and the crawl's log says so; AWS documents nothing of it.",
        ),
        Feature("Crawlers", "targets by JDBC, MongoDB and DynamoDB", "refused"),
        Feature("Crawlers", "Delta, Iceberg and Hudi targets, S3 event mode", "refused"),
        Feature("Crawlers", "schedules", "refused", "Start crawlers from Airflow."),
        Feature("Crawlers", "Lake Formation credentials, lineage, encryption", "refused"),
        Feature("Classifiers", "Parquet, JSON, CSV; gzip and bzip2", "supported"),
        Feature("Classifiers", "ORC, Avro, XML, ZIP, LZ4, Snappy, Zstandard", "refused"),
        Feature("Classifiers", "custom CSV and JSON classifiers", "supported"),
        Feature("Classifiers", "custom grok and XML classifiers, log formats", "refused"),
        Feature(
            "Classifiers",
            "files read before",
            "different",
            "They are classified again when a classifier of the crawler changes.",
        ),
        Feature(
            "Classifiers",
            "UTF-8 byte order mark",
            "different",
            "It is left out of the first column's name; AWS documents nothing about it.",
        ),
    )

    def setup(self) -> None:
        self._crawl_stops = {}
        self._crawl_ends = {}

    def start(self) -> None:
        """A crawl that a restart cut off has failed, and says so."""
        for name, crawler in self.aws.store.list(CRAWLER):
            if crawler["State"] != "READY":
                self._finish_crawl(
                    name, "FAILED", Result(), "The embedded AWS stopped during the crawl.", []
                )

    def stop(self) -> None:
        for event in list(self._crawl_stops.values()):
            event.set()
        for event in list(self._crawl_ends.values()):
            event.wait(5)

    # Crawlers

    @operation(
        "Name",
        *_DEFINITION,
        "Tags",
        "CatalogId",
        differs=f"{_ROLE} Schedule is refused.",
    )
    def CreateCrawler(self, request: Request) -> Response:
        """Create a crawler over S3, or over tables of the catalog that lie there."""
        name = _name(request.get("Name"))
        crawler = self._crawler_definition({}, request)
        now = self.aws.now()
        with self.aws.store.transaction():
            if self.aws.store.get(CRAWLER, name):
                raise AwsError("AlreadyExistsException", f"Crawler {name} already exists")
            self.aws.store.put(
                CRAWLER,
                name,
                {
                    "Name": name,
                    **crawler,
                    "State": "READY",
                    "CrawlElapsedTime": 0,
                    "CreationTime": now,
                    "LastUpdated": now,
                    "Version": 1,
                },
            )
            self.catalog.tag(f"crawler/{name}", request.get("Tags"))
        return {}

    @operation("Name", *_DEFINITION, "CatalogId", differs=f"{_ROLE} Schedule is refused.")
    def UpdateCrawler(self, request: Request) -> Response:
        """Change the given members of a crawler's definition."""
        with self.aws.store.transaction():
            crawler = self._idle_crawler(request["Name"])
            crawler.update(self._crawler_definition(crawler, request))
            crawler["LastUpdated"] = self.aws.now()
            crawler["Version"] += 1
            self.aws.store.put(CRAWLER, crawler["Name"], crawler)
        return {}

    @operation("Name")
    def DeleteCrawler(self, request: Request) -> Response:
        """Delete a crawler; the tables that it made stay."""
        with self.aws.store.transaction():
            name = self._idle_crawler(request["Name"])["Name"]
            self.aws.store.delete(CRAWLER, name)
            for kind in (CRAWL, SEEN):
                self.aws.store.clear(kind, f"{name}{_SEPARATOR}")
            self.catalog.forget_tags(f"crawler/{name}")
        return {}

    @operation("Name", differs="While the crawler runs, the answer waits for its end.")
    def GetCrawler(self, request: Request) -> Response:
        """Return a crawler with its state and its last crawl."""
        name = self._crawler(request["Name"])["Name"]
        self.aws.wait_for(lambda: self._crawler(name)["State"] == "READY")
        return {"Crawler": self._shown_crawler(self._crawler(name))}

    @operation("MaxResults", "NextToken")
    def GetCrawlers(self, request: Request) -> Response:
        """List the crawlers with their definitions."""
        items, more = page(self.aws.store.list(CRAWLER), request, 1000)
        return {"Crawlers": [self._shown_crawler(crawler) for _, crawler in items], **more}

    @operation("CrawlerNames")
    def BatchGetCrawlers(self, request: Request) -> Response:
        """Return several crawlers, and the names that are no crawler's."""
        found = {name: self.aws.store.get(CRAWLER, name) for name in request["CrawlerNames"]}
        return {
            "Crawlers": [self._shown_crawler(crawler) for crawler in found.values() if crawler],
            "CrawlersNotFound": [name for name, crawler in found.items() if not crawler],
        }

    @operation("MaxResults", "NextToken", "Tags")
    def ListCrawlers(self, request: Request) -> Response:
        """List the crawlers' names, all or those with some tags."""
        wanted = (request.get("Tags") or {}).items()
        names = [
            name
            for name in self.aws.store.keys(CRAWLER)
            if wanted <= self.catalog.tags(f"crawler/{name}").items()
        ]
        items, more = page(names, request, 1000)
        return {"CrawlerNames": list(items), **more}

    @operation("Name")
    def StartCrawler(self, request: Request) -> Response:
        """Start a crawl in the background."""
        crawl_id = str(uuid.uuid4())
        now = self.aws.now()
        with self.aws.store.transaction():
            crawler = self._idle_crawler(request["Name"])
            name = crawler["Name"]
            crawler["State"] = "RUNNING"
            crawler["Crawl"] = {
                "CrawlId": crawl_id,
                "State": "RUNNING",
                "StartTime": now,
                "LogGroup": LOG_GROUP,
                "LogStream": name,
                "MessagePrefix": crawl_id,
            }
            self.aws.store.put(CRAWLER, name, crawler)
        self._crawl_stops[name] = threading.Event()
        self._crawl_ends[name] = threading.Event()
        self.aws.background(self._crawl, name)
        return {}

    @operation("Name")
    def StopCrawler(self, request: Request) -> Response:
        """Ask a running crawl to stop; what it wrote stays."""
        with self.aws.store.transaction():
            crawler = self._crawler(request["Name"])
            name = crawler["Name"]
            if crawler["State"] == "STOPPING":
                raise AwsError("CrawlerStoppingException", f"Crawler {name} is stopping")
            if crawler["State"] != "RUNNING":
                raise AwsError("CrawlerNotRunningException", f"Crawler {name} is not running")
            self.aws.store.update(CRAWLER, name, State="STOPPING")
        self._crawl_stops[name].set()
        return {}

    @operation("CrawlerNameList", "MaxResults", "NextToken")
    def GetCrawlerMetrics(self, request: Request) -> Response:
        """Return the last run's duration and how many tables it created, updated, deleted."""
        names = request.get("CrawlerNameList") or self.aws.store.keys(CRAWLER)
        crawlers = [crawler for name in names if (crawler := self.aws.store.get(CRAWLER, name))]
        items, more = page(crawlers, request, 1000)
        return {"CrawlerMetricsList": [self._crawler_metrics(crawler) for crawler in items], **more}

    @operation("CrawlerName", "MaxResults", "NextToken", "Filters")
    def ListCrawls(self, request: Request) -> Response:
        """List a crawler's crawls, the newest first."""
        crawler = self._crawler(request["CrawlerName"])
        crawls = [crawl for _, crawl in self.aws.store.list(CRAWL, _runs(crawler["Name"]))]
        if crawler["State"] != "READY":
            crawls.append(crawler["Crawl"])
        for wanted in request.get("Filters") or []:
            member = {"CRAWL_ID": "CrawlId", "STATE": "State"}.get(wanted.get("FieldName"))
            if member is None or wanted.get("FilterOperator") not in ("EQ", "NE"):
                raise Unsupported(
                    f"the filter {wanted.get('FieldName')} {wanted.get('FilterOperator')}"
                    " of glue:ListCrawls",
                    "Supported: CRAWL_ID and STATE with EQ or NE.",
                )
            equal = wanted["FilterOperator"] == "EQ"
            crawls = [
                crawl for crawl in crawls if (crawl[member] == wanted.get("FieldValue")) == equal
            ]
        items, more = page(crawls[::-1], request, 1000)
        shown = [
            {member: value for member, value in crawl.items() if member != "Metrics"}
            for crawl in items
        ]
        return {"Crawls": shown, **more}

    def _crawler(self, name: str) -> dict[str, Any]:
        found = self.aws.store.get(CRAWLER, name)
        if found is None:
            raise AwsError(
                "EntityNotFoundException", f"Crawler entry with name {name} does not exist"
            )
        return found

    def _idle_crawler(self, name: str) -> dict[str, Any]:
        crawler = self._crawler(name)
        if crawler["State"] != "READY":
            raise AwsError(
                "CrawlerRunningException", f"Crawler with name {name} has already started"
            )
        return crawler

    def _shown_crawler(self, crawler: dict[str, Any]) -> dict[str, Any]:
        shown = {member: value for member, value in crawler.items() if member != "Crawl"}
        if crawler["State"] != "READY":
            elapsed = self.aws.now() - crawler["Crawl"]["StartTime"]
            shown["CrawlElapsedTime"] = round(elapsed.total_seconds() * 1000)
        return shown

    def _crawler_definition(self, current: dict[str, Any], request: Request) -> dict[str, Any]:
        """The checked definition after a request: what it gives, else what was, else AWS's own."""
        self.catalog.check_own(request.get("CatalogId"))
        defaults: dict[str, Any] = {
            "Classifiers": [],
            "SchemaChangePolicy": {},
            "RecrawlPolicy": {},
            "LineageConfiguration": {},
            "LakeFormationConfiguration": {},
        }
        crawler = {
            member: value
            for member in _DEFINITION
            if (value := _first(request.get(member), current.get(member), defaults.get(member)))
            is not None
        }
        for member in ("Role", "Targets"):
            if not crawler.get(member):
                raise _invalid(f"{member} must be given.")
        crawler["Targets"] = _targets(crawler["Targets"])
        of_catalog = bool(crawler["Targets"]["CatalogTargets"])
        if not of_catalog and not crawler.get("DatabaseName"):
            raise _invalid("DatabaseName must be given.")
        for name in crawler["Classifiers"]:
            if self.aws.store.get(CLASSIFIER, name) is None:
                raise _invalid(f"Classifier {name} does not exist.")
        crawler["SchemaChangePolicy"] = {
            "UpdateBehavior": "UPDATE_IN_DATABASE",
            "DeleteBehavior": "DEPRECATE_IN_DATABASE",
            **crawler["SchemaChangePolicy"],
        }
        policy = crawler["SchemaChangePolicy"]
        _one_of(policy, "UpdateBehavior", "UPDATE_IN_DATABASE", "LOG")
        _one_of(policy, "DeleteBehavior", "DELETE_FROM_DATABASE", "DEPRECATE_IN_DATABASE", "LOG")
        crawler["RecrawlPolicy"] = {
            "RecrawlBehavior": "CRAWL_EVERYTHING",
            **crawler["RecrawlPolicy"],
        }
        recrawl = crawler["RecrawlPolicy"]["RecrawlBehavior"]
        if recrawl == "CRAWL_EVENT_MODE":
            raise Unsupported("crawling by S3 events (CRAWL_EVENT_MODE)", "Use CRAWL_EVERYTHING.")
        _one_of(
            crawler["RecrawlPolicy"],
            "RecrawlBehavior",
            "CRAWL_EVERYTHING",
            "CRAWL_NEW_FOLDERS_ONLY",
        )
        if recrawl == "CRAWL_NEW_FOLDERS_ONLY" and set(policy.values()) != {"LOG"}:
            raise _invalid(
                "With CRAWL_NEW_FOLDERS_ONLY both behaviors of SchemaChangePolicy must be LOG."
            )
        if of_catalog:
            _check_catalog_crawler(crawler)
        lineage = crawler["LineageConfiguration"].setdefault("CrawlerLineageSettings", "DISABLE")
        if lineage != "DISABLE":
            raise Unsupported("crawler lineage (CrawlerLineageSettings)", "Set it to DISABLE.")
        lake = {"UseLakeFormationCredentials": False, "AccountId": ""}
        crawler["LakeFormationConfiguration"] = {**lake, **crawler["LakeFormationConfiguration"]}
        if crawler["LakeFormationConfiguration"] != lake:
            raise Unsupported("Lake Formation credentials for crawlers")
        parse_options(crawler.get("Configuration"))
        return crawler

    # Running

    def _crawl(self, name: str) -> None:
        """One crawl, in a worker thread."""
        lines: list[str] = []
        stop, ended = self._crawl_stops[name], self._crawl_ends[name]
        result, status, message = Result(), "SUCCEEDED", ""
        try:
            crawler = self._crawler(name)
            lines.append(f"BENCHMARK : Running Start Crawl for Crawler {name}")
            crawl = Crawl(
                self.aws.store,
                self.catalog,
                crawler,
                self._crawler_classifiers(crawler),
                parse_options(crawler.get("Configuration")),
                self.aws.s3.path,
                lines.append,
                stop.is_set,
            )
            result = crawl.result
            crawl.run()
            lines.append("BENCHMARK : Classification complete, writing results to database")
        except Stopped:
            status = "CANCELLED"
            if self.aws.store.get(CRAWLER, name) and self._crawler(name)["State"] == "RUNNING":
                status, message = "FAILED", "The embedded AWS stopped during the crawl."
        except AwsError as error:
            status, message = "FAILED", f"{error.code}: {error.message}"
        except Exception as error:
            log.exception("the crawl of %s failed", name)
            status, message = "FAILED", f"{type(error).__name__}: {error}"
        finally:
            try:
                end = partial(self._finish_crawl, name, status, result, message, lines)
                self.aws.insist(end)
            except Exception:
                log.exception("the end of the crawl of %s was not recorded", name)
            ended.set()

    def _crawler_classifiers(self, crawler: dict[str, Any]) -> list[dict[str, Any]]:
        found = []
        for name in crawler["Classifiers"]:
            classifier = self.aws.store.get(CLASSIFIER, name)
            if classifier is None:
                raise _invalid(f"Classifier {name} does not exist.")
            found.append(classifier)
        return found

    def _finish_crawl(
        self, name: str, status: str, result: Result, message: str, lines: list[str]
    ) -> None:
        """Record a crawl's end; its log, history and state appear in one step."""
        ended = self.aws.now()
        if message:
            lines.append(f"ERROR : {message}")
        lines.append("BENCHMARK : Crawler has finished running and is in state READY")
        with self.aws.store.transaction():
            crawler = self._crawler(name)
            crawl = crawler.pop("Crawl")
            if "logs" in self.aws.services:
                prefix = crawl["MessagePrefix"]
                self.aws.logs.write(LOG_GROUP, name, [f"[{prefix}] {line}" for line in lines])
            seconds = (ended - crawl["StartTime"]).total_seconds()
            crawl.update(
                State={"SUCCEEDED": "COMPLETED", "CANCELLED": "STOPPED"}.get(status, status),
                EndTime=ended,
                Summary=_summary(result),
                DPUHour=round(seconds * 2 / 3600, 6),
                Metrics={
                    "LastRuntimeSeconds": seconds,
                    "TablesCreated": len(result.created),
                    "TablesUpdated": len(result.updated),
                    "TablesDeleted": len(result.deleted),
                },
            )
            if message:
                crawl["ErrorMessage"] = message[:2048]
            key = f"{_runs(name)}{crawl['StartTime'].isoformat()}{_SEPARATOR}{crawl['CrawlId']}"
            self.aws.store.put(CRAWL, key, crawl)
            for old in self.aws.store.keys(CRAWL, _runs(name))[:-_KEPT_CRAWLS]:
                self.aws.store.delete(CRAWL, old)
            crawler["State"] = "READY"
            crawler["LastCrawl"] = {
                "Status": status,
                **({"ErrorMessage": message[:2048]} if message else {}),
                "LogGroup": LOG_GROUP,
                "LogStream": name,
                "MessagePrefix": crawl["MessagePrefix"],
                "StartTime": crawl["StartTime"],
            }
            self.aws.store.put(CRAWLER, name, crawler)

    def _crawler_metrics(self, crawler: dict[str, Any]) -> dict[str, Any]:
        name = crawler["Name"]
        runs = [crawl["Metrics"] for _, crawl in self.aws.store.list(CRAWL, _runs(name))]
        last = runs[-1] if runs else {}
        return {
            "CrawlerName": name,
            "TimeLeftSeconds": 0.0,
            "StillEstimating": crawler["State"] != "READY",
            "LastRuntimeSeconds": last.get("LastRuntimeSeconds", 0.0),
            "MedianRuntimeSeconds": (
                statistics.median(run["LastRuntimeSeconds"] for run in runs) if runs else 0.0
            ),
            "TablesCreated": last.get("TablesCreated", 0),
            "TablesUpdated": last.get("TablesUpdated", 0),
            "TablesDeleted": last.get("TablesDeleted", 0),
        }

    # Classifiers

    @operation("CsvClassifier", "JsonClassifier")
    def CreateClassifier(self, request: Request) -> Response:
        """Create a CSV or JSON classifier."""
        kind, given = _classifier(request)
        now = self.aws.now()
        classifier = {**given, "CreationTime": now, "LastUpdated": now, "Version": 1}
        with self.aws.store.transaction():
            if self.aws.store.get(CLASSIFIER, given["Name"]):
                raise AwsError(
                    "AlreadyExistsException", f"Classifier {given['Name']} already exists"
                )
            self.aws.store.put(CLASSIFIER, given["Name"], {kind: classifier})
        return {}

    @operation("CsvClassifier", "JsonClassifier")
    def UpdateClassifier(self, request: Request) -> Response:
        """Change the given members of a classifier."""
        kind, given = _classifier(request)
        with self.aws.store.transaction():
            found = self._classifier_named(given["Name"])
            if kind not in found:
                raise _invalid(f"{given['Name']} is not a {kind} but a {next(iter(found))}.")
            classifier = {**found[kind], **given, "LastUpdated": self.aws.now()}
            classifier["Version"] += 1
            _classifier({kind: classifier}, stored=True)
            self.aws.store.put(CLASSIFIER, given["Name"], {kind: classifier})
        return {}

    @operation("Name")
    def GetClassifier(self, request: Request) -> Response:
        """Return a classifier."""
        return {"Classifier": self._classifier_named(request["Name"])}

    @operation("MaxResults", "NextToken")
    def GetClassifiers(self, request: Request) -> Response:
        """List the classifiers."""
        items, more = page(self.aws.store.list(CLASSIFIER), request, 1000)
        return {"Classifiers": [classifier for _, classifier in items], **more}

    @operation("Name")
    def DeleteClassifier(self, request: Request) -> Response:
        """Delete a classifier."""
        self._classifier_named(request["Name"])
        self.aws.store.delete(CLASSIFIER, request["Name"])
        return {}

    def _classifier_named(self, name: str) -> dict[str, Any]:
        found = self.aws.store.get(CLASSIFIER, name)
        if found is None:
            raise AwsError("EntityNotFoundException", f"Classifier {name} does not exist")
        return found


def _runs(name: str) -> str:
    return f"{name}{_SEPARATOR}"


def _name(given: Any) -> str:
    if not isinstance(given, str) or not 1 <= len(given) <= 255 or _SEPARATOR in given:
        raise _invalid(f"Name must be text of 1 to 255 characters, but is {given!r}.")
    return given


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _one_of(given: dict[str, Any], member: str, *known: str) -> None:
    if given[member] not in known:
        raise _invalid(f"{member} must be one of {', '.join(known)}, not {given[member]}.")


def _summary(result: Result) -> str:
    tables = {
        "ADD": len(result.created),
        "UPDATE": len(result.updated),
        "DELETE": len(result.deleted),
    }
    partitions = {
        "ADD": result.partitions_created,
        "UPDATE": result.partitions_updated,
        "DELETE": result.partitions_deleted,
    }
    return json.dumps({"TABLE": tables, "PARTITION": partitions}, separators=(",", ":"))


def _check_catalog_crawler(crawler: dict[str, Any]) -> None:
    """What only crawlers over S3 may ask for.

    https://docs.aws.amazon.com/glue/latest/dg/define-crawler-choose-data-sources.html
    """
    if crawler["SchemaChangePolicy"]["DeleteBehavior"] != "LOG":
        raise _invalid(
            "The SchemaChangePolicy of a crawler with catalog targets can have only LOG as its"
            " DeleteBehavior."
        )
    if crawler["RecrawlPolicy"]["RecrawlBehavior"] != "CRAWL_EVERYTHING":
        raise _invalid("CRAWL_NEW_FOLDERS_ONLY is for S3 targets.")
    if parse_options(crawler.get("Configuration")).level is not None:
        raise _invalid("TableLevelConfiguration is for S3 targets.")


def _targets(given: dict[str, Any]) -> dict[str, Any]:
    """The targets as AWS shows them: every kind's list, S3 paths that name a bucket."""
    for kind, targets in given.items():
        if kind not in ("S3Targets", "CatalogTargets") and targets:
            raise Unsupported(
                f"crawler targets of the kind {kind}", "Use S3Targets or CatalogTargets."
            )
    catalog_targets = given.get("CatalogTargets") or []
    for target in catalog_targets:
        for member, value in target.items():
            if member not in _CATALOG_TARGET and value:
                raise Unsupported(
                    f"the member {member} of a catalog target",
                    f"Supported: {', '.join(_CATALOG_TARGET)}.",
                )
    if catalog_targets and given.get("S3Targets"):
        raise _invalid("A crawler with catalog targets can have no targets of another kind.")
    s3_targets = []
    for target in given.get("S3Targets") or []:
        for member, value in target.items():
            if member not in _S3_TARGET and value:
                raise Unsupported(
                    f"the member {member} of an S3 target", f"Supported: {', '.join(_S3_TARGET)}."
                )
        path = target.get("Path") or ""
        scheme, separator, rest = path.partition("://")
        if not separator:
            rest = path
        if (separator and scheme != "s3") or not rest.partition("/")[0]:
            raise _invalid(f"The S3 target path must be s3://bucket/prefix, but is {path!r}.")
        size = target.get("SampleSize")
        if size is not None and not 1 <= size <= 249:
            raise _invalid(f"SampleSize must be 1 to 249, but is {size}.")
        try:
            exclusion(target.get("Exclusions") or [])
        except ValueError as error:
            raise _invalid(f"{error}.") from error
        checked: dict[str, Any] = {
            "Path": f"s3://{rest}",
            "Exclusions": target.get("Exclusions") or [],
        }
        if size is not None:
            checked["SampleSize"] = size
        s3_targets.append(checked)
    if not s3_targets and not catalog_targets:
        raise _invalid("Targets must have at least one S3 or catalog target.")
    return {kind: [] for kind in _TARGET_KINDS} | {
        "S3Targets": s3_targets,
        "CatalogTargets": catalog_targets,
    }


def _classifier(request: Request, stored: bool = False) -> tuple[str, dict[str, Any]]:
    """The kind and the checked members of the one classifier that a request holds."""
    given = {kind: value for kind, value in request.items() if value is not None}
    if len(given) != 1:
        raise _invalid("Exactly one classifier must be given.")
    [(kind, classifier)] = given.items()
    _name(classifier.get("Name"))
    if kind == "JsonClassifier":
        path = classifier.get("JsonPath", "$")
        if parse_path(path) is None:
            raise Unsupported(
                f"the JSON path {path}", "Supported: $ followed by .name, ['name'] and [*]."
            )
        return kind, classifier
    for member, value in classifier.items():
        if not stored and value is not None and member not in _CSV:
            raise Unsupported(f"the member {member} of a CSV classifier")
    for member in ("Delimiter", "QuoteSymbol"):
        if classifier.get(member) and len(classifier[member]) != 1:
            raise _invalid(f"{member} must be one character, not {classifier[member]!r}.")
    if classifier.get("Delimiter") and classifier["Delimiter"] == classifier.get("QuoteSymbol"):
        raise _invalid("QuoteSymbol must be different from Delimiter.")
    if classifier.get("ContainsHeader"):
        _one_of(classifier, "ContainsHeader", "UNKNOWN", "PRESENT", "ABSENT")
    if classifier.get("Serde"):
        _one_of(classifier, "Serde", "OpenCSVSerDe", "LazySimpleSerDe", "None")
    for name in classifier.get("CustomDatatypes") or []:
        if name.upper() not in CUSTOM_TYPES:
            raise _invalid(f"CustomDatatypes knows {', '.join(CUSTOM_TYPES)}, not {name}.")
    return kind, {member: value for member, value in classifier.items() if value is not None}
