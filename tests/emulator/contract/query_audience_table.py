"""The part of the table that is about rule-based and lookalike audiences.

Facts: the fields, types and limits of Amazon's OpenAPI file for them.
"""

from __future__ import annotations

TABLE = """
object Parameter
    name                        text
    dataType                    text
    columnType?                 DIMENSION|METRIC
    defaultValue?               text wrapped
    defaultValue?               any flat
    description?                text

object QueryAudience
    audienceExecutionId         text
    instanceId                  text
    advertiserId                text
    audienceName                text
    audienceDescription?        text
    query                       text
    timeWindowStart             utc
    timeWindowEnd               utc
    timeWindowRelative          flag
    refreshRateDays             whole
    createTime                  utc
    status                      DEACTIVATED|FAILED|PENDING|RUNNING|SUCCEEDED
    statusReason?               text
    lastRefreshedTime?          utc
    dspAudienceId?              text
    dspCanonicalId?             text
    audienceCount?              whole
    audienceType?               RULE_BASED|LOOKALIKE
    advertiserType?             DISPLAY|SPONSORED_ADS
    no3pTrackers?               flag
    workflowId?                 text
    inputParameters?            Parameter[100]
    parameterValues?            {}
    lookalikeAudienceExpectedReach?  MOST_SIMILAR|SIMILAR|BALANCED|BROAD|MOST_BROAD

object SubmittedAudience
    audienceExecutionId         text
    audienceExecutionDescription  text
    status                      PENDING

object QueryAudienceError
    code                        text
    details                     text
    requestId                   text

answer createQueryBasedAudience 200
    = SubmittedAudience

answer createLookalikeAudience 200
    = SubmittedAudience

answer updateQueryBasedAudienceByAudienceExecutionId 200
    = SubmittedAudience

answer getQueryBasedAudienceByAudienceExecutionId 200
    = QueryAudience

answer getAllQueryBasedAudiencesByInstanceId 200
    executionMetadata           QueryAudience[100]
    nextToken?                  text
"""

#: Answers of these have no body at all (HTTP 204).
NO_CONTENT = {"deleteQueryBasedAudienceByAudienceExecutionId"}
_VERSIONS = [f"application/vnd.amcquerybasedaudience.v{number}+json" for number in ("1", "1.1", "1.2")]
#: Media types by a part of the operation's name.
MEDIA_TYPES = {"QueryBasedAudience": _VERSIONS[0], "LookalikeAudience": _VERSIONS[0]}
#: Media types of answers that went well, where they are others or more.
GOOD_MEDIA_TYPES = {
    "createLookalikeAudience": ["application/vnd.amclookalikeaudience.v1+json"],
    "updateQueryBasedAudienceByAudienceExecutionId": _VERSIONS[2:],
    "getQueryBasedAudienceByAudienceExecutionId": _VERSIONS,
    "getAllQueryBasedAudiencesByInstanceId": _VERSIONS,
}


def is_part(operation: str) -> bool:
    """Is it an operation of these audiences?"""
    return any(part in operation for part in MEDIA_TYPES)
