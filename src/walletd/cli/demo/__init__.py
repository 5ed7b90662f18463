"""The demonstration: a lively, realistic workload goes in through the client library, a summary and its proofs come
out.

It trusts no answer: it adds up what every answer means for the balances, and compares at the end.  It imports the
client library, the vocabulary and the command line's own drawing.
"""
