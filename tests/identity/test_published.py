"""Hashes that Amazon publishes, so that no mistake in our reading of the rules can hide in our own vectors.

They are a choice of those that the tests of ``aws-solutions/amazon-marketing-cloud-uploader-from-aws`` expect for made-up
customers of nine countries. What Amazon expects of foreign phone numbers is left out: its tool took the calling code of
the country before them, and was changed later.
"""

from __future__ import annotations

import pyarrow as pa
import pytest

from airflow_provider_amc.identity import IdentityKind, normalize, sha256

PUBLISHED = [
    ("ADDRESS", "US", "8 Bluestem Terrace", "fe8115cbef0c2b9c5bedbedaa34b080223959365176679d9b0461465b1b08425"),
    ("ADDRESS", "US", "17787 Melrose Hill", "0dcf0a67791931abe63e89181ace2a3df42561b910006e8befd0adedfc3ca331"),
    ("ADDRESS", "CA", "2 Pawling Junction", "00ebb1e5a3eff43295391390fb431abe32e2deb429764005659695d67e757e60"),
    ("ADDRESS", "CA", "4264 Westport Parkway", "0ff510e3a87410dab6bfc0fe5f77df7b337d61da218630d1e3183d566b55dec0"),
    ("ADDRESS", "UK", "7 Lillian Center", "6c38307d8d22ecb3873cec1499a043a0bb84bb766396003aa342aadbe88facf4"),
    ("ADDRESS", "UK", "3 Pepper Wood Road", "3ec769e410115e9bce153de54bb49534b84174af8f42b06845f1b296735699f6"),
    ("ADDRESS", "DE", "07352 Chinook Drive", "775397152d25c255e4a329ce04f77429b1caeb173e8d07418cbe17bd0fa66696"),
    ("ADDRESS", "DE", "9 Schiller Terrace", "4849d3b2be18952fcd6d6f56f34156a4bbe22b2d35eed6138ec36d60c4ca1c33"),
    ("ADDRESS", "FR", "179 Bayside Avenue", "a3695f77fe4e25aef31cf9f4a9967184290f6436e4f12b0f86f909a951fe095b"),
    ("ADDRESS", "FR", "552 Ronald Regan Place", "5c52069811ccec9a6623107ff8366f724d3f7e566cabf436d3bb824a9f1bac50"),
    ("ADDRESS", "ES", "990 Transport Plaza", "600f7050a4deff0af48ad97adbcde78d5e0b7afb591c5d9dc6b7daae5800752f"),
    ("ADDRESS", "ES", "221 Toban Place", "52c963608c18762a6e28cb73b0c6e87611cb55d5d0a998d5195617f4bc8e1783"),
    ("ADDRESS", "JP", "309 WEST POINT", "8bf349bb859448d5d486bf7931ba9fe87d7ba68d2616512db28bc7df628f4385"),
    ("CITY", "DE", "Frankfurt am Main", "825051ba993e21e15aa1f6f0d63513532c76df19302521b0a339009429693b71"),
    ("CITY", "DE", "München", "ea3defc658f796efc039e19098dcb38fde17fe80827f6b4f04073991369d5319"),
    ("CITY", "DE", "Köln", "f8b644da2e634aba1d4303ddfabf60a5fe7860177a98d06431cd2b652f99347b"),
    ("CITY", "FR", "Saint-Étienne", "c14269527c1426d240cd0e2fe136076b71086bb29cd105f9195c0495c6c4c695"),
    ("CITY", "ES", "Pamplona/Iruña", "d8228112b739385ef16eb001719ca024439e7c42e9fce48785b88a75529a2131"),
    ("CITY", "JP", "Mitsukaidō", "cea8f5de7875aba311e55f550648fb8e879e2876f62cae277c53475b67e1b4b0"),
    ("EMAIL", "US", "fchecketts0@webeden.co.uk", "5bd5f77cb5a05b8a30fb028e800c19207c158772564e485561e5596506aba005"),
    ("FIRST_NAME", "DE", "Corette", "541f8051ab8b26934d1cf3c79f0b5ab1049702ab1296ef1bfae6b36107354617"),
    ("LAST_NAME", "FR", "O'Hare", "623704004cd673fb5fe6b27e125a509785f1509bbb1cad46e32281df8fb31316"),
    ("LAST_NAME", "ES", "St. Hill", "7f92fc35ff037da7d3661d0bb8323d2722372af24a25edc242d9fc734d01face"),
    ("LAST_NAME", "US", "Le - Count", "e07bd0b0efe28184c01ec8c227f713571043ae3717881288f5cf03c7f4c1b27d"),
    ("PHONE", "US", "5714120599", "8ae78b78db5e45aff4a0646198a9f1e60270ba153349b29b4ce0bbd2f5ec9cc9"),
    ("PHONE", "US", "+1 (413) 871-4499", "ed4f1d5e1d3e44fefa8dbc7e1ed7d1ada51311f88d95d8c4e55624d38735088c"),
    ("PHONE", "US", "1(612)392-8346", "71ad0a9551b99a34dc09bd2ee4085ee25c4fcf94a79f4c83e2d2e25c5f55d132"),
    ("PHONE", "CA", "6788963787", "bcf3ecf49d0a57372c80426366a1a4d5a02e1624a9c9f365876d5522d72d0ef3"),
    ("PHONE", "UK", "9094619558", "2efd89dffd5d5a6b66939251cc8ebbc3c326645fd5addf17fc37c7a6e96073df"),
    ("PHONE", "DE", "420 801 9682", "94b7155cabbffcf912f84d43abcbcc6e25ed48a29d786b86d756993b7c91ac70"),
    ("PHONE", "DE", "4964721108", "5c3d3edd98975b86ef54c6ed4a0176a13e0322b2d4ff46012cbcf33abc112c85"),
    ("PHONE", "JP", "7527903759", "c5ecf97c4939cd03aafad5257ebf862eb1d96dfe9a838def5eebd963e874cced"),
    ("PHONE", "IN", "(284) 2572792", "7c982b71dabf67fecf28e1277e28897e27217f23edccd6c9e826170395313fde"),
    ("STATE", "US", "New York", "1b06e2003f8420d6fa42badd8f77ec0f706b976b7a48b13c567dc5a559681683"),
    ("STATE", "CA", "Québec", "a082f17cf976fb34724b2d88f5a779341f1db75157bde2da48cd392c0b74ecb7"),
    ("STATE", "CA", "Alberta", "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603"),
    ("STATE", "DE", "Niedersachsen", "4db03a277cfb9ef4c68b4c9780470eee479abacb5fd01b8a2c2b3cb955998e87"),
    ("STATE", "DE", "Bayern", "970f519c2cadbcefb1e81694f904bc6229dd2a8300e98c6d0d4fc4bfca584140"),
    ("STATE", "DE", "Baden-Württemberg", "970f519c2cadbcefb1e81694f904bc6229dd2a8300e98c6d0d4fc4bfca584140"),
    ("STATE", "FR", "Île-de-France", "61098a4bf2a5e216533e5f2994d8f290308b310f2efa046548a96302afe412ea"),
    ("STATE", "FR", "Nord-Pas-de-Calais", "0a2f133eb9f7ca028a20aa3fcd7f6cb8a05a0e89c166e69e2fbd480a00be447d"),
    ("STATE", "FR", "Languedoc-Roussillon", "80c0fcbbfa9d03d861b22230e67c380afb545c12de43094f3985128625858361"),
    ("STATE", "ES", "Madrid", "62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a"),
    ("STATE", "ES", "Cataluna", "6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126"),
    ("STATE", "IN", "Gujarat", "6152d43caa491abea69c0001c468166366618867baf85f1f5fc9b26e00966a24"),
    ("ZIP", "US", "75236-9599", "91b6147da4928d5742bb8ddb035e75f9fe77a7f88881906ac7417abf8a46effa"),
    ("ZIP", "UK", "A11AA", "c4ef5b7f4702eaa1962ece290ae31a95b4c50346d6ec09c5c5bcf3961ffef101"),
    ("ZIP", "UK", "A111AA", "67e61e313a9b0e2c66499683ae2eca0675484566ded1d7e83b8c5e8689ca78ad"),
    ("ZIP", "FR", "77304 CEDEX", "13e81496205ee18f729655918cea4cd8af71db0ccede58bceef8188e064085bc"),
    ("ZIP", "JP", "787-0150", "3514118185299f8e6cadb3b93ca559e3c2cf73f2f72261851f597891709ff1b3"),
    ("ZIP", "IN", "395003", "d84f0eb68b12b02cb2cbb2c88432517e878504c3034b538ad310190e0a91eeb7"),
]


@pytest.mark.parametrize(("kind", "country", "written", "published"), PUBLISHED)
def test_published_hash(kind: str, country: str, written: str, published: str) -> None:
    assert sha256(normalize(kind, pa.array([written]), country=country)).to_pylist() == [published]


def test_every_kind_is_among_them() -> None:
    assert {kind for kind, *_ in PUBLISHED} == {kind.value for kind in IdentityKind}


@pytest.mark.parametrize(
    ("kind", "country", "written"), [("ZIP", "DE", "1462"), ("ZIP", "UK", "WF9"), ("ZIP", "CA", "J9T")]
)
def test_nothing_is_published_for_broken_ones(kind: str, country: str, written: str) -> None:
    """Amazon expects the hash of the empty text; as NULL such rows match no other such row."""
    assert normalize(kind, pa.array([written]), country=country).to_pylist() == [None]
