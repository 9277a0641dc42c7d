"""What every store of the outbox promises, asked of each store in turn.

A test that takes ``outbox`` runs over all of them, one that takes ``durable`` over those that
outlive their process. Memory is left out of the latter since it keeps only what is in hand:

- a record that is settled is forgotten, so there are no later readings that know it, no mending,
  no requeueing, and nothing to report (a `DurableOutbox` and its reader are asked for these);
- a stream has no end to wait for, so what is staged can be claimed before it is published;
- nothing is left of it after a crash;
- it encodes nothing, so a draft or a call that makes no sense is not noticed.

An asynchronous test runs in the loop that its outbox was opened in. Another store takes part once
its `Place` stands in `outbox_places.STORES`.

The suite was seen to fail of each of these faults, made in a store on purpose:

- memory: a token that is not checked, claims that change hands in place, claims that are not handed
  over, a lane that is given out backwards, two lanes that are mixed, a copy that is counted as new,
  a given-back claim that is dropped, lookups of one location known in another;
- SQLite: a token that is not checked at all, not for quotas, or remembered too long; a lane that is
  given out backwards, equal dates in another order than the source's, lanes in flight that are not
  passed; a copy that is counted as new, or not told; a given-back claim that is dropped, or loses
  its attempts; a settlement, or a claim, that is forgotten on disk; a requeued record that is still
  in hand; messages of other lanes, lookups that replace, a record that is published twice, a rate
  of more than what was sent, pages that overlap, lists in another order.

What only leaves rows behind, or takes longer, is for a store's own tests.
"""
