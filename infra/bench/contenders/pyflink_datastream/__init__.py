"""PyFlink DataStream: the rules of attribution event by event in Python, over Flink's keyed state.

What a Python engineer would write who needs the rules and not only a join: a keyed co-process function with
one value of state a unit, its changes summed in SQL. It does less than livelift: no ledger, no activity, no
rejected topic, no waiting for definitions, no end of experiments, nothing is ever forgotten, sums in floating
point.
"""
