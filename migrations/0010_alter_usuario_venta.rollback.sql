SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = '10s';

ALTER TABLE usuario RESET (fillfactor);

ALTER TABLE venta RESET (fillfactor);

ALTER TABLE sesion RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);

ALTER TABLE idempotencia RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);

ALTER TABLE enlace RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);

ALTER TABLE intento RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);

ALTER TABLE venta DROP COLUMN actualizacion;

DROP TABLE retencion;

DROP COLLATION minusculas;
