"""AWS Glue databases, tables, classifiers, crawlers and jobs, and Athena workgroups."""

from __future__ import annotations

from typing import Any

from local_aws.cloudformation.resources.base import (
    Attributes,
    Context,
    Properties,
    PropertyError,
    ResourceType,
    request_of,
    tag_map,
)


class Database(ResourceType):
    type = "AWS::Glue::Database"
    properties = ("CatalogId", "DatabaseInput")
    required = ("CatalogId", "DatabaseInput")
    immutable = ("CatalogId",)

    def physical_id(self, context: Context, properties: Properties) -> str | None:
        return properties["DatabaseInput"].get("Name")

    def replaces(self, old: Properties, new: Properties) -> bool:
        return super().replaces(old, new) or old["DatabaseInput"].get("Name") != new[
            "DatabaseInput"
        ].get("Name")

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        glue = context.client("glue")
        name = properties["DatabaseInput"].get("Name") or context.name(255).lower()
        given = {**properties, "DatabaseInput": {**properties["DatabaseInput"], "Name": name}}
        glue.create_database(**request_of(glue, "create_database", given))
        return name, {}

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        glue = context.client("glue")
        given = {
            "CatalogId": new["CatalogId"],
            "Name": physical_id,
            "DatabaseInput": {**new["DatabaseInput"], "Name": physical_id},
        }
        glue.update_database(**request_of(glue, "update_database", given))
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("glue").delete_database(Name=physical_id)


class Table(ResourceType):
    type = "AWS::Glue::Table"
    properties = ("CatalogId", "DatabaseName", "TableInput")
    required = ("CatalogId", "DatabaseName", "TableInput")
    immutable = ("CatalogId", "DatabaseName")

    def physical_id(self, context: Context, properties: Properties) -> str | None:
        return properties["TableInput"].get("Name")

    def replaces(self, old: Properties, new: Properties) -> bool:
        return super().replaces(old, new) or old["TableInput"].get("Name") != new["TableInput"].get(
            "Name"
        )

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        glue = context.client("glue")
        name = properties["TableInput"].get("Name") or context.name(255).lower()
        given = {**properties, "TableInput": {**properties["TableInput"], "Name": name}}
        glue.create_table(**request_of(glue, "create_table", given))
        return name, {}

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        glue = context.client("glue")
        given = {**new, "TableInput": {**new["TableInput"], "Name": physical_id}}
        glue.update_table(**request_of(glue, "update_table", given))
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("glue").delete_table(
            DatabaseName=properties["DatabaseName"], Name=physical_id
        )


class Classifier(ResourceType):
    type = "AWS::Glue::Classifier"
    properties = ("CsvClassifier", "GrokClassifier", "JsonClassifier", "XMLClassifier")

    def physical_id(self, context: Context, properties: Properties) -> str | None:
        return next((settings.get("Name") for settings in properties.values()), None)

    def replaces(self, old: Properties, new: Properties) -> bool:
        (kind, before), (other, after) = (*old.items(), *new.items())
        return kind != other or before.get("Name") != after.get("Name")

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        if len(properties) != 1:
            raise PropertyError(f"{self.type} must have exactly one classifier")
        glue = context.client("glue")
        ((kind, settings),) = properties.items()
        name = settings.get("Name") or context.name(255)
        given = {kind: {**settings, "Name": name}}
        glue.create_classifier(**request_of(glue, "create_classifier", given))
        return name, {}

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        glue = context.client("glue")
        ((kind, settings),) = new.items()
        given = {kind: {**settings, "Name": physical_id}}
        glue.update_classifier(**request_of(glue, "update_classifier", given))
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("glue").delete_classifier(Name=physical_id)


class Crawler(ResourceType):
    type = "AWS::Glue::Crawler"
    properties = (
        "Name",
        "Role",
        "DatabaseName",
        "Description",
        "Targets",
        "Classifiers",
        "Configuration",
        "Schedule",
        "SchemaChangePolicy",
        "RecrawlPolicy",
        "TablePrefix",
        "Tags",
    )
    required = ("Role", "Targets")
    immutable = ("Name",)
    name_property = "Name"

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        glue = context.client("glue")
        name = properties.get("Name") or context.name(255)
        given = {**self._request(properties), "Name": name}
        if properties.get("Tags"):
            given["Tags"] = tag_map(properties["Tags"])
        glue.create_crawler(**request_of(glue, "create_crawler", given))
        return name, {}

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        glue = context.client("glue")
        given = {**self._request(new), "Name": physical_id}
        glue.update_crawler(**request_of(glue, "update_crawler", given))
        _retag(glue, context.arn("glue", f"crawler/{physical_id}"), old, new)
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("glue").delete_crawler(Name=physical_id)

    @staticmethod
    def _request(properties: Properties) -> dict[str, Any]:
        given = {key: value for key, value in properties.items() if key not in ("Tags", "Name")}
        if "Schedule" in given:
            given["Schedule"] = given["Schedule"].get("ScheduleExpression", "")
        return given


class Job(ResourceType):
    type = "AWS::Glue::Job"
    properties = (
        "Name",
        "Role",
        "Command",
        "Description",
        "DefaultArguments",
        "NonOverridableArguments",
        "ExecutionProperty",
        "ExecutionClass",
        "GlueVersion",
        "MaxCapacity",
        "MaxRetries",
        "NotificationProperty",
        "NumberOfWorkers",
        "Timeout",
        "WorkerType",
        "LogUri",
        "JobMode",
        "JobRunQueuingEnabled",
        "Tags",
    )
    required = ("Role", "Command")
    immutable = ("Name",)
    name_property = "Name"

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        glue = context.client("glue")
        given = {**properties, "Name": properties.get("Name") or context.name(255)}
        if "Tags" in given:
            given["Tags"] = tag_map(given["Tags"])
        glue.create_job(**request_of(glue, "create_job", given))
        return given["Name"], {}

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        glue = context.client("glue")
        settings = {key: value for key, value in new.items() if key not in ("Name", "Tags")}
        given = {"JobName": physical_id, "JobUpdate": settings}
        glue.update_job(**request_of(glue, "update_job", given))
        _retag(glue, context.arn("glue", f"job/{physical_id}"), old, new)
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("glue").delete_job(JobName=physical_id)


def _retag(glue: Any, arn: str, old: Properties, new: Properties) -> None:
    before, after = tag_map(old.get("Tags")), tag_map(new.get("Tags"))
    if before.keys() - after.keys():
        glue.untag_resource(ResourceArn=arn, TagsToRemove=sorted(before.keys() - after.keys()))
    if after and after != before:
        glue.tag_resource(ResourceArn=arn, TagsToAdd=after)


class WorkGroup(ResourceType):
    type = "AWS::Athena::WorkGroup"
    properties = (
        "Name",
        "Description",
        "State",
        "WorkGroupConfiguration",
        "RecursiveDeleteOption",
        "Tags",
    )
    required = ("Name",)
    immutable = ("Name",)
    name_property = "Name"

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        athena = context.client("athena")
        given = {
            "Name": properties["Name"],
            "Configuration": properties.get("WorkGroupConfiguration", {}),
        }
        for key in ("Description", "Tags"):
            if key in properties:
                given[key] = properties[key]
        athena.create_work_group(**request_of(athena, "create_work_group", given))
        if properties.get("State", "ENABLED") != "ENABLED":
            athena.update_work_group(WorkGroup=properties["Name"], State=properties["State"])
        return properties["Name"], {}

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        athena = context.client("athena")
        given: dict[str, Any] = {
            "WorkGroup": physical_id,
            "State": new.get("State", "ENABLED"),
            "Description": new.get("Description", ""),
        }
        before = old.get("WorkGroupConfiguration", {})
        after = dict(new.get("WorkGroupConfiguration", {}))
        if before != after:
            results = after.pop("ResultConfiguration", None)
            if results is not None:
                after["ResultConfigurationUpdates"] = results
            elif "ResultConfiguration" in before:
                after["ResultConfigurationUpdates"] = {"RemoveOutputLocation": True}
            if "BytesScannedCutoffPerQuery" in before.keys() - after.keys():
                after["RemoveBytesScannedCutoffPerQuery"] = True
            given["ConfigurationUpdates"] = after
        athena.update_work_group(**request_of(athena, "update_work_group", given))
        tags_before, tags_after = tag_map(old.get("Tags")), tag_map(new.get("Tags"))
        if tags_before != tags_after:
            arn = context.arn("athena", f"workgroup/{physical_id}")
            gone = sorted(tags_before.keys() - tags_after.keys())
            if gone:
                athena.untag_resource(ResourceARN=arn, TagKeys=gone)
            if tags_after:
                tags = [{"Key": key, "Value": value} for key, value in tags_after.items()]
                athena.tag_resource(ResourceARN=arn, Tags=tags)
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        recursive = str(properties.get("RecursiveDeleteOption", "false")).lower() == "true"
        context.client("athena").delete_work_group(
            WorkGroup=physical_id, RecursiveDeleteOption=recursive
        )
