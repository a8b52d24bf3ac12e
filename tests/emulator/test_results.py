"""Result URLs: signatures, expiry, ranges, several files."""

from __future__ import annotations

import hashlib
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.etree import ElementTree

import pytest


def error_of(answer) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/xml"
    root = ElementTree.fromstring(answer.text)
    assert root.tag == "Error"
    assert root.findtext("RequestId")
    return answer.status_code, str(root.findtext("Code"))


@pytest.fixture
def url(api) -> str:
    execution_id = api.finished("SELECT n FROM rows_300")["workflowExecutionId"]
    return str(api.urls(execution_id)["downloadUrls"][0])


def content(count: int, first: int = 0) -> str:
    return "".join(f"{line}\n" for line in ("n", *range(first, first + count)))


def text_of(answer) -> str:
    return str(answer.text).replace("\r\n", "\n").replace('"', "")


@pytest.mark.covers("rule", "result addresses live ten minutes")
@pytest.mark.covers("endpoint", "getWorkflowExecutionDownloadUrls")
@pytest.mark.covers("endpoint", "results")
@pytest.mark.covers("switch", "url_lifetime")
def test_a_result_can_be_fetched_until_it_expires(served):
    api = served.api
    execution_id = api.finished("SELECT n FROM rows_3")["workflowExecutionId"]
    answer = api.reporting("GET", f"workflowExecutions/{execution_id}/downloadUrls")
    assert answer.headers["content-type"] == "application/vnd.amcworkflowexecutions.v1+json"
    assert answer.json().keys() == {"downloadUrls", "metadataDownloadUrls"}
    (url,) = answer.json()["downloadUrls"]
    query = dict(parse_qsl(urlsplit(url).query))
    assert query["X-Amz-Expires"] == "600"
    result = api.download(url)
    assert result.status_code == 200
    assert text_of(result) == content(3)
    assert int(result.headers["content-length"]) == len(result.content)
    assert parsedate_to_datetime(result.headers["last-modified"]) <= served.server.now()
    assert result.headers["etag"] == f'"{hashlib.md5(result.content).hexdigest()}"'
    assert result.headers["content-type"].startswith("text/csv")
    served.server.advance_clock(590)
    assert api.download(url).status_code == 200
    served.server.advance_clock(11)
    late = api.download(url)
    assert error_of(late) == (403, "AccessDenied")
    assert "Request has expired" in late.text
    assert api.download(api.urls(execution_id)["downloadUrls"][0]).status_code == 200


@pytest.mark.covers("rule", "metadata file of a result", note="AMC's layout is not published")
def test_metadata_describes_the_run(serve):
    served = serve(rows_per_file=2, now="2026-03-15T10:00:00Z")
    done = served.api.finished("SELECT n FROM rows_3", timeWindowTimeZone="Europe/Berlin")
    (url,) = served.api.urls(done["workflowExecutionId"])["metadataDownloadUrls"]
    answer = served.api.download(url)
    assert answer.headers["content-type"] == "application/json"
    metadata = answer.json()
    created = metadata.pop("createTime")
    assert created == done["createTime"]
    day = created[:10]
    name = f"{day}-{done['workflowId']}-ver1"
    assert metadata == {
        "workflowExecutionId": done["workflowExecutionId"],
        "workflowId": done["workflowId"],
        "sqlQuery": "SELECT n FROM rows_3",
        "parameterValues": {},
        "executionCategory": "AD_HOC",
        "timeWindowStart": "2025-12-31T23:00:00Z",
        "timeWindowEnd": "2026-01-07T23:00:00Z",
        "timeWindowStartOriginal": "2026-01-01T00:00:00",
        "timeWindowEndOriginal": "2026-01-08T00:00:00",
        "timeWindowTimeZoneOriginal": "Europe/Berlin",
        "disableAggregationControls": False,
        "requireSyntheticData": False,
        "dataSources": ["rows_3"],
        "outputColumns": [{"name": "n", "columnType": "METRIC", "dataType": "LONG"}],
        "outputFormat": {"separatorCharacter": ",", "quoteCharacter": '"', "escapeCharacter": '"'},
        "rowCount": 3,
        "files": [{"name": f"{name}.csv", "rows": 2, "size": 6}, {"name": f"{name}-0002.csv", "rows": 1, "size": 4}],
    }


@pytest.mark.covers("rule", "errors of the result store are S3's XML")
def test_altered_urls(api, url):
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))

    def changed(**values: str | None) -> str:
        new = {name: value for name, value in {**query, **values}.items() if value is not None}
        return parts._replace(query=urlencode(new)).geturl()

    mismatch = (403, "SignatureDoesNotMatch")
    assert error_of(api.download(changed(**{"X-Amz-Expires": "86400"}))) == mismatch
    assert error_of(api.download(changed(**{"X-Amz-Signature": "0" * 64}))) == mismatch
    assert error_of(api.download(changed(extra="1"))) == mismatch
    assert error_of(api.download(url.replace("-ver1.csv", "-ver2.csv"))) == mismatch
    assert error_of(api.download(changed(**{"X-Amz-Signature": None}))) == (403, "AccessDenied")
    assert error_of(api.download(changed(**{"X-Amz-Date": None}))) == (400, "AuthorizationQueryParametersError")
    assert error_of(api.download(parts._replace(query="").geturl())) == (403, "AccessDenied")
    assert error_of(api.download(url, Host="elsewhere:80")) == mismatch


@pytest.mark.covers("rule", "errors of the result store are S3's XML")
def test_other_methods_and_paths(served, url):
    api = served.api
    for method, expected in (
        ("HEAD", (403, "")),
        ("PUT", (403, "SignatureDoesNotMatch")),
        ("DELETE", (403, "SignatureDoesNotMatch")),
        ("POST", (405, "MethodNotAllowed")),
    ):
        answer = api.session.request(method, url)
        assert answer.headers["content-type"] == "application/xml"
        assert (answer.status_code, error_of(answer)[1] if answer.text else "") == expected
    parts = urlsplit(url)
    for path in ("/results", "/results/", "/results/x", "/results/x/y/z", parts.path + "/x"):
        assert error_of(api.download(parts._replace(path=path).geturl())) == (403, "SignatureDoesNotMatch")
        assert error_of(api.download(parts._replace(path=path, query="").geturl())) == (403, "AccessDenied")
    other = parts.path.replace(parts.path.split("/")[2], "another-execution")
    assert error_of(api.download(parts._replace(path=other).geturl())) == (403, "SignatureDoesNotMatch")
    served.server.advance_clock(601)
    assert error_of(api.session.put(url)) == (403, "AccessDenied")


def test_authorization_header_is_refused(api, url):
    answer = api.download(url, Authorization=api.headers["Authorization"])
    assert error_of(answer) == (400, "InvalidArgument")
    assert "Only one auth mechanism allowed" in answer.text


@pytest.mark.parametrize(
    ("wanted", "part", "content_range"),
    [
        ("bytes=0-9", slice(0, 10), "bytes 0-9/{size}"),
        ("bytes=10-", slice(10, None), "bytes 10-{last}/{size}"),
        ("bytes=-5", slice(-5, None), "bytes {tail}-{last}/{size}"),
        ("bytes=5-999999", slice(5, None), "bytes 5-{last}/{size}"),
        ("bytes=-999999", slice(None), "bytes 0-{last}/{size}"),
    ],
)
def test_ranges(api, url, wanted, part, content_range):
    whole = api.download(url).content
    answer = api.download(url, Range=wanted)
    assert answer.status_code == 206
    assert answer.content == whole[part]
    size = len(whole)
    assert answer.headers["content-range"] == content_range.format(size=size, last=size - 1, tail=size - 5)
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize("wanted", ["bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=0-1,4-5", "bytes=-"])
def test_ranges_that_make_no_sense_are_ignored(api, url, wanted):
    assert api.download(url, Range=wanted).status_code == 200


@pytest.mark.parametrize("wanted", ["bytes=999999-", "bytes=-0"])
def test_ranges_outside(api, url, wanted):
    answer = api.download(url, Range=wanted)
    assert error_of(answer) == (416, "InvalidRange")
    assert answer.headers["content-range"].startswith("bytes */")


def test_conditions(api, url):
    etag = api.download(url).headers["etag"]
    assert api.download(url, **{"If-Match": etag, "Range": "bytes=1-2"}).status_code == 206
    assert error_of(api.download(url, **{"If-Match": '"other"'})) == (412, "PreconditionFailed")
    assert api.download(url, **{"If-None-Match": etag}).status_code == 304
    assert api.download(url, **{"If-Range": etag, "Range": "bytes=1-2"}).status_code == 206
    assert api.download(url, **{"If-Range": '"other"', "Range": "bytes=1-2"}).status_code == 200


@pytest.mark.covers("rule", "several files above a number of rows")
@pytest.mark.covers("switch", "rows_per_file")
def test_large_results_are_split(serve):
    api = serve(rows_per_file=300).api
    execution_id = api.finished("SELECT n FROM rows_2000")["workflowExecutionId"]
    first = api.urls(execution_id)
    assert len(first["downloadUrls"]) == 5
    assert len(first["metadataDownloadUrls"]) == 1
    answer = api.reporting(
        "GET", f"workflowExecutions/{execution_id}/downloadUrls", params={"nextToken": first["nextToken"]}
    ).json()
    assert answer["metadataDownloadUrls"] == []
    assert "nextToken" not in answer
    texts = [text_of(api.download(url)) for url in first["downloadUrls"] + answer["downloadUrls"]]
    assert texts == [content(min(300, 2000 - start), start) for start in range(0, 2000, 300)]


@pytest.mark.parametrize("rows", [300, 600])
def test_no_empty_file_behind_a_full_one(serve, rows):
    api = serve(rows_per_file=300).api
    execution_id = api.finished(f"SELECT n FROM rows_{rows}")["workflowExecutionId"]
    assert len(api.urls(execution_id)["downloadUrls"]) == rows // 300


def test_empty_result_is_a_header(api):
    execution_id = api.finished("SELECT n FROM rows_0")["workflowExecutionId"]
    (url,) = api.urls(execution_id)["downloadUrls"]
    assert text_of(api.download(url)) == content(0)


def test_not_ready(served):
    api = served.api
    execution_id = api.run("SELECT gated FROM rows_1")["workflowExecutionId"]
    path = f"workflowExecutions/{execution_id}/downloadUrls"
    answer = api.reporting("GET", path)
    expected = {"code": "404", "details": f"Execution with ID {execution_id} is unavailable for download"}
    assert (answer.status_code, answer.json()) == (404, expected)
    api.reporting("DELETE", f"workflowExecutions/{execution_id}")
    assert api.reporting("GET", path).status_code == 404


@pytest.mark.covers("switch", "not_ready_status")
def test_not_ready_status_is_a_switch(serve):
    api = serve(not_ready_status=400).api
    execution_id = api.run("SELECT gated FROM rows_1")["workflowExecutionId"]
    assert api.reporting("GET", f"workflowExecutions/{execution_id}/downloadUrls").status_code == 400


def test_results_of_an_execution_gone_after_a_reset(served):
    api = served.api
    execution_id = api.finished()["workflowExecutionId"]
    url = api.urls(execution_id)["downloadUrls"][0]
    served.server.reset()
    assert error_of(api.download(url)) == (404, "NoSuchKey")
    assert list(served.server.emulator.results.iterdir()) == []
