-- What:   the order in which mails leave: what somebody waits for first, verifications after it, the oldest first.
-- Why:    a recovery must not wait behind all the verifications that strangers asked for. The index is the queue: one
--         look finds the next mail, however many wait. It takes the place of enlace_proximo_idx.
-- Locks:  enlace SHARE UPDATE EXCLUSIVE while one index builds and the other goes: reads and writes go on.
-- Undo:   the index of before comes back; nothing is lost.
-- transactional: false
-- squawk-disable-assume-in-transaction

SET lock_timeout = '0';
SET statement_timeout = '0';

CREATE INDEX CONCURRENTLY IF NOT EXISTS enlace_cola_idx
    ON enlace ((tipo = 'verificacion'), proximo)
    WHERE proximo IS NOT NULL;

DROP INDEX CONCURRENTLY IF EXISTS enlace_proximo_idx;
