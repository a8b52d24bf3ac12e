-- An audience is made of the users that its query selects, from the tables of audiences.
SELECT user_id
FROM dsp_impressions_for_audiences
GROUP BY user_id
