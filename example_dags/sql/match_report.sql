-- How many of the uploaded customers AMC knows. Each level needs 100 people behind it to be shown.
SELECT
  loyalty_level,
  COUNT(1) AS customers,
  SUM(CASE WHEN user_id IS NULL THEN 0 ELSE 1 END) AS matched
FROM loyalty_customers
GROUP BY loyalty_level
