from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.assets import Asset

from airflow_provider_amc.assets import convert_asset_to_openlineage, create_asset, sanitize_uri


def test_address() -> None:
    assert create_asset(region="EU", instance_id="amcone", name="dsp_clicks").uri == "amc://EU/amcone/dsp_clicks"
    assert sanitize_uri(urlsplit("amc://eu/amcone/workflow/reach/")).geturl() == "amc://EU/amcone/workflow/reach"


def test_airflow_knows_the_scheme() -> None:
    assert Asset("amc://na/amcone/dsp_clicks/").uri == "amc://NA/amcone/dsp_clicks"


@pytest.mark.parametrize("uri", ["amc://NA", "amc://NA/amcone", "amc://NA/amcone/", "amc:///amcone/dsp_clicks"])
def test_incomplete_address(uri: str) -> None:
    with pytest.raises(ValueError, match="must contain region, instance and data source"):
        sanitize_uri(urlsplit(uri))


def test_dataset_of_openlineage() -> None:
    pytest.importorskip("airflow.providers.openlineage")
    dataset = convert_asset_to_openlineage(Asset("amc://NA/amcone/workflow/reach"), None)
    assert (dataset.namespace, dataset.name) == ("amc://NA/amcone", "workflow/reach")
