"""Assets of AMC: ``amc://<region>/<instance>/<data source>``, and the same for what a workflow or a query gives.

Airflow finds these functions through the provider's information.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.common.compat.sdk import Asset

SCHEME = "amc"


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Check the address of an asset, and write the region as AMC's connection does.

    :param uri: the address.
    :raises ValueError: a part of it is missing.
    """
    instance, _, name = uri.path.lstrip("/").partition("/")
    if not (uri.netloc and instance and name.strip("/")):
        raise ValueError(
            "URI format amc:// must contain region, instance and data source: amc://NA/amcabcdefgh/dsp_clicks"
        )
    return uri._replace(netloc=uri.netloc.upper(), path=f"/{instance}/{name.strip('/')}")


def create_asset(*, region: str, instance_id: str, name: str, extra: dict[str, Any] | None = None) -> Asset:
    """Make an asset.

    :param region: ``NA``, ``EU`` or ``FE``.
    :param instance_id: AMC instance.
    :param name: data source, such as ``dsp_impressions``.
    :param extra: further facts about it.
    """
    from airflow.providers.common.compat.assets import Asset

    return Asset(uri=f"{SCHEME}://{region}/{instance_id}/{name}", extra=extra)


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Dataset:
    """Translate an asset to the dataset that OpenLineage events of this provider name.

    :param asset: an asset of this scheme.
    :param lineage_context: not needed.
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset

    region, instance, name = asset.uri.removeprefix(f"{SCHEME}://").split("/", 2)
    return Dataset(namespace=f"{SCHEME}://{region}/{instance}", name=name)
