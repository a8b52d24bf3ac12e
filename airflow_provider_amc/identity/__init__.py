"""Identities as AMC matches them: normalised, then hashed with SHA-256.

AMC finds the Amazon user of an uploaded row by hashes of e-mail address, phone number, names and postal address, and it
finds nobody when the text under the hash was written in another way. This package brings the text into Amazon's form
and hashes it, column by column on Arrow data, without Airflow:

* :func:`hash_identities`: a record batch in, a record batch out; this is what an upload needs.
* :func:`normalize` and :func:`sha256`: its two halves, for one array each.
* :func:`country_of`: the ISO code that AMC's country column takes.

No value is written to a log or into an error: errors name the column and the row.

Sources: Amazon Ads API documentation, "Advertiser data upload - prepare data" (identifiers, SHA-256); Amazon's address
SDK ``amzn/amazon-ads-advertiser-audience-normalization-sdk-py``; the normalisers, and the hashes expected of them, of
``aws-solutions/amazon-marketing-cloud-uploader-from-aws``.
"""

from __future__ import annotations

from airflow_provider_amc.identity.batch import hash_identities
from airflow_provider_amc.identity.hashing import sha256
from airflow_provider_amc.identity.kinds import COUNTRIES, IdentityKind, country_of
from airflow_provider_amc.identity.normalize import normalize

__all__ = ["COUNTRIES", "IdentityKind", "country_of", "hash_identities", "normalize", "sha256"]
