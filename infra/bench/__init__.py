"""What livelift costs, measured against what a user would pick instead and against the machine's own limit.

``dataset`` makes records, ``loading`` puts them into the broker of ``own_stack``, a stack of the bench's own.
``contenders`` are the jobs that are compared, ``running`` runs one, ``progress`` makes its rate;
``throughput`` lets them run in turn and ``report`` says what was found. The other questions (freshness,
growth, memory, scorecard, spike) have a module each and use the same stack.
"""
