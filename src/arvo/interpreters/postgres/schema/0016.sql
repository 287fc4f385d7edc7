-- Version 16: the slots of limits: which deliveries hold one, and for which one a delivery waits.
create table if not exists arvo.hold (
    slot text collate "C" not null,    -- a digest of handler, limit and key
    delivery bigint not null,
    until timestamptz                  -- of a rate, by the server's clock: when the start counts no
                                       -- more; null: until the delivery is settled
) with (
    autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 10000
);
create index if not exists hold_by_slot on arvo.hold (slot, until);
create index if not exists hold_by_delivery on arvo.hold (delivery) where until is null;
create index if not exists hold_by_end on arvo.hold (until) where until is not null;
-- The slot that it found full. Until it is woken, its owner is -1, which is no worker.
alter table arvo.delivery add column if not exists parked text collate "C";
-- In which order parked deliveries of several priorities and fairness keys are woken.
alter table arvo.delivery add column if not exists rank bigint not null default 0;  -- of a slot: the lowest first
-- Its group; null where those of a slot come in order.
alter table arvo.delivery add column if not exists share text collate "C";
-- The due time tells those that were woken from those that are parked.
create index if not exists delivery_parked on arvo.delivery (parked, due, rank, id) where parked is not null;
create index if not exists delivery_share on arvo.delivery (parked, share, rank) where share is not null;
insert into arvo.version (number) values (16);
