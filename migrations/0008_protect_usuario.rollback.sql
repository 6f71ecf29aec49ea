SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = '10s';

DROP TABLE aviso;

COMMENT ON TABLE auditoria IS 'Who did what, to whom, when and from where; rows are only ever added.';

ALTER TABLE usuario DROP COLUMN bloqueado;
