-- Version 17: the slots of limits: which deliveries hold one, and for which one a delivery waits.
create table if not exists hold (
    slot text not null,       -- a digest of handler, limit and key
    delivery integer not null,
    until integer             -- of a rate: when the start counts no more; null: until it is settled
);
create index if not exists hold_by_slot on hold (slot, until);
create index if not exists hold_by_delivery on hold (delivery) where until is null;
create index if not exists hold_by_end on hold (until) where until is not null;
-- The slot that it found full. Until it is woken, its owner is '(parked)'.
alter table delivery add column parked text;
-- In which order parked deliveries of several priorities and fairness keys are woken.
alter table delivery add column rank integer not null default 0;  -- the lowest one of a slot first
alter table delivery add column share text;  -- its group; null where those of a slot come in order
-- The due time tells those that were woken from those that are parked.
create index if not exists delivery_parked on delivery (parked, due, rank, id) where parked is not null;
create index if not exists delivery_share on delivery (parked, share, rank) where share is not null;
-- Those that are claimed when a start of a rate counts no more: the first one of each slot.
create index if not exists delivery_parked_due on delivery (due) where parked is not null and owner is null;
