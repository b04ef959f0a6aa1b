-- What do the changes of all units add up to?
INSERT INTO slots
SELECT slot, SUM(n) AS n,
       SUM(y1 - y0) AS y, SUM(d1 - d0) AS d, SUM(x1 - x0) AS x, SUM(e1 - e0) AS e,
       SUM(y1 * y1 - y0 * y0) AS yy, SUM(y1 * d1 - y0 * d0) AS yd, SUM(y1 * x1 - y0 * x0) AS yx,
       SUM(y1 * e1 - y0 * e0) AS ye, SUM(d1 * d1 - d0 * d0) AS dd, SUM(d1 * x1 - d0 * x0) AS dx,
       SUM(d1 * e1 - d0 * e0) AS de, SUM(x1 * x1 - x0 * x0) AS xx, SUM(x1 * e1 - x0 * e0) AS xe,
       SUM(e1 * e1 - e0 * e0) AS ee
FROM changes
GROUP BY slot
