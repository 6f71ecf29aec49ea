-- squawk-disable-assume-in-transaction

SET lock_timeout = '0';
SET statement_timeout = '0';

CREATE INDEX CONCURRENTLY IF NOT EXISTS enlace_proximo_idx ON enlace (proximo) WHERE proximo IS NOT NULL;

DROP INDEX CONCURRENTLY IF EXISTS enlace_cola_idx;
