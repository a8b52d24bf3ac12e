from __future__ import annotations

import pytest

from airflow_provider_amc.client.addresses import check_result_host
from airflow_provider_amc.exceptions import AmcResultError


@pytest.mark.parametrize(
    "url",
    [
        "https://bucket.s3.us-east-1.amazonaws.com/key?X-Amz-Signature=1",
        "https://bucket.s3.amazonaws.com/key",
        "https://s3.eu-west-1.amazonaws.com/bucket/key",
        "https://s3.amazonaws.com/bucket/key",
        "https://bucket.s3-us-west-2.amazonaws.com/key",
        "https://my.dotted.bucket.s3.eu-central-1.amazonaws.com:443/key",
        "https://bucket.s3.dualstack.us-gov-west-1.amazonaws.com/key",
        "https://bucket.s3-accelerate.amazonaws.com/key",
        "https://bucket.s3-fips.us-east-2.amazonaws.com/key",
        "https://bucket.s3.cn-north-1.amazonaws.com.cn/key",
        "https://amc-output-prod-iad.s3.us-east-1.amazonaws.com/key",
        "HTTPS://BUCKET.S3.AMAZONAWS.COM/key",
    ],
)
def test_hosts_of_s3_are_allowed(url: str) -> None:
    check_result_host(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://bucket.s3.amazonaws.com/key",
        "https://bucket.s3.amazonaws.com:8443/key",
        "https://user:secret@bucket.s3.amazonaws.com/key",
        "https://bucket.s3.amazonaws.com.evil.example/key",
        "https://bucket.s3.amazonaws.com@evil.example/key",
        "https://evils3.amazonaws.com/key",
        "https://abc.execute-api.us-east-1.amazonaws.com/key",
        "https://s3.evil.example/amazonaws.com",
        "https://bucket.s3.amazonaws.com.",
        "https://x.cloudfront.net/key",
        "https://169.254.169.254/latest/meta-data",
        "https://[bad",
        "file:///etc/passwd",
        "ftp://bucket.s3.amazonaws.com/key",
        "//bucket.s3.amazonaws.com/key",
        "",
        "https://bucket.s3.amazonaws.com\n.evil.example/",
    ],
)
def test_other_hosts_are_refused(url: str) -> None:
    with pytest.raises(AmcResultError) as caught:
        check_result_host(url, "http://127.0.0.1:8600")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "base", "allowed"),
    [
        ("http://127.0.0.1:8600/results/x", "http://127.0.0.1:8600", True),
        ("http://emulator/results/x", "http://EMULATOR:80/", True),
        ("http://127.0.0.1:8601/results/x", "http://127.0.0.1:8600", False),
        ("https://127.0.0.1:8600/results/x", "http://127.0.0.1:8600", False),
        ("http://localhost:8600/results/x", "http://127.0.0.1:8600", False),
        ("http://a:b@127.0.0.1:8600/results/x", "http://127.0.0.1:8600", False),
    ],
)
def test_the_base_url_is_allowed_exactly(url: str, base: str, allowed: bool) -> None:
    if allowed:
        check_result_host(url, base)
    else:
        with pytest.raises(AmcResultError, match="Refusing"):
            check_result_host(url, base)
