-- Reach and frequency of each campaign. AMC leaves out rows with too few users.
SELECT
    campaign,
    COUNT(DISTINCT user_id) AS reach,
    SUM(impressions) AS impressions,
    -- millicents to currency
    SUM(total_cost) / 100000 AS total_cost
FROM dsp_impressions
WHERE user_id IS NOT NULL
GROUP BY campaign
