from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_amc.exceptions import AmcLoadError
from airflow_provider_amc.landing.glue import GlueCatalogue, GluePartition, GlueTable
from tests.services import aws_connection

KEYS = {"day": "string"}


@pytest.fixture
def catalogue(s3_url: str, monkeypatch: pytest.MonkeyPatch, bucket: str) -> Any:
    """A catalogue, and the name of a database of its own in it."""
    from airflow.providers.amazon.aws.hooks.glue_catalog import GlueCatalogHook

    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(s3_url))
    hook = GlueCatalogHook()
    hook.get_conn().create_database(DatabaseInput={"Name": bucket})
    return GlueCatalogue(hook), bucket


def test_a_table_and_its_partitions(catalogue: tuple[GlueCatalogue, str]) -> None:
    glue, database = catalogue
    assert glue.table(database, "reach") is None
    assert glue.home(database) is None
    created = glue.create_table(database, "reach", {"n": "int"}, KEYS, "s3://bucket/reach/")
    table = glue.table(database, "reach")
    assert table is not None
    table.check(["day"])
    assert (table.columns, table.keys, table.location) == ({"n": "int"}, KEYS, "s3://bucket/reach/")
    assert glue.partition(table, ["1"]) is None
    glue.put_partition(created, ["1"], {"n": "int"}, "s3://bucket/reach/1/", exists=False)
    glue.put_partition(table, ["1"], {"n": "int", "m": "int"}, "s3://bucket/reach/2/", exists=True)
    assert glue.partition(table, ["1"]) == GluePartition(("1",), {"n": "int", "m": "int"}, "s3://bucket/reach/2/")
    glue.change_columns(table, {"n": "bigint"})
    changed = glue.table(database, "reach")
    assert changed is not None
    assert changed.columns == {"n": "bigint"}
    assert {**changed.description["StorageDescriptor"], "Columns": []} == {**table.storage, "Columns": []}


def test_many_partitions_are_dropped_some_at_a_time(catalogue: tuple[GlueCatalogue, str], mocker: Any) -> None:
    glue, database = catalogue
    table = glue.create_table(database, "reach", {"n": "int"}, KEYS, "s3://bucket/reach/")
    for day in range(60):
        glue.put_partition(table, [str(day)], {"n": "int"}, f"s3://bucket/reach/{day}/", exists=False)
    dropped = mocker.spy(glue._client, "batch_delete_partition")
    kept, *others = glue.partitions(table)
    assert kept.location == "s3://bucket/reach/0/"
    glue.drop_partitions(table, others)
    # Glue takes no more in a call (Glue API, "BatchDeletePartition").
    assert [len(call.kwargs["PartitionsToDelete"]) for call in dropped.call_args_list] == [25, 25, 9]
    assert [found.values for found in glue.partitions(table)] == [kept.values]
    # Whoever has dropped one of them already has done the work.
    glue.drop_partitions(table, others[:1])


def test_partitions_that_stay(catalogue: tuple[GlueCatalogue, str], mocker: Any) -> None:
    glue, database = catalogue
    table = glue.create_table(database, "reach", {"n": "int"}, KEYS, "s3://bucket/reach/")
    refused = {"Errors": [{"PartitionValues": ["1"], "ErrorDetail": {"ErrorCode": "InternalServiceException"}}]}
    mocker.patch.object(glue._client, "batch_delete_partition", return_value=refused)
    with pytest.raises(AmcLoadError, match="could not be dropped: InternalServiceException"):
        glue.drop_partitions(table, [GluePartition(("1",), {}, "s3://bucket/1/")])


def test_no_database(catalogue: tuple[GlueCatalogue, str]) -> None:
    with pytest.raises(AmcLoadError, match="no database elsewhere"):
        catalogue[0].home("elsewhere")


def test_columns_that_are_read_by_position() -> None:
    serde = {"Parameters": {"parquet.column.index.access": "true"}}
    storage = {"InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat", "SerdeInfo": serde}
    table = GlueTable("db", "t", {"StorageDescriptor": storage, "PartitionKeys": [{"Name": "day", "Type": "string"}]})
    with pytest.raises(AmcLoadError, match="its columns are read by position"):
        table.check(["day"])
