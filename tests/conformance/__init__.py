"""What every store of the outbox promises, asked of each store in turn.

A test that takes ``outbox`` runs over all of them, one that takes ``durable`` over those that
outlive their process. Memory is left out of the latter since it keeps only what is in hand:

- a record that is settled is forgotten, so there are no later readings that know it, no mending,
  no requeueing, and nothing to report (a `DurableOutbox` and its reader are asked for these);
- a stream has no end to wait for, so what is staged can be claimed before it is published;
- nothing is left of it after a crash;
- it encodes nothing, so a draft or a call that makes no sense is not noticed.

An asynchronous test runs in the loop that its outbox was opened in.
"""
