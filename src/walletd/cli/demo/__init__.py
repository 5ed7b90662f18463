"""The demonstration: a lively, real workload enters over the client library, a summary and its proofs leave.

It believes nothing that it is told: what every answer means for the balances is added up here and compared at the end.
It imports the client library, the vocabulary and the command line's own drawing.
"""
