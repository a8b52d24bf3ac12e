from __future__ import annotations

import gzip
import io
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_amc.client import AmcClient, DownloadUrls, ExecutionResults
from airflow_provider_amc.exceptions import AmcResultError, AmcTransientError
from tests.client.scripted import FakeTime, Received, Reply, ScriptedServer, free_port

CONTENT = b"campaign,impressions\n" + b"".join(b"name-%d,%d\n" % (n, n * 7) for n in range(2000))


class Store:
    """Result files behind signed addresses, as S3 has them: Range, If-Match, ETag, expiry.

    ``interruptions`` are taken one a request: an offset cuts the answer there, a :class:`Reply` replaces it.
    """

    def __init__(self, server: ScriptedServer, *contents: bytes) -> None:
        self.server = server
        self.contents = list(contents)
        self.etags = [f'"etag-{index}"' for index in range(len(contents))]
        self.generation = 0
        self.asked = 0
        self.interruptions: list[int | Reply | None] = []
        self.headers: dict[str, str] = {}
        self.ranges = True
        self.states_416 = True
        for index in range(len(contents)):
            server.on("GET", f"/files/{index}.csv", self._answer(index))

    def urls(self) -> DownloadUrls:
        self.asked += 1
        self.generation += 1
        return DownloadUrls(tuple(self.url(index) for index in range(len(self.contents))))

    def url(self, index: int) -> str:
        return f"{self.server.url}/files/{index}.csv?X-Amz-Signature=signature-{self.generation}"

    def expire(self) -> None:
        self.generation += 1

    def _answer(self, index: int) -> Callable[[Received], Reply]:
        def answer(request: Received) -> Reply:
            if request.query["X-Amz-Signature"] != f"signature-{self.generation}":
                return Reply(403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
            interruption = self.interruptions.pop(0) if self.interruptions else None
            if isinstance(interruption, Reply):
                return interruption
            content, etag = self.contents[index], self.etags[index]
            if request.headers.get("if-match", etag) != etag:
                return Reply(412, b"")
            start = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
            headers = {"ETag": etag, **self.headers}
            if start is None or not self.ranges:
                body, status = content, 200
            elif int(start[1]) >= len(content):
                return Reply(416, b"", {"Content-Range": f"bytes */{len(content)}"} if self.states_416 else {})
            else:
                body, status = content[int(start[1]) :], 206
                headers["Content-Range"] = f"bytes {start[1]}-{len(content) - 1}/{len(content)}"
            if interruption is None:
                return Reply(status, body, headers)
            return Reply(status, body, headers, fault="cut", cut_at=interruption)

        return answer


@pytest.fixture
def results_of(server: ScriptedServer, fake_time: FakeTime) -> Callable[..., ExecutionResults]:
    def make(store: Store, **changes: Any) -> ExecutionResults:
        arguments: dict[str, Any] = {
            "base_url": server.url,
            "timeout": (2.0, 5.0),
            "sleep": fake_time.sleep,
            "clock": fake_time.clock,
            **changes,
        }
        return ExecutionResults("e-1", store.urls, **arguments)

    return make


ResultsOf = Callable[..., ExecutionResults]


class TestReading:
    def test_all_files_are_read(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        store = Store(server, b"a\n1\n", b"a\n2\n", b"a\n")
        files = results_of(store).files()
        assert [file.index for file in files] == [0, 1, 2]
        contents = []
        for file in files:
            with file.open() as stream:
                contents.append(stream.read())
        assert contents == store.contents
        assert [file.size for file in files] == [4, 4, 2]
        assert store.asked == 1

    def test_the_head_is_known_after_opening(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        file = results_of(Store(server, CONTENT)).files()[0]
        assert file.size is None
        with file.open():
            assert (file.size, file.etag) == (len(CONTENT), '"etag-0"')
        assert "signature" not in repr(file)

    def test_no_token_leaves_and_nothing_compressed_is_asked_for(
        self, server: ScriptedServer, results_of: ResultsOf
    ) -> None:
        with results_of(Store(server, CONTENT)).files()[0].open() as stream:
            stream.read()
        headers = server.calls()[0].headers
        assert "authorization" not in headers
        assert not [name for name in headers if name.startswith("amazon")]
        assert headers["accept-encoding"] == "identity"
        assert headers["range"] == "bytes=0-"

    def test_every_way_to_read(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        file = results_of(Store(server, CONTENT)).files()[0]
        with file.open() as stream:
            assert stream.readable()
            assert stream.read(0) == b""
            assert stream.read(100) == CONTENT[:100]
            buffer = bytearray(50)
            assert stream.readinto(buffer) == 50
            assert bytes(buffer) == CONTENT[100:150]
            assert stream.tell() == 150
            assert stream.read(None) == CONTENT[150:]
            assert stream.read() == stream.read(10) == b""
            assert stream.readinto(buffer) == 0
        with pytest.raises(ValueError, match="closed"):
            stream.read(1)
        with io.BufferedReader(file.open(), 100) as lines:
            assert list(lines) == CONTENT.splitlines(keepends=True)
        with io.TextIOWrapper(io.BufferedReader(file.open()), "utf-8") as text:
            assert text.readline() == "campaign,impressions\n"

    @pytest.mark.parametrize(("ranges", "stated"), [(True, True), (True, False), (False, False)])
    def test_an_empty_file_is_empty(
        self, server: ScriptedServer, results_of: ResultsOf, ranges: bool, stated: bool
    ) -> None:
        store = Store(server, b"")
        store.ranges, store.states_416 = ranges, stated
        file = results_of(store).files()[0]
        for decompress in (False, True):
            with file.open(decompress=decompress) as stream:
                assert stream.read() == b""
        assert file.size == 0

    def test_compressed_files(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        store = Store(server, gzip.compress(CONTENT), CONTENT)
        store.headers = {"Content-Encoding": "gzip"}
        compressed, other = results_of(store).files()
        with compressed.open() as stream:
            assert stream.read() == store.contents[0]
        with compressed.open(decompress=True) as stream:
            assert stream.read() == CONTENT
        with other.open(decompress=True) as stream:
            assert stream.read() == CONTENT

    def test_a_file_sent_in_chunks(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        store = Store(server, CONTENT)
        store.interruptions = [Reply(200, CONTENT, {"ETag": '"etag-0"'}, chunked=True)]
        file = results_of(store).files()[0]
        with file.open() as stream:
            assert file.size is None
            assert stream.read() == CONTENT
        assert file.size == len(CONTENT)

    def test_memory_does_not_grow_with_the_file(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        import tracemalloc

        store = Store(server, bytes(32 << 20))
        buffer = bytearray(1 << 16)
        total = 0
        with results_of(store).files()[0].open() as stream:
            tracemalloc.start()
            try:
                while got := stream.readinto(buffer):
                    total += got
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert total == 32 << 20
        assert peak < 4 << 20

    def test_files_can_be_read_at_the_same_time(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        store = Store(server, *(b"%d\n" % index + CONTENT for index in range(8)))
        files = results_of(store).files()
        store.expire()

        def read(file: Any) -> bytes:
            with file.open() as stream:
                return bytes(stream.read())

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(read, files)) == store.contents
        assert store.asked == 2


class TestInterruptions:
    @given(
        cuts=st.lists(st.integers(0, len(CONTENT)), max_size=12),
        reads=st.lists(st.integers(1, 5000), min_size=1, max_size=5),
        expire=st.booleans(),
    )
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_cuts_anywhere_leave_no_trace(
        self, server: ScriptedServer, results_of: ResultsOf, cuts: list[int], reads: list[int], expire: bool
    ) -> None:
        store = Store(server, CONTENT)
        store.interruptions = list(cuts)
        got = b""
        with results_of(store).files()[0].open() as stream:
            turn = 0
            while chunk := stream.read(reads[turn % len(reads)]):
                got += chunk
                turn += 1
                if expire and turn % 3 == 0:
                    store.expire()
        assert got == CONTENT

    def test_a_cut_at_every_percent(self, server: ScriptedServer, results_of: ResultsOf, fake_time: FakeTime) -> None:
        store = Store(server, CONTENT)
        store.interruptions = [len(CONTENT) // 100] * 99
        with results_of(store).files()[0].open() as stream:
            assert stream.read() == CONTENT
        resumed = server.calls()[1:]
        assert len(resumed) >= 99
        assert {call.headers["if-match"] for call in resumed} == {'"etag-0"'}
        # Each cut follows bytes that came through, so there is nothing to wait for.
        assert fake_time.waits == []

    def test_a_host_without_ranges(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        store = Store(server, CONTENT)
        store.ranges = False
        store.interruptions = [10_000, 5_000, 20_000, None]
        with results_of(store).files()[0].open() as stream:
            assert stream.read() == CONTENT

    def test_a_file_without_etag(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        store = Store(server, CONTENT)
        store.interruptions = [Reply(200, CONTENT, {}, fault="cut", cut_at=100)]
        with results_of(store).files()[0].open() as stream:
            assert stream.read() == CONTENT
        assert "if-match" not in server.calls()[1].headers

    def test_a_weak_etag_is_compared_but_not_sent(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        store = Store(server, CONTENT)
        store.etags = ['W/"weak"']
        store.interruptions = [100]
        with results_of(store).files()[0].open() as stream:
            assert stream.read() == CONTENT
        assert "if-match" not in server.calls()[1].headers

    def test_a_length_that_was_corrected_after_a_cut_is_noticed(
        self, server: ScriptedServer, results_of: ResultsOf
    ) -> None:
        store = Store(server, CONTENT)
        total = len(CONTENT)
        whole = {"ETag": '"etag-0"', "Content-Range": f"bytes 0-{total - 1}/{total}"}
        store.interruptions = [Reply(206, CONTENT[:1000], whole)]
        with results_of(store).files()[0].open() as stream:
            assert stream.read() == CONTENT

    def test_a_chunked_answer_that_is_cut_at_its_very_end(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        store = Store(server, CONTENT)
        store.interruptions = [
            Reply(200, CONTENT, {"ETag": '"etag-0"'}, chunked=True, fault="cut", cut_at=len(CONTENT))
        ]
        file = results_of(store).files()[0]
        with file.open() as stream:
            assert stream.read() == CONTENT
        assert file.size == len(CONTENT)

    def test_a_chunked_answer_that_is_cut(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        store = Store(server, CONTENT)
        store.interruptions = [Reply(200, CONTENT, {"ETag": '"etag-0"'}, chunked=True, fault="cut", cut_at=1000)]
        with results_of(store).files()[0].open() as stream:
            assert stream.read() == CONTENT

    @pytest.mark.parametrize(
        "fault", [Reply(503, b""), Reply(500, b""), Reply(429, b""), Reply(fault="close"), Reply(fault="reset")]
    )
    @pytest.mark.parametrize("offset", [0, 5000])
    def test_an_outage_of_thirty_seconds(
        self, server: ScriptedServer, results_of: ResultsOf, fake_time: FakeTime, fault: Reply, offset: int
    ) -> None:
        store = Store(server, CONTENT)
        store.interruptions = [offset] if offset else []
        end = fake_time.now + 30
        store.interruptions += [fault] * 100

        def repair(_: float) -> None:
            if fake_time.now >= end:
                store.interruptions.clear()

        fake_time.on_sleep = repair
        with results_of(store).files()[0].open() as stream:
            assert stream.read() == CONTENT
        assert fake_time.now >= end

    def test_a_host_that_is_not_there(self, server: ScriptedServer, results_of: ResultsOf, fake_time: FakeTime) -> None:
        url = f"http://127.0.0.1:{free_port()}"
        results = ExecutionResults(
            "e-1",
            lambda: DownloadUrls((f"{url}/a.csv?X-Amz-Signature=secret",)),
            base_url=url,
            sleep=fake_time.sleep,
            clock=fake_time.clock,
        )
        with pytest.raises(AmcResultError, match=r"gave up after .* could not connect") as caught:
            results.files()[0].open()
        assert caught.value.retryable
        assert sum(fake_time.waits) >= 30
        assert "secret" not in str(caught.value)

    def test_retry_after_is_obeyed(self, server: ScriptedServer, results_of: ResultsOf, fake_time: FakeTime) -> None:
        store = Store(server, CONTENT)
        store.interruptions = [Reply(503, b"", {"Retry-After": "11"})]
        with results_of(store).files()[0].open() as stream:
            assert stream.read() == CONTENT
        assert fake_time.waits[0] >= 11

    def test_silence_counts_as_a_cut(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        store = Store(server, CONTENT)
        store.interruptions = [Reply(fault="hang")]
        with results_of(store, timeout=(2.0, 0.2)).files()[0].open() as stream:
            assert stream.read() == CONTENT

    def test_a_cut_compressed_file(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        store = Store(server, gzip.compress(CONTENT))
        store.interruptions = [1, 5, 100, 1000]
        with results_of(store).files()[0].open(decompress=True) as stream:
            assert stream.read() == CONTENT


class TestAddresses:
    @pytest.mark.parametrize("offset", [0, 5000])
    def test_an_expired_address_is_replaced(self, server: ScriptedServer, results_of: ResultsOf, offset: int) -> None:
        store = Store(server, CONTENT)
        file = results_of(store).files()[0]
        if offset == 0:
            store.expire()
            with file.open() as stream:
                assert stream.read() == CONTENT
        else:
            store.interruptions = [offset]
            with file.open() as stream:
                got = stream.read(offset)
                store.expire()
                assert got + stream.read() == CONTENT
        assert store.asked == 2

    @pytest.mark.parametrize("status", [400, 403, 404])
    def test_a_host_that_refuses_new_addresses_too(
        self, server: ScriptedServer, results_of: ResultsOf, status: int
    ) -> None:
        store = Store(server, CONTENT)
        server.on("GET", "/files/0.csv", Reply(status, b"<Error><Code>SignatureDoesNotMatch</Code></Error>"))
        with pytest.raises(AmcResultError, match=f"refuses new addresses too .HTTP {status}.") as caught:
            results_of(store).files()[0].open()
        assert store.asked <= 5
        assert "signature-" not in str(caught.value)

    def test_files_are_found_again_when_amc_lists_them_in_another_order(
        self, server: ScriptedServer, results_of: ResultsOf
    ) -> None:
        store = Store(server, b"first" * 100, b"second" * 100)
        results = results_of(store)
        files = results.files()
        fresh = store.urls
        results._addresses._fetch = lambda: DownloadUrls(fresh().urls[::-1])
        store.expire()
        for file, content in zip(files, store.contents, strict=True):
            with file.open() as stream:
                assert stream.read() == content

    def test_another_number_of_files_is_an_error(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        store = Store(server, CONTENT)
        results = results_of(store)
        file = results.files()[0]
        results._addresses._fetch = lambda: DownloadUrls((store.url(0), store.url(0)))
        store.expire()
        with pytest.raises(AmcResultError, match="had 1 result files and now has 2"):
            file.open()

    def test_no_file_is_an_error(self, fake_time: FakeTime) -> None:
        results = ExecutionResults("e-1", lambda: DownloadUrls(()))
        with pytest.raises(AmcResultError, match="no result file"):
            results.files()

    def test_an_error_of_amc_passes_through(self, server: ScriptedServer) -> None:
        def fail() -> DownloadUrls:
            raise AmcTransientError("AMC is down")

        with pytest.raises(AmcTransientError, match="AMC is down"):
            ExecutionResults("e-1", fail).files()

    def test_addresses_are_asked_for_only_when_needed(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        store = Store(server, CONTENT)
        results = results_of(store)
        assert store.asked == 0
        results.files()
        results.files()
        assert store.asked == 1


class TestRefusals:
    def read(self, results: ExecutionResults) -> bytes:
        with results.files()[0].open() as stream:
            return bytes(stream.read())

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_redirects(self, server: ScriptedServer, results_of: ResultsOf, status: int) -> None:
        store = Store(server, CONTENT)
        store.interruptions = [Reply(status, b"", {"Location": f"{server.url}/elsewhere"})]
        with pytest.raises(AmcResultError, match="redirect"):
            self.read(results_of(store))
        assert [call.path for call in server.calls()] == ["/files/0.csv"]

    def test_a_file_that_changes(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        store = Store(server, CONTENT)
        store.interruptions = [1000]
        with results_of(store).files()[0].open() as stream:
            stream.read(1000)
            store.etags = ['"another"']
            with pytest.raises(AmcResultError, match="changed while it was being read") as caught:
                stream.read()
        assert not caught.value.retryable

    @pytest.mark.parametrize(
        "reply",
        [
            Reply(206, b"x" * 10, {"Content-Range": "bytes 0-9/100"}),
            Reply(206, b"x" * 10, {"Content-Range": "bytes 1000-1009/2000"}),
            Reply(206, b"x" * 10, {}),
            Reply(200, b"x" * 10, {}),
            Reply(200, CONTENT, {"ETag": '"another"'}),
            Reply(416, b""),
            Reply(204, b""),
            Reply(451, b""),
            Reply(200, b"x", {"No-Length": "1"}),
        ],
    )
    def test_an_answer_that_does_not_go_on_where_the_stream_is(
        self, server: ScriptedServer, results_of: ResultsOf, reply: Reply
    ) -> None:
        store = Store(server, CONTENT)
        store.interruptions = [1000, reply]
        with pytest.raises(AmcResultError, match=re.escape("Result file 0 (http://127.0.0.1")) as caught:
            self.read(results_of(store))
        assert "signature" not in str(caught.value)

    @pytest.mark.parametrize(
        "reply",
        [
            Reply(200, CONTENT, {"No-Length": "1"}),
            Reply(206, CONTENT, {"Content-Range": f"bytes 0-{len(CONTENT) - 1}/*"}),
        ],
    )
    def test_a_file_of_unknown_length(self, server: ScriptedServer, results_of: ResultsOf, reply: Reply) -> None:
        store = Store(server, CONTENT)
        store.interruptions = [reply]
        with pytest.raises(AmcResultError, match="how long the file is"):
            self.read(results_of(store))

    def test_a_file_that_stays_shorter_than_promised(
        self, server: ScriptedServer, results_of: ResultsOf, fake_time: FakeTime
    ) -> None:
        store = Store(server, CONTENT)
        short = Reply(206, b"", {"Content-Range": f"bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}"})
        store.interruptions = [1000, *[short] * 500]
        with pytest.raises(AmcResultError, match="gave up after") as caught:
            self.read(results_of(store))
        assert caught.value.retryable

    def test_an_unlisted_host(self, server: ScriptedServer) -> None:
        results = ExecutionResults("e-1", lambda: DownloadUrls((f"{server.url}/a?X-Amz-Signature=s",)))
        with pytest.raises(AmcResultError, match="Refusing to download from http://127") as caught:
            results.files()
        assert "Signature" not in str(caught.value)
        assert server.requests == []

    def test_a_new_address_is_checked_too(self, server: ScriptedServer, results_of: ResultsOf) -> None:
        store = Store(server, CONTENT)
        results = results_of(store)
        file = results.files()[0]
        results._addresses._fetch = lambda: DownloadUrls(("https://evil.example/files/0.csv",))
        store.expire()
        with pytest.raises(AmcResultError, match=r"Refusing to download from https://evil\.example"):
            file.open()


def test_through_the_client(
    server: ScriptedServer, client: AmcClient, caplog: pytest.LogCaptureFixture, fake_time: FakeTime
) -> None:
    store = Store(server, CONTENT, CONTENT[::-1])
    address = "/amc/reporting/amctest/workflowExecutions/e-1/downloadUrls"
    server.on("GET", address, lambda _: Reply(body={"downloadUrls": list(store.urls().urls)}))
    store.interruptions = [1000, Reply(503, b""), Reply(503, b""), Reply(403, b"")]
    with caplog.at_level(logging.DEBUG):
        contents = []
        for file in client.executions.results("e-1").files():
            with file.open() as stream:
                contents.append(stream.read())
    assert contents == store.contents
    assert "trying again" in caplog.text
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("urllib3")]
    assert "signature-" not in "".join(ours)


def test_closing_a_stream_twice_is_fine(server: ScriptedServer, results_of: ResultsOf) -> None:
    stream = results_of(Store(server, CONTENT)).files()[0].open()
    stream.read(10)
    stream.close()
    stream.close()
    assert stream.closed
