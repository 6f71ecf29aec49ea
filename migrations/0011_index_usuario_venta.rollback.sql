-- squawk-disable-assume-in-transaction

SET lock_timeout = '0';
SET statement_timeout = '0';

CREATE INDEX CONCURRENTLY IF NOT EXISTS venta_id_idx ON venta (id);

DROP INDEX CONCURRENTLY IF EXISTS venta_id_key;

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS usuario_username_otra_key
    ON usuario (lower(username) text_pattern_ops);

DROP INDEX CONCURRENTLY IF EXISTS usuario_username_key;

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS usuario_username_key
    ON usuario (lower(username) text_pattern_ops);

DROP INDEX CONCURRENTLY IF EXISTS usuario_username_otra_key;

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS usuario_correo_otra_key
    ON usuario (lower(correo) text_pattern_ops);

DROP INDEX CONCURRENTLY IF EXISTS usuario_correo_key;

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS usuario_correo_key
    ON usuario (lower(correo) text_pattern_ops);

DROP INDEX CONCURRENTLY IF EXISTS usuario_correo_otra_key;

DROP INDEX CONCURRENTLY IF EXISTS usuario_nombre_idx;

CREATE INDEX CONCURRENTLY IF NOT EXISTS usuario_nombre_idx
    ON usuario (lower(nombre) text_pattern_ops, id);

DROP INDEX CONCURRENTLY IF EXISTS usuario_apellido_idx;

CREATE INDEX CONCURRENTLY IF NOT EXISTS usuario_apellido_idx
    ON usuario (lower(apellido) text_pattern_ops, id);

DROP INDEX CONCURRENTLY IF EXISTS aviso_correo_idx;

CREATE INDEX CONCURRENTLY IF NOT EXISTS aviso_correo_idx
    ON aviso (lower(correo) text_pattern_ops)
    WHERE reversible;
