from __future__ import annotations

import datetime as dt
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_amc.emulator.engine import AmcSqlError, CompiledQuery, Engine, OutputColumn
from airflow_provider_amc.sql.one_line import tokens
from airflow_provider_amc.sql.privacy import Privacy

NOW = dt.datetime(2026, 6, 15, 12, 0, tzinfo=dt.UTC)
ALL = (dt.datetime(2025, 1, 1), dt.datetime(2027, 1, 1))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(seed=7, scale="tiny", now=NOW)
    yield made
    made.close()


@pytest.fixture
def own_engine() -> Iterator[Engine]:
    made = Engine(seed=7, scale="tiny", now=NOW)
    yield made
    made.close()


def rows(
    engine: Engine, sql: str, window: tuple[dt.datetime, dt.datetime] = ALL, **kwargs: Any
) -> list[dict[str, Any]]:
    kwargs.setdefault("privacy", None)
    kwargs.setdefault("for_audience", "_for_audiences" in sql)
    compiled = engine.compile(sql, window_start=window[0], window_end=window[1], **kwargs)
    return collect(engine, compiled, window)


def collect(engine: Engine, compiled: CompiledQuery, window: tuple[dt.datetime, dt.datetime]) -> list[dict[str, Any]]:
    return [
        row for batch in engine.run(compiled, window_start=window[0], window_end=window[1]) for row in batch.to_pylist()
    ]


@pytest.mark.parametrize(
    ("table", "time"),
    [
        ("dsp_impressions", "impression_dt_utc"),
        ("dsp_clicks", "click_dt_utc"),
        ("dsp_views", "event_dt_utc"),
        ("sponsored_ads_traffic", "event_dt_utc"),
        ("amazon_attributed_events_by_traffic_time", "traffic_event_dt_utc"),
        ("amazon_attributed_events_by_conversion_time", "conversion_event_dt_utc"),
        ("conversions", "event_dt_utc"),
        ("conversions_with_relevance", "event_dt_utc"),
        ("dsp_impressions_for_audiences", "impression_dt_utc"),
    ],
)
def test_the_window_limits_the_rows(engine: Engine, table: str, time: str) -> None:
    sql = f"SELECT COUNT(*) AS n, MIN({time}) AS first_row, MAX({time}) AS last_row FROM {table}"
    start, middle, end = dt.datetime(2026, 3, 1), dt.datetime(2026, 4, 1, 7), dt.datetime(2026, 5, 1)
    whole, left, right = (rows(engine, sql, window)[0] for window in ((start, end), (start, middle), (middle, end)))
    assert start <= whole["first_row"]
    assert whole["last_row"] < end
    assert left["last_row"] < middle <= right["first_row"]
    assert left["n"] + right["n"] == whole["n"] > 0


@pytest.mark.covers("rule", "EXTEND_TIME_WINDOW reads beyond the window")
def test_an_extended_table_reaches_beyond_the_window(engine: Engine) -> None:
    window = (dt.datetime(2026, 3, 15), dt.datetime(2026, 3, 16))
    sql = "SELECT MIN(impression_dt_utc) AS a, MAX(impression_dt_utc) AS b FROM TABLE(EXTEND_TIME_WINDOW('dsp_impressions', 'P14D', 'P1D'))"
    (found,) = rows(engine, sql, window)
    assert dt.datetime(2026, 3, 1) <= found["a"] < dt.datetime(2026, 3, 3)
    assert dt.datetime(2026, 3, 16) <= found["b"] < dt.datetime(2026, 3, 17)


@pytest.mark.covers("rule", "13 months of data")
def test_no_row_is_newer_than_the_present_or_older_than_13_months(engine: Engine) -> None:
    (found,) = rows(engine, "SELECT MIN(impression_dt_utc) AS a, MAX(impression_dt_utc) AS b FROM dsp_impressions")
    assert dt.datetime(2025, 5, 15) <= found["a"] < dt.datetime(2025, 5, 17)
    assert dt.datetime(2026, 6, 15) <= found["b"] < dt.datetime(2026, 6, 15, 12)


def test_new_rows_come_when_the_clock_moves(own_engine: Engine) -> None:
    sql = "SELECT COUNT(*) AS n, MAX(event_dt_utc) AS last_row FROM sponsored_ads_traffic"
    (before,) = rows(own_engine, sql)
    own_engine.advance_to(NOW + dt.timedelta(days=40))
    (after,) = rows(own_engine, sql)
    assert before["last_row"] < dt.datetime(2026, 6, 15, 12) < dt.datetime(2026, 7, 24) < after["last_row"]


def test_the_query_of_amazons_notebook(engine: Engine) -> None:
    sql = """SELECT campaign, SUM(total_purchases) AS total_orders_9d FROM amazon_attributed_events_by_traffic_time
        WHERE SECONDS_BETWEEN(traffic_event_dt_utc, conversion_event_dt_utc) <= 60 * 60 * 24 * 9 GROUP BY campaign"""
    compiled = engine.compile(sql)
    assert compiled.output_columns == (
        OutputColumn("campaign", "STRING", "DIMENSION"),
        OutputColumn("total_orders_9d", "LONG", "METRIC"),
    )
    assert compiled.tables == ("amazon_attributed_events_by_traffic_time",)
    found = collect(engine, compiled, ALL)
    assert len(found) > 10
    assert sum(row["total_orders_9d"] for row in found) > 20


def test_output_columns_as_the_api_writes_them(engine: Engine) -> None:
    sql = """SELECT advertiser, COUNT(DISTINCT user_id) AS users, SUM(total_cost) AS cost, SUM(impressions) AS impressions,
        MAX(impression_date) AS d, MAX(impression_dt) AS t, MIN(is_amazon_owned) AS b, MAX(impression_hour) AS h,
        MAX(placement_view_rate) AS r, NULL AS nothing, ARRAY_SORT(COLLECT(DISTINCT site)) AS sites
        FROM dsp_impressions GROUP BY 1"""
    assert [column.to_api() for column in engine.compile(sql).output_columns] == [
        {"name": "advertiser", "columnType": "DIMENSION", "dataType": "STRING"},
        {"name": "users", "columnType": "DIMENSION", "dataType": "LONG"},
        {"name": "cost", "columnType": "METRIC", "dataType": "DOUBLE"},
        {"name": "impressions", "columnType": "METRIC", "dataType": "LONG"},
        {"name": "d", "columnType": "DIMENSION", "dataType": "DATE"},
        {"name": "t", "columnType": "DIMENSION", "dataType": "TIMESTAMP"},
        {"name": "b", "columnType": "DIMENSION", "dataType": "BOOLEAN"},
        {"name": "h", "columnType": "DIMENSION", "dataType": "INTEGER"},
        {"name": "r", "columnType": "DIMENSION", "dataType": "DECIMAL", "dataTypePrecision": 38, "dataTypeScale": 4},
        {"name": "nothing", "columnType": "DIMENSION", "dataType": "STRING"},
        {"name": "sites", "columnType": "DIMENSION", "dataType": "ARRAY"},
    ]


# Queries written in the ways of AMC's public ones
_PATHS = """
WITH touches AS (
  SELECT user_id, 'DSP' AS channel, MIN(impression_dt_utc) AS first_seen, SUM(total_cost) / 100000 AS cost -- dollars
  FROM dsp_impressions WHERE user_id IS NOT NULL GROUP BY 1, 2
  UNION ALL
  SELECT user_id, CASE ad_product_type WHEN 'sponsored_products' THEN 'SP' WHEN 'sponsored_brands' THEN 'SB' ELSE 'Other' END AS channel,
    MIN(event_dt_utc) AS first_seen, SUM(spend) / 1e8 AS cost
  FROM sponsored_ads_traffic WHERE user_id IS NOT NULL GROUP BY 1, 2
), buyers AS (
  SELECT user_id, MAX(conversion_event_dt_utc) AS last_order, SUM(IF(ad_product_type IS NULL, purchases, total_purchases)) AS purchases,
    MAX(IF(new_to_brand = TRUE, 1, 0)) AS ntb
  FROM amazon_attributed_events_by_traffic_time
  WHERE IF(ad_product_type IS NULL, purchases, total_purchases) > 0 AND user_id IS NOT NULL GROUP BY 1
), kept AS (
  SELECT t.user_id, t.channel, t.first_seen, t.cost, COALESCE(b.purchases, 0) AS purchases, COALESCE(b.ntb, 0) AS ntb
  FROM touches t LEFT JOIN buyers b ON b.user_id = t.user_id
  WHERE (b.user_id IS NOT NULL AND t.first_seen < b.last_order) OR b.user_id IS NULL
), ranked AS (
  SELECT NAMED_ROW('order', ROW_NUMBER() OVER (PARTITION BY k.user_id ORDER BY k.first_seen), 'channel', k.channel) AS step, user_id
  FROM kept k
), paths AS (
  SELECT ARRAY_SORT(COLLECT(DISTINCT r.step)) AS path, r.user_id FROM ranked r GROUP BY r.user_id
), users AS (
  SELECT user_id, SUM(cost) AS cost, MAX(purchases) AS purchases, MAX(ntb) AS ntb FROM kept GROUP BY user_id
)
SELECT path, COUNT(DISTINCT p.user_id) AS reach, SUM(u.cost) AS cost, SUM(u.purchases) AS purchases, SUM(u.ntb) AS ntb,
  (SUM(u.purchases) / COUNT(DISTINCT p.user_id)) AS rate
FROM paths p LEFT JOIN users u ON p.user_id = u.user_id GROUP BY path
"""
_FREQUENCY = """
SELECT advertiser, IF(impressions < 10, CONCAT('frequency_', impressions), 'frequency_10+') AS bucket, COUNT(DISTINCT user_id) AS users
FROM (SELECT advertiser, user_id, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY advertiser, user_id)
GROUP BY advertiser, bucket
"""
_OVERLAP = """
WITH d AS (SELECT DISTINCT user_id FROM dsp_impressions WHERE user_id IS NOT NULL),
 s AS (SELECT DISTINCT user_id FROM sponsored_ads_traffic WHERE user_id IS NOT NULL)
SELECT CASE WHEN d.user_id IS NULL THEN 'SA only' WHEN s.user_id IS NULL THEN 'DSP only' ELSE 'both' END AS exposure,
 COUNT(DISTINCT COALESCE(d.user_id, s.user_id)) AS users
FROM d FULL OUTER JOIN s ON d.user_id = s.user_id GROUP BY 1
"""


def test_paths_to_conversion(engine: Engine) -> None:
    assert rows(engine, _PATHS, privacy=Privacy())
    found = rows(engine, _PATHS)
    assert {row["path"][0]["channel"] for row in found} == {"DSP", "SP", "SB", "Other"}
    assert all([step["order"] for step in row["path"]] == list(range(1, len(row["path"]) + 1)) for row in found)
    (users,) = rows(engine, "SELECT COUNT(DISTINCT user_id) AS n FROM dsp_impressions WHERE user_id IS NOT NULL")
    assert sum(row["reach"] for row in found) > users["n"]


def test_frequency_and_overlap(engine: Engine) -> None:
    buckets = {row["bucket"] for row in rows(engine, _FREQUENCY)}
    assert {"frequency_1", "frequency_2"} <= buckets
    overlap = {row["exposure"]: row["users"] for row in rows(engine, _OVERLAP)}
    assert set(overlap) == {"DSP only", "SA only", "both"}
    (dsp,) = rows(engine, "SELECT COUNT(DISTINCT user_id) AS n FROM dsp_impressions")
    assert overlap["DSP only"] + overlap["both"] == dsp["n"]


_WORDS = [
    token.text
    for sql in (_PATHS, _FREQUENCY, _OVERLAP)
    for token in tokens(sql)
] + ["NULL", "*", "(", ")", ",", "1", "'x'", "CAST", "OVER", "INTERVAL", "UNNEST", "ARRAY", "[", "]", "END", "BETWEEN", "EXISTS",
     "VALUES", "USING", "-", "%", "FILTER", "EXTRACT", "TRIM", "SUBSTRING", "DATE", "EXPLODE", "PERCENTILE", "TABLE", "IGNORE", "?",
     ":x", "{", "->", "ANY", "ALL", "LIKE", "ESCAPE", "TO", "WINDOW", "1e400", "0x1F", "f_impression", "$now", "@v"]  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_broken_queries_are_refused_in_order_and_never_crash(engine: Engine, data: st.DataObject) -> None:
    words = [token.text for token in tokens(data.draw(st.sampled_from([_PATHS, _FREQUENCY, _OVERLAP])))]
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(words) - 1))
        keep = data.draw(st.integers(0, 1))
        words[place : place + keep] = data.draw(st.lists(st.sampled_from(_WORDS), max_size=2))
    refused = ""
    try:
        engine.compile(" ".join(words), privacy=None)
    except AmcSqlError as error:
        refused = str(error)
    assert "cannot be executed" not in refused, "the database refused what the compiler had let pass"


def test_parameters(engine: Engine) -> None:
    declared = [
        {"name": "advertisers", "dataType": {"type": "ARRAY", "elementDataType": "STRING"}},
        {"name": "label", "dataType": "STRING", "defaultValue": "x"},
    ]
    sql = "SELECT CUSTOM_PARAMETER('label') AS label, COUNT(*) AS n FROM dsp_clicks WHERE ARRAY_CONTAINS(CUSTOM_PARAMETER('advertisers'), advertiser)"
    assert engine.compile(sql, input_parameters=declared).output_columns[0].data_type == "STRING"
    everyone = rows(engine, "SELECT COUNT(*) AS n FROM dsp_clicks")[0]["n"]
    (found,) = rows(engine, sql, input_parameters=declared, parameter_values={"advertisers": ["Lumora Home"]})
    assert found["label"] == "x"
    assert 0 < found["n"] < everyone
    with pytest.raises(AmcSqlError, match="No value was provided for the parameter advertisers"):
        rows(engine, sql, input_parameters=declared, parameter_values={})


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("SELECT campaign FROM dsp_impressions", (1, 8)),
        ("WITH c AS (SELECT campaign FROM dsp_clicks)\nSELECT\n  campaign FROM c", (3, 3)),
        ("SELECT campaign FROM dsp_impressions UNION ALL SELECT campaign FROM dsp_clicks", (1, 8)),
    ],
)
def test_a_standard_instance_wants_aggregated_output(engine: Engine, sql: str, place: tuple[int, int]) -> None:
    with pytest.raises(AmcSqlError, match=rf"line {place[0]}, column {place[1]} .*must be aggregated") as caught:
        engine.compile(sql)
    assert (caught.value.line, caught.value.column) == place
    assert engine.compile(sql, privacy=None).output_columns[0].name == "campaign"


def test_the_sandbox_schema(engine: Engine) -> None:
    (plain,) = rows(engine, "SELECT COUNT(*) AS n FROM dsp_clicks")
    assert rows(engine, "SELECT COUNT(*) AS n FROM sandbox.dsp_clicks") == [plain]
    assert rows(engine, "SELECT COUNT(*) AS n FROM dsp_clicks", input_schema="sandbox") == [plain]
    with pytest.raises(AmcSqlError, match="Object 'segment_metadata' not found"):
        engine.compile("SELECT COUNT(*) AS n FROM segment_metadata", input_schema="sandbox")
    assert rows(engine, "SELECT COUNT(*) AS n FROM segment_metadata") == [{"n": 0}]
    with pytest.raises(AmcSqlError, match="Object 'adserver_traffic' not found"):
        engine.compile("SELECT COUNT(*) AS n FROM adserver_traffic")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) AS n FROM duckdb_settings",
        "SELECT COUNT(*) AS n FROM information_schema.tables",
        "SELECT COUNT(*) AS n FROM f_impression",
        "SELECT COUNT(*) AS n FROM d_adv",
        "SELECT COUNT(*) AS n FROM '/etc/passwd'",
        'SELECT COUNT(*) AS n FROM "/etc/passwd"',
        "SELECT COUNT(*) AS n FROM read_csv('/etc/passwd')",
        "SELECT GETENV('HOME') AS h FROM dsp_clicks GROUP BY 1",
        "SELECT CURRENT_SETTING('threads') AS h FROM dsp_clicks GROUP BY 1",
        "SELECT AMC_LN(2) AS h FROM dsp_clicks GROUP BY 1",
        "INSTALL httpfs",
    ],
)
def test_queries_reach_nothing_but_amcs_tables(engine: Engine, sql: str) -> None:
    with pytest.raises(AmcSqlError):
        engine.compile(sql)


def test_the_database_itself_is_locked(engine: Engine) -> None:
    rows(engine, "SELECT COUNT(*) AS n FROM dsp_clicks")
    for sql in (
        "SELECT * FROM read_csv('/etc/passwd')",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "LOAD httpfs",
    ):
        with pytest.raises(Exception, match=r"(?i)disabled|locked|permission|cannot"):
            engine._connection.cursor().execute(sql)


def test_rows_beyond_the_memory_do_not_go_to_the_working_directory(engine: Engine) -> None:
    (found,) = engine._connection.execute("SELECT current_setting('temp_directory')").fetchall()[0]
    assert Path(found).parent == Path(tempfile.gettempdir())
    assert not Path(found).exists()  # until it is needed


def test_a_failing_query_gives_one_line(engine: Engine) -> None:
    sql = "SELECT SUM(CAST(campaign_id AS BIGINT)) * 1000 AS x FROM dsp_impressions"
    with pytest.raises(AmcSqlError, match="The query failed: ") as caught:
        rows(engine, sql)
    assert "\n" not in str(caught.value)


def test_many_threads_get_the_same_answers(engine: Engine) -> None:
    sqls = [
        f"SELECT COUNT(*) AS n, SUM(impressions) AS i FROM dsp_impressions WHERE impression_hour_utc = {hour}"
        for hour in range(8)
    ]
    alone = [rows(engine, sql) for sql in sqls]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda sql: rows(engine, sql), sqls * 3))
    assert together == alone * 3


def test_equal_engines_give_equal_rows_in_equal_order() -> None:
    sql = "SELECT campaign, COLLECT(DISTINCT site) AS sites, SUM(total_cost) / 3 AS c FROM dsp_impressions GROUP BY campaign"
    answers = []
    for _ in range(2):
        fresh = Engine(seed=7, scale="tiny", now=NOW)
        answers.append(rows(fresh, sql))
        fresh.close()
    assert answers[0] == answers[1]


def test_the_first_use_may_come_from_many_threads() -> None:
    fresh = Engine(seed=7, scale="tiny", now=NOW)
    try:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: rows(fresh, "SELECT COUNT(*) AS n FROM dsp_impressions"), range(4)))
    finally:
        fresh.close()
    assert answers == [answers[0]] * 4


def test_a_running_query_can_be_interrupted(engine: Engine) -> None:
    endless = "SELECT SUM(a.impressions * b.impressions * c.impressions) AS n FROM dsp_impressions a, dsp_impressions b, dsp_impressions c"
    compiled = engine.compile(endless)
    stop = threading.Event()
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    assert list(engine.run(compiled, window_start=ALL[0], window_end=ALL[1], interrupted=stop)) == []
    assert stop.is_set()
    assert list(engine.run(compiled, window_start=ALL[0], window_end=ALL[1], interrupted=stop)) == []
    assert rows(engine, "SELECT COUNT(*) AS n FROM dsp_clicks")[0]["n"] > 0


class OtherFrame:
    """A data frame that speaks Arrow's interface, as those of Polars and others do."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("kind", ["rows", "arrow", "pandas", "other"])
def test_own_rows_replace_a_table(own_engine: Engine, kind: str) -> None:
    given: Any = [
        {"campaign": "Mine", "user_id": "u1", "impressions": 3, "impression_dt_utc": dt.datetime(2026, 3, 1, 5)},
        {"campaign": "Mine", "user_id": "u2", "impressions": 4, "impression_dt_utc": "2026-04-01T00:00:00"},
        {"campaign": "Mine", "user_id": None, "impressions": 5},
    ]
    if kind != "rows":
        given = pa.table({"CAMPAIGN": ["Mine"] * 3, "user_id": ["u1", "u2", None], "impressions": [3, 4, 5],
                          "impression_dt_utc": [dt.datetime(2026, 3, 1, 5), dt.datetime(2026, 4, 1), None]})  # fmt: skip
    if kind == "pandas":
        given = given.to_pandas()
    if kind == "other":
        given = OtherFrame(given)
    own_engine.load_table("dsp_impressions", given)
    sql = "SELECT campaign, SUM(impressions) AS i, COUNT(DISTINCT user_id) AS u, MAX(line_item) AS l FROM {} GROUP BY 1"
    expected = [{"campaign": "Mine", "i": 12, "u": 2, "l": None}]
    assert rows(own_engine, sql.format("dsp_impressions")) == expected
    assert rows(own_engine, sql.format("dsp_impressions_for_audiences")) == expected
    march = (dt.datetime(2026, 3, 1), dt.datetime(2026, 4, 1))
    assert rows(own_engine, "SELECT SUM(impressions) AS i FROM dsp_impressions", march) == [{"i": 8}]


def test_no_rows_make_a_table_empty_and_forgetting_them_brings_the_synthetic_ones_back(own_engine: Engine) -> None:
    count = "SELECT COUNT(*) AS n FROM dsp_impressions"
    ((before,),) = [row.values() for row in rows(own_engine, count)]
    assert before > 0
    own_engine.load_table("dsp_impressions", [])
    own_engine.load_table("dsp_clicks", [{"clicks": 1}])
    own_engine.load_table("store_sales", [{"store": "Leeds"}])
    assert rows(own_engine, count) == [{"n": 0}]
    own_engine.forget_tables()
    assert rows(own_engine, count) == [{"n": before}]
    assert rows(own_engine, "SELECT COUNT(*) AS n FROM dsp_clicks")[0]["n"] > 1
    assert "store_sales" not in {source["dataSourceId"] for source in own_engine.data_sources()}
    with pytest.raises(ValueError, match="There are no rows, so the columns of store_sales are unknown"):
        own_engine.load_table("store_sales", [])


def test_own_tables_are_data_sources(own_engine: Engine) -> None:
    own_engine.load_table("store_sales", [{"store": "Leeds", "sales": 12.5}, {"store": "York", "sales": 1.5}])
    assert rows(own_engine, "SELECT SUM(sales) AS s FROM Store_Sales") == [{"s": 14.0}]
    (source,) = (one for one in own_engine.data_sources() if one["dataSourceId"] == "store_sales")
    assert source["owner"] == "CUSTOMER"
    assert [(c["name"], c["columnType"], c["dataType"]) for c in source["columns"]] == [
        ("store", "DIMENSION", "STRING"),
        ("sales", "METRIC", "DOUBLE"),
    ]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("dsp_clicks", [{"nonsense": 1, "clicks": 1}], "Table dsp_clicks has no column nonsense"),
        ("dsp_clicks", [{"clicks": "many"}], "The rows do not fit"),
        ("my table", [{"a": 1}], "is no table name"),
        ("dsp_clicks", 5, "Rows of type int cannot be loaded"),
        ("dsp_clicks", ["a"], "Rows must be mappings"),
        ("dsp_clicks_for_audiences", [{"clicks": 1}], "Load dsp_clicks"),
    ],
)
def test_rows_that_do_not_fit_are_refused(engine: Engine, name: str, data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        engine.load_table(name, data)
    assert rows(engine, "SELECT SUM(clicks) AS n FROM dsp_clicks")[0]["n"] > 0


def test_data_sources_describe_the_tables(engine: Engine) -> None:
    sources = {source["dataSourceId"]: source for source in engine.data_sources()}
    assert {"dsp_impressions", "dsp_impressions_for_audiences", "amazon_retail_purchases"} <= set(sources)
    assert "adserver_traffic" not in sources
    impressions = sources["dsp_impressions"]
    assert impressions["owner"] == "AMAZON"
    assert len(impressions["columns"]) == 98
    cost = next(column for column in impressions["columns"] if column["name"] == "total_cost")
    assert cost == {
        "name": "total_cost",
        "columnType": "METRIC",
        "dataType": "DOUBLE",
        "description": "Total cost. Aggregation threshold: NONE.",
    }


def test_the_scale_must_exist() -> None:
    with pytest.raises(ValueError, match="scale must be one of tiny, small, medium, large"):
        Engine(scale="huge", now=NOW)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, airflow_provider_amc.emulator.engine;"
        "print(sorted({'pandas', 'pyarrow', 'numpy', 'airflow', 'airflow.sdk'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_pattern_from_a_column_that_is_none_is_named(own_engine: Engine) -> None:
    own_engine.load_table("patterns", [{"pattern": "[a-z]+"}, {"pattern": "(a"}])
    with pytest.raises(AmcSqlError, match=r"Unclosed group near index 2 of the regular expression '\(a'") as caught:
        rows(own_engine, "SELECT pattern FROM patterns WHERE 'abc' SIMILAR TO pattern GROUP BY 1")
    assert "UDF" not in str(caught.value)


def test_a_query_that_fails_or_is_stopped_behind_its_first_rows(own_engine: Engine) -> None:
    own_engine.load_table("many_rows", pa.table({"n": [1] * 200_000 + [2**62]}))
    compiled = own_engine.compile(
        "SELECT n * 4 AS n FROM many_rows", privacy=None, window_start=ALL[0], window_end=ALL[1]
    )
    batches = own_engine.run(compiled, window_start=ALL[0], window_end=ALL[1])
    assert next(batches).num_rows
    with pytest.raises(AmcSqlError, match="Overflow"):
        list(batches)

    stopped = threading.Event()
    batches = own_engine.run(compiled, window_start=ALL[0], window_end=ALL[1], interrupted=stopped)
    assert next(batches).num_rows
    stopped.set()
    assert sum(batch.num_rows for batch in batches) < 200_000
