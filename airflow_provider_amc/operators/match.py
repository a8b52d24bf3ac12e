"""How many rows of a data set AMC has matched with a user, asked with a query as AMC itself does not tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_amc.client.data_sets import DataSet
    from airflow_provider_amc.hooks.amc import AmcHook

#: Name of the column that AMC adds where the data set defines none.
_USER_ID = "user_id"


def match_request(data_set: DataSet, times: Sequence[str] | None) -> dict[str, Any] | None:
    """Write the execution that counts.

    :param data_set: the data set.
    :param times: first and last time of the rows, where they have one. Rows without belong to every window.
    :returns: the request; ``None`` when nothing in the data set is matched, or a window is needed and not known.
    """
    from airflow_provider_amc.client.executions import execution_request
    from airflow_provider_amc.client.workflows import workflow_definition

    user = next((column.name for column in data_set.columns if column.is_main_user_id), None)
    if user is None and any(column.external_user_id_type for column in data_set.columns):
        user = _USER_ID
    if user is None or (data_set.is_fact and times is None):
        return None
    matched = f"SUM(CASE WHEN {user} IS NULL THEN 0 ELSE 1 END)"
    # AMC allows nothing in names of columns and data sets that would end them.
    sql = f"SELECT COUNT(1) AS all_rows, {matched} AS matched_rows FROM {data_set.data_set_id}"  # noqa: S608
    if times is None or not data_set.is_fact:
        return execution_request(workflow=workflow_definition(sql_query=sql), time_window_type="MOST_RECENT_DAY")
    return execution_request(
        workflow=workflow_definition(sql_query=sql),
        time_window_type="EXPLICIT",
        time_window_start=times[0],
        time_window_end=times[1],
    )


def read_match(hook: AmcHook, workflow_execution_id: str) -> Mapping[str, Any]:
    """Read what it has counted.

    :param hook: the hook.
    :param workflow_execution_id: the execution, which has succeeded.
    :returns: ``all_rows``, ``matched_rows`` and ``match_share``; all ``None`` when AMC keeps the count back.
    """
    frame = hook.get_df(workflow_execution_id).dropna()
    if not len(frame):
        return dict.fromkeys(("all_rows", "matched_rows", "match_share"))
    rows, matched = int(frame["all_rows"].iloc[0]), int(frame["matched_rows"].iloc[0])
    return {"all_rows": rows, "matched_rows": matched, "match_share": round(matched / rows, 4) if rows else None}
